//! The tasks of a worker process, beside apalis' poll loop.
//!
//! - The *exchanger* settles what ended and claims for the free slots, in one call; while a call is under
//!   way, what ends meanwhile queues up for the next one. It goes round at least once a second, which is
//!   also the sweep of dead workers' leases.
//! - The *keeper* renews the leases in hand.
//! - The *listener* waits to be woken, while there is room.
//!
//! A Redis error ends none of them: they back off and go on.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Lease, Queue, Ticket, Verdict,
    client::BITE,
    exchange::{Claimed, Exchanged, LEASE, Room, SUSPECT, Settlement},
};
use crate::{domain::Class, shutdown::Shutdown};

const RENEWAL: Duration = Duration::from_secs(2);
/// The exchanger goes round at least this often.
const ROUND: Duration = Duration::from_secs(1);
const GAUGES: Duration = Duration::from_secs(10);
/// How long one wait for a wake-up lasts, and how much later its answer may come before its connection counts
/// as dead.
const LISTEN: Duration = Duration::from_secs(5);
const LISTEN_GRACE: Duration = Duration::from_secs(3);

/// A lease on its way to its slice.
#[derive(Debug)]
pub(super) struct Held {
    pub lease: Lease,
    /// How long the ticket had been ready when it was leased.
    pub waited: Duration,
    pub claimed_at: Instant,
}

/// Leases claimed and not begun. Shared, since at the end the exchanger takes back what apalis has not taken.
pub(super) type Unstarted = Arc<Mutex<mpsc::Receiver<Held>>>;

/// What the tasks and the jobs share.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    queue: Queue,
    /// Leases in hand by fence, from the claim until Redis has heard how they ended.
    held: Arc<Mutex<HashMap<i64, Lease>>>,
    ended: mpsc::UnboundedSender<Settlement>,
}

/// The running tasks; dropped, they end.
#[derive(Debug)]
pub(super) struct Tasks {
    pub slots: Slots,
    pub unstarted: Unstarted,
    exchanger: AbortOnDropHandle<()>,
    _keeper: AbortOnDropHandle<()>,
    _listener: AbortOnDropHandle<()>,
    close: Shutdown,
}

impl Slots {
    /// Starts the tasks. After `stop` nothing is claimed and what has not begun is handed back at once.
    /// `stop` is cancelled when one of the tasks ends by itself.
    pub(super) fn start(queue: Queue, count: usize, stop: &Shutdown) -> Tasks {
        let count = count.max(1);
        let (ended, settlements) = mpsc::unbounded_channel();
        let (jobs, unstarted) = mpsc::channel(count);
        let unstarted = Arc::new(Mutex::new(unstarted));
        let (armed, arming) = watch::channel(Armed::No);
        let slots = Self { queue, held: Arc::default(), ended };
        let close = Shutdown::new();
        let woken = Arc::new(Woken::default());
        let exchanger = Exchanger {
            slots: slots.clone(),
            count,
            // So that fresh work always finds a slot.
            most_backfill: (count * 4 / 5).max(1),
            settlements,
            pending: VecDeque::new(),
            jobs,
            unstarted: unstarted.clone(),
            armed,
            woken: woken.clone(),
            stop: stop.clone(),
            close: close.clone(),
        };
        let guarded = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = stop.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                // Also when the task panics.
                let _guard = stop.drop_guard();
                task.await;
            }))
        };
        Tasks {
            exchanger: guarded(Box::pin(exchanger.run())),
            _keeper: guarded(Box::pin(slots.clone().keep())),
            _listener: guarded(Box::pin(listen(slots.queue.clone(), arming, woken))),
            slots,
            unstarted,
            close,
        }
    }

    /// Ends a lease. Redis hears of it with the next exchange.
    pub(super) fn settle(&self, lease: Lease, verdict: Verdict) {
        let settlement = Settlement { ticket: lease.ticket.to_string(), fence: lease.fence, verdict };
        if let Err(mpsc::error::SendError(settlement)) = self.ended.send(settlement) {
            // The exchanger died: this one call, and else the lease runs out.
            let queue = self.queue.clone();
            tokio::spawn(async move {
                if let Err(error) = queue.exchange(&[settlement], Room::default()).await {
                    tracing::warn!(%error, "could not settle: the ticket will be swept");
                }
            });
        }
    }

    async fn keep(self) {
        let mut gauges = Instant::now();
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.renew().await;
            if gauges.elapsed() >= GAUGES {
                gauges = Instant::now();
                if let Err(error) = self.queue.record_depth().await {
                    tracing::debug!(%error, "could not measure the queue");
                }
            }
        }
    }

    /// Tries again until it has an answer, since a lease does not wait for long.
    async fn renew(&self) {
        let begun = Instant::now();
        loop {
            let leases: Vec<Lease> = self.held().values().copied().collect();
            if leases.is_empty() {
                return;
            }
            match self.queue.renew(&leases).await {
                Ok(lost) if lost.is_empty() => return,
                // Settled since they were listed here, or given to someone else: then their slices end by
                // themselves, since Postgres refuses what they would write.
                Ok(lost) => return tracing::debug!(?lost, "leases are no longer ours"),
                Err(error) => {
                    tracing::warn!(%error, "could not renew leases, trying again");
                    backoff(begun.elapsed()).await;
                }
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    /// Waits until Redis has heard how every lease ended, though not for longer than a lease lasts: then the
    /// sweep of some other worker does the same.
    pub(super) async fn close(self) {
        self.close.cancel();
        if tokio::time::timeout(LEASE, self.exchanger).await.is_err() {
            tracing::warn!("redis did not hear how the last slices ended: their tickets will be swept");
        }
    }
}

struct Exchanger {
    slots: Slots,
    count: usize,
    most_backfill: usize,
    settlements: mpsc::UnboundedReceiver<Settlement>,
    pending: VecDeque<Settlement>,
    jobs: mpsc::Sender<Held>,
    unstarted: Unstarted,
    armed: watch::Sender<Armed>,
    woken: Arc<Woken>,
    stop: Shutdown,
    /// All slices have ended: settle what is left, and end.
    close: Shutdown,
}

impl Exchanger {
    async fn run(mut self) {
        let mut trouble: Option<Instant> = None;
        loop {
            let closing = self.close.is_cancelled();
            let stopping = self.stop.is_cancelled();
            self.gather(stopping);
            if closing && self.pending.is_empty() {
                return;
            }
            self.pending.make_contiguous();
            let (batch, _) = self.pending.as_slices();
            let batch = &batch[..batch.len().min(BITE)];
            let room = if stopping { Room::default() } else { self.room(batch) };
            let answer = self.slots.queue.exchange(batch, room).await;
            self.slots.queue.progress().completed_round(answer.is_ok());
            match answer {
                Ok(answer) => {
                    trouble = None;
                    let settled = batch.len();
                    let again = self.take_in(settled, room, answer);
                    if let Some(wait) = again {
                        self.wait(wait, stopping, closing).await;
                    }
                }
                Err(error) => {
                    let since = *trouble.get_or_insert_with(Instant::now);
                    tracing::warn!(%error, "could not exchange leases, trying again");
                    backoff(since.elapsed()).await;
                }
            }
        }
    }

    /// What ended since the last round; when stopping, also what was never begun.
    fn gather(&mut self, stopping: bool) {
        while let Ok(settlement) = self.settlements.try_recv() {
            self.pending.push_back(settlement);
        }
        if stopping {
            let mut unstarted = self.unstarted.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(Held { lease, .. }) = unstarted.try_recv() {
                self.pending.push_back(back(lease));
            }
        }
    }

    /// The slots that are free once `batch` is settled.
    fn room(&self, batch: &[Settlement]) -> Room {
        let held = self.slots.held();
        let (mut busy, mut backfill, mut suspects) = (held.len(), 0, 0);
        for lease in held.values() {
            backfill += usize::from(lease.ticket.class() == Class::Backfill);
            suspects += usize::from(lease.crashes >= SUSPECT);
        }
        for lease in batch.iter().filter_map(|settlement| held.get(&settlement.fence)) {
            busy -= 1;
            backfill -= usize::from(lease.ticket.class() == Class::Backfill);
            suspects -= usize::from(lease.crashes >= SUSPECT);
        }
        let most = self.count.saturating_sub(busy);
        let most_backfill = self.most_backfill.saturating_sub(backfill).min(most);
        let (fresh_token, backfill_token) = self.woken.take();
        Room {
            most,
            most_backfill,
            suspect: suspects == 0,
            pass_on: (fresh_token && most == 0) || (backfill_token && most_backfill == 0),
        }
    }

    /// Books an answer. Returns how long to wait for something to happen, or nothing to go round at once.
    fn take_in(&mut self, settled: usize, room: Room, answer: Exchanged) -> Option<Duration> {
        for (settlement, ours) in self.pending.drain(..settled).zip(answer.settled) {
            self.slots.held().remove(&settlement.fence);
            if !ours {
                let Settlement { ticket, fence, .. } = settlement;
                tracing::info!(%ticket, fence, "the lease had been given to someone else");
            }
        }
        if answer.swept > 0 {
            metrics::counter!("pathbound_orphans_recovered_total").increment(answer.swept);
            tracing::warn!(swept = answer.swept, "took back the tickets of a worker that died");
        }
        for reason in answer.refused {
            metrics::counter!("pathbound_tickets_refused_total", "reason" => reason.clone()).increment(1);
            tracing::error!(reason, "refused a ticket");
        }
        let claimed = answer.claimed.len();
        for claimed in answer.claimed {
            self.hand_out(claimed);
        }
        let left = room.most - claimed;
        let left_backfill = left > 0 && room.most_backfill > 0 && {
            let held = self.slots.held();
            held.values().filter(|lease| lease.ticket.class() == Class::Backfill).count() < self.most_backfill
        };
        let _ = self.armed.send_replace(match (left > 0, left_backfill) {
            (false, _) => Armed::No,
            (true, false) => Armed::Fresh,
            (true, true) => Armed::All,
        });
        if !self.pending.is_empty() || (left > 0 && claimed == BITE) {
            return None;
        }
        let parked = answer.next_parked.filter(|_| left > 0).unwrap_or(ROUND);
        // Redis counts whole milliseconds: one more, or the first look comes too early.
        Some((parked + Duration::from_millis(1)).min(ROUND))
    }

    fn hand_out(&mut self, claimed: Claimed) {
        let Claimed { ticket: text, fence, crashes, waited } = claimed;
        let ticket = match text.parse::<Ticket>() {
            Ok(ticket) => ticket,
            Err(error) => {
                metrics::counter!("pathbound_tickets_refused_total", "reason" => error.reason()).increment(1);
                tracing::error!(%error, "refused a ticket");
                self.pending.push_back(Settlement { ticket: text, fence, verdict: Verdict::Done });
                return;
            }
        };
        let lease = Lease { ticket, fence, crashes };
        self.slots.held().insert(fence, lease);
        if self.jobs.try_send(Held { lease, waited, claimed_at: Instant::now() }).is_err() {
            self.pending.push_back(back(lease));
        }
    }

    /// Until a slice ends, somebody wakes us, the time has come, or there is something new about the end.
    async fn wait(&mut self, most: Duration, stopping: bool, closing: bool) {
        tokio::select! {
            settlement = self.settlements.recv() => self.pending.extend(settlement),
            () = self.woken.notify.notified() => {}
            () = tokio::time::sleep(most) => {}
            () = self.stop.cancelled(), if !stopping => {}
            () = self.close.cancelled(), if !closing => {}
        }
    }
}

fn back(lease: Lease) -> Settlement {
    Settlement { ticket: lease.ticket.to_string(), fence: lease.fence, verdict: Verdict::Back }
}

/// What a worker may be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    No,
    Fresh,
    All,
}

impl Armed {
    const fn classes(self) -> &'static [Class] {
        match self {
            Self::No => &[],
            Self::Fresh => &[Class::Fresh],
            Self::All => &[Class::Fresh, Class::Backfill],
        }
    }
}

/// Wake-ups that came and were not acted upon yet.
#[derive(Debug, Default)]
struct Woken {
    fresh: AtomicBool,
    backfill: AtomicBool,
    notify: Notify,
}

impl Woken {
    fn take(&self) -> (bool, bool) {
        (self.fresh.swap(false, Ordering::AcqRel), self.backfill.swap(false, Ordering::AcqRel))
    }
}

/// Never cancelled in the middle of a wait: a wake-up that came to a wait given up would wake nobody.
async fn listen(queue: Queue, mut armed: watch::Receiver<Armed>, woken: Arc<Woken>) {
    let mut connection = None;
    loop {
        let Ok(classes) = armed.wait_for(|armed| *armed != Armed::No).await.map(|armed| armed.classes()) else {
            return;
        };
        if connection.is_none() {
            connection = queue.listener().await.ok();
        }
        let Some(listener) = &mut connection else {
            // The exchanger's own rounds are the wake-ups meanwhile.
            tokio::time::sleep(ROUND).await;
            continue;
        };
        match tokio::time::timeout(LISTEN + LISTEN_GRACE, queue.woken(listener, classes, LISTEN)).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(class))) => {
                match class {
                    Class::Fresh => woken.fresh.store(true, Ordering::Release),
                    Class::Backfill => woken.backfill.store(true, Ordering::Release),
                }
                woken.notify.notify_one();
            }
            Ok(Err(_)) | Err(_) => {
                connection = None;
                backoff(Duration::ZERO).await;
            }
        }
    }
}

/// Longer the longer the trouble lasts, with jitter, up to a second.
async fn backoff(trouble: Duration) {
    let most = (trouble.as_millis() as u64 / 2).clamp(20, 1_000);
    tokio::time::sleep(Duration::from_millis(rand::random_range(most / 2..=most))).await;
}
