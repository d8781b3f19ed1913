//! The exchanger: one task that tells Redis what ended and asks it for what is next.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{mpsc, watch};

use super::{
    Lease, QueueError, Ticket,
    client::BITE,
    exchange::{Claimed, Exchanged, Room, SUSPECT, Settlement},
    listener::{Armed, Woken},
    slots::{Held, REDIS_BACKOFF, ROUND, Slots, Unstarted},
};
use crate::{
    domain::{Class, Verdict},
    shutdown::Shutdown,
};

/// Calls under way at once: while Redis works on one, what ended fills the next, and neither waits for the other.
const CALLS: usize = 2;

pub(super) struct Exchanger {
    pub slots: Slots,
    pub count: usize,
    pub most_backfill: usize,
    pub settlements: mpsc::UnboundedReceiver<Settlement>,
    pub jobs: mpsc::Sender<Held>,
    pub unstarted: Unstarted,
    pub armed: watch::Sender<Armed>,
    pub woken: Arc<Woken>,
    pub stop: Shutdown,
    /// All slices have ended: settle what is left, and end.
    pub close: Shutdown,
    pub books: Books,
}

/// What the exchanger knows between two calls.
#[derive(Debug)]
pub(super) struct Books {
    /// Ended, and not yet in a call.
    pending: VecDeque<Settlement>,
    /// Fences of the leases that a call under way settles: their slots are that call's to fill.
    settling: HashSet<i64>,
    /// What the calls under way asked for.
    asked: Vec<Room>,
    /// When to look, though nothing ended and nobody woke us.
    look_at: Instant,
    /// Calls in a row that Redis did not answer.
    failures: u32,
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            pending: VecDeque::new(),
            settling: HashSet::new(),
            asked: Vec::new(),
            look_at: Instant::now(),
            failures: 0,
        }
    }
}

/// A call that ended.
struct Called {
    batch: Vec<Settlement>,
    room: Room,
    answer: Result<Exchanged, QueueError>,
}

impl Exchanger {
    pub(super) async fn run(mut self) {
        let mut calls = FuturesUnordered::new();
        loop {
            let stopping = self.stop.is_cancelled();
            let closing = self.close.is_cancelled();
            self.gather(stopping).await;
            if closing && self.books.pending.is_empty() && calls.is_empty() {
                return;
            }
            if self.is_time(calls.len()) {
                let (batch, room) = self.fill(stopping);
                let queue = self.slots.queue.clone();
                calls.push(async move {
                    let answer = queue.exchange(&batch, room).await;
                    Called {
                        batch,
                        room,
                        answer,
                    }
                });
                continue;
            }
            let look = self.books.look_at;
            tokio::select! {
                Some(called) = calls.next(), if !calls.is_empty() => self.take_in(called).await,
                settlement = self.settlements.recv() => self.books.pending.extend(settlement),
                () = self.woken.notify.notified(), if calls.is_empty() => {}
                () = tokio::time::sleep_until(look.into()), if calls.is_empty() => {}
                () = self.stop.cancelled(), if !stopping => {}
                () = self.close.cancelled(), if !closing => {}
            }
        }
    }

    /// What ended since the last round; when stopping, also what was never begun.
    async fn gather(&mut self, stopping: bool) {
        let (share, pending) = (self.share(), &mut self.books.pending);
        // What is ready to run runs first: slices that end at about the same time go together.
        for _ in 0..4 {
            let before = pending.len();
            while let Ok(settlement) = self.settlements.try_recv() {
                pending.push_back(settlement);
            }
            if pending.is_empty() || pending.len() == before && before > 1 || pending.len() >= share
            {
                break;
            }
            tokio::task::yield_now().await;
        }
        if stopping {
            let mut unstarted = self.unstarted.lock();
            while let Ok(Held { lease, .. }) = unstarted.try_recv() {
                pending.push_back(back(lease));
            }
        }
    }

    /// Whether to make a call now. Beside another one only for as much as that one settles, or many would be small.
    fn is_time(&self, under_way: usize) -> bool {
        let pending = self.books.pending.len();
        match under_way {
            0 => pending > 0 || self.woken.is_any() || self.books.look_at <= Instant::now(),
            CALLS.. => false,
            _ => pending > 0 && pending >= self.books.settling.len(),
        }
    }

    fn fill(&mut self, stopping: bool) -> (Vec<Settlement>, Room) {
        let bite = self.books.pending.len().min(self.share());
        let batch: Vec<Settlement> = self.books.pending.drain(..bite).collect();
        self.books
            .settling
            .extend(batch.iter().map(|settlement| settlement.fence));
        let room = if stopping {
            Room::default()
        } else {
            self.room()
        };
        self.books.asked.push(room);
        (batch, room)
    }

    /// How much a call does: no more than its share of the slots, so that there is something for the others.
    fn share(&self) -> usize {
        self.count.div_ceil(CALLS).min(BITE)
    }

    /// The slots that no slice is in and no call under way has asked for.
    fn free(&self) -> Room {
        let (mut busy, mut backfill, mut suspects) = (0, 0, false);
        for lease in self
            .slots
            .held()
            .values()
            .filter(|lease| !self.books.settling.contains(&lease.fence))
        {
            busy += 1;
            backfill += usize::from(lease.ticket.class() == Class::Backfill);
            suspects |= lease.crashes >= SUSPECT;
        }
        for asked in &self.books.asked {
            busy += asked.most;
            backfill += asked.most_backfill;
            suspects |= asked.suspect;
        }
        let most = self.count.saturating_sub(busy);
        let most_backfill = self.most_backfill.saturating_sub(backfill).min(most);
        Room {
            most,
            most_backfill,
            suspect: !suspects,
            pass_on: false,
        }
    }

    /// What to ask for, and whether a wake-up is somebody else's.
    fn room(&self) -> Room {
        let free = self.free();
        let share = self.share();
        let room = Room {
            most: free.most.min(share),
            most_backfill: free.most_backfill.min(share),
            ..free
        };
        // What another call asked for is perhaps what we were woken for: then it is looked at after that one.
        if room.most == 0 && !self.books.asked.is_empty() {
            return room;
        }
        let (fresh_token, backfill_token) = self.woken.take();
        let pass_on =
            (fresh_token && room.most == 0) || (backfill_token && room.most_backfill == 0);
        Room { pass_on, ..room }
    }

    /// Books an answer, or that there was none.
    async fn take_in(
        &mut self,
        Called {
            batch,
            room,
            answer,
        }: Called,
    ) {
        let books = &mut self.books;
        if let Some(place) = books.asked.iter().position(|asked| *asked == room) {
            books.asked.swap_remove(place);
        }
        for settlement in &batch {
            books.settling.remove(&settlement.fence);
        }
        self.slots.queue.progress().completed_round(answer.is_ok());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "could not exchange leases, trying again");
                batch
                    .into_iter()
                    .rev()
                    .for_each(|settlement| books.pending.push_front(settlement));
                books.failures += 1;
                return tokio::time::sleep(REDIS_BACKOFF.delay(books.failures)).await;
            }
        };
        books.failures = 0;
        let claimed = answer.claimed.len();
        let next_parked = answer.next_parked;
        self.settled(batch, &answer);
        for claimed in answer.claimed {
            self.hand_out(claimed);
        }
        self.plan(next_parked, claimed == room.most);
    }

    fn settled(&self, batch: Vec<Settlement>, answer: &Exchanged) {
        for (Settlement { ticket, fence, .. }, ours) in batch.into_iter().zip(&answer.settled) {
            self.slots.held().remove(&fence);
            if !ours {
                let ticket = String::from_utf8_lossy(&ticket);
                tracing::info!(%ticket, fence, "the lease had been given to someone else");
            }
        }
        if answer.swept > 0 {
            metrics::counter!("pathbound_orphans_recovered_total").increment(answer.swept);
            tracing::warn!(
                swept = answer.swept,
                "took back the tickets of a worker that died"
            );
        }
        for reason in &answer.refused {
            metrics::counter!("pathbound_tickets_refused_total", "reason" => reason.clone())
                .increment(1);
            tracing::error!(reason, "refused a ticket");
        }
    }

    fn hand_out(&mut self, claimed: Claimed) {
        let Claimed {
            ticket: text,
            fence,
            crashes,
            waited,
        } = claimed;
        // A script looks at the layout only: a letter that is not ours shows here.
        let ticket = match String::from_utf8_lossy(&text).parse::<Ticket>() {
            Ok(ticket) => ticket,
            Err(error) => {
                metrics::counter!("pathbound_tickets_refused_total", "reason" => error.reason())
                    .increment(1);
                tracing::error!(%error, "refused a ticket");
                self.books.pending.push_back(Settlement {
                    ticket: text,
                    fence,
                    verdict: Verdict::Done,
                });
                return;
            }
        };
        let lease = Lease {
            ticket,
            fence,
            crashes,
        };
        self.slots.held().insert(fence, lease);
        if self
            .jobs
            .try_send(Held {
                lease,
                waited,
                claimed_at: Instant::now(),
            })
            .is_err()
        {
            self.books.pending.push_back(back(lease));
        }
    }

    /// When to look again, and what to be woken for until then.
    fn plan(&mut self, next_parked: Option<Duration>, full: bool) {
        let free = if self.stop.is_cancelled() {
            Room::default()
        } else {
            self.free()
        };
        let _ = self
            .armed
            .send_replace(match (free.most, free.most_backfill) {
                (0, _) => Armed::No,
                (_, 0) => Armed::Fresh,
                (_, _) => Armed::All,
            });
        // Redis counts whole milliseconds: one more, or the first look comes too early.
        let parked = next_parked.map_or(ROUND, |parked| parked + Duration::from_millis(1));
        let wait = match free.most {
            0 => ROUND,
            _ if full => Duration::ZERO,
            _ => parked.min(ROUND),
        };
        self.books.look_at = Instant::now() + wait;
    }
}

fn back(lease: Lease) -> Settlement {
    Settlement {
        ticket: lease.ticket.to_string().into_bytes(),
        fence: lease.fence,
        verdict: Verdict::Release,
    }
}
