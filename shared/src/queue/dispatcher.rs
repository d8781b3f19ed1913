//! The dispatcher: the one task that tells Redis how slices ended and claims new leases.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{mpsc, watch};

use super::{
    Lease, QueueError, Slots, Ticket,
    client::BATCH_SIZE,
    lease_table::{ClaimedLease, LeaseTable, ReadyReceiver},
    listener::{PendingWakeups, WakeInterest},
    poll::{Capacity, ClaimedTicket, POLL_INTERVAL, PollReply, REDIS_BACKOFF, SUSPECT, Settlement},
};
use crate::{
    domain::{Class, Verdict},
    shutdown::Shutdown,
    telemetry::Repeats,
};

/// Polls in flight at once. While Redis works on one, settlements fill the next, so that neither waits for the
/// other.
const MAX_POLLS: usize = 2;

/// How often the dispatcher lets other tasks run before a poll, so that slices that end together go together.
const GATHER_ROUNDS: usize = 4;

pub(super) struct Dispatcher {
    pub leases: LeaseTable,
    pub slots: Slots,
    pub settlements: mpsc::UnboundedReceiver<Settlement>,
    pub ready_sender: mpsc::Sender<ClaimedLease>,
    pub ready: ReadyReceiver,
    pub interest: watch::Sender<WakeInterest>,
    pub wakeups: Arc<PendingWakeups>,
    pub stop: Shutdown,
    /// All slices have ended: settle the last leases, then end.
    pub close: Shutdown,
    pub state: DispatchState,
}

/// What the dispatcher knows between two polls.
#[derive(Debug)]
pub(super) struct DispatchState {
    /// Settlements that are in no poll yet.
    pending: VecDeque<Settlement>,
    /// Fences of the leases that a poll in flight settles. Their slots count as free for that poll only.
    settling: HashSet<i64>,
    /// What the polls in flight asked for.
    requested: Vec<Capacity>,
    /// When to poll without a settlement and without a wake-up.
    next_poll_at: Instant,
    /// Polls in a row that Redis did not answer.
    failures: u32,
    /// What was logged of them.
    unanswered: Repeats,
}

impl DispatchState {
    pub(super) fn new() -> Self {
        Self {
            pending: VecDeque::new(),
            settling: HashSet::new(),
            requested: Vec::new(),
            next_poll_at: Instant::now(),
            failures: 0,
            unanswered: Repeats::new(),
        }
    }
}

/// A poll that has ended.
struct CompletedPoll {
    settlements: Vec<Settlement>,
    capacity: Capacity,
    reply: Result<PollReply, QueueError>,
}

impl Dispatcher {
    pub(super) async fn run(mut self) {
        let mut polls = FuturesUnordered::new();
        loop {
            let stopping = self.stop.is_cancelled();
            let closing = self.close.is_cancelled();
            self.gather(stopping).await;
            if closing && self.state.pending.is_empty() && polls.is_empty() {
                return;
            }
            if self.is_poll_due(polls.len()) {
                polls.push(self.poll(stopping));
                continue;
            }
            let next_poll_at = self.state.next_poll_at;
            tokio::select! {
                Some(completed) = polls.next(), if !polls.is_empty() => self.complete(completed).await,
                settlement = self.settlements.recv() => self.state.pending.extend(settlement),
                () = self.wakeups.notify.notified(), if polls.is_empty() => {}
                () = tokio::time::sleep_until(next_poll_at.into()), if polls.is_empty() => {}
                () = self.stop.cancelled(), if !stopping => {}
                () = self.close.cancelled(), if !closing => {}
            }
        }
    }

    /// Collects new settlements. When stopping, also releases the leases whose slices have not begun.
    async fn gather(&mut self, stopping: bool) {
        let (share, pending) = (self.share(), &mut self.state.pending);
        for _ in 0..GATHER_ROUNDS {
            let before = pending.len();
            while let Ok(settlement) = self.settlements.try_recv() {
                pending.push_back(settlement);
            }
            let is_nothing_new = pending.len() == before && before > 1;
            if pending.is_empty() || is_nothing_new || pending.len() >= share {
                break;
            }
            // Ready slices run first, because one call with ten settlements costs little more than one with one.
            tokio::task::yield_now().await;
        }
        if stopping {
            let mut ready = self.ready.lock();
            while let Ok(ClaimedLease { lease, .. }) = ready.try_recv() {
                pending.push_back(Settlement::new(lease, Verdict::Release));
            }
        }
    }

    /// Whether to poll now. A second poll in flight must settle at least as much as the first, because otherwise
    /// many polls would be small.
    fn is_poll_due(&self, in_flight: usize) -> bool {
        let pending = self.state.pending.len();
        match in_flight {
            0 => pending > 0 || self.wakeups.is_any() || self.state.next_poll_at <= Instant::now(),
            MAX_POLLS.. => false,
            _ => pending > 0 && pending >= self.state.settling.len(),
        }
    }

    /// Starts a poll.
    fn poll(&mut self, stopping: bool) -> impl Future<Output = CompletedPoll> + use<> {
        // Taken out before the call, so that a second poll in flight cannot settle the same lease.
        let batch = self.state.pending.len().min(self.share());
        let settlements: Vec<Settlement> = self.state.pending.drain(..batch).collect();
        let fences = settlements.iter().map(|settlement| settlement.fence);
        self.state.settling.extend(fences);
        let capacity = if stopping {
            Capacity::default()
        } else {
            self.capacity_to_request()
        };
        self.state.requested.push(capacity);
        let queue = self.leases.queue().clone();
        async move {
            let reply = queue.poll(&settlements, capacity).await;
            CompletedPoll {
                settlements,
                capacity,
                reply,
            }
        }
    }

    /// How much one poll does. It is a share of the slots, so that something is left for the other poll.
    fn share(&self) -> usize {
        self.slots.count.div_ceil(MAX_POLLS).min(BATCH_SIZE)
    }

    /// The slots that no slice takes and no poll in flight has asked for.
    fn free_capacity(&self) -> Capacity {
        let (mut taken, mut fresh, mut backfill, mut suspects) = (0, 0, 0, false);
        for lease in self.leases.leases().values() {
            // The poll that settles this lease fills its slot.
            if self.state.settling.contains(&lease.fence) {
                continue;
            }
            taken += 1;
            match lease.ticket.class() {
                Class::Fresh => fresh += 1,
                Class::Backfill => backfill += 1,
            }
            suspects |= lease.crashes >= SUSPECT;
        }
        for requested in &self.state.requested {
            taken += requested.limit;
            fresh += requested.fresh_limit;
            backfill += requested.backfill_limit;
            suspects |= requested.suspect;
        }
        let limit = self.slots.count.saturating_sub(taken);
        Capacity {
            limit,
            fresh_limit: self.slots.fresh().saturating_sub(fresh).min(limit),
            backfill_limit: self.slots.backfill().saturating_sub(backfill).min(limit),
            suspect: !suspects,
            pass_on: false,
        }
    }

    /// What the next poll asks for, and whether it passes a wake-up on to another worker.
    fn capacity_to_request(&self) -> Capacity {
        let free = self.free_capacity();
        let share = self.share();
        let capacity = Capacity {
            limit: free.limit.min(share),
            fresh_limit: free.fresh_limit.min(share),
            backfill_limit: free.backfill_limit.min(share),
            ..free
        };
        // The poll in flight may be about to claim the ticket of the wake-up. The wake-up stays pending until
        // that poll has completed.
        if capacity.limit == 0 && !self.state.requested.is_empty() {
            return capacity;
        }
        let (wakeup_fresh, wakeup_backfill) = self.wakeups.take();
        let pass_on = (wakeup_fresh && capacity.fresh_limit == 0)
            || (wakeup_backfill && capacity.backfill_limit == 0);
        Capacity {
            pass_on,
            ..capacity
        }
    }

    /// Handles the reply of a poll, or its failure.
    async fn complete(&mut self, completed: CompletedPoll) {
        let CompletedPoll {
            settlements,
            capacity,
            reply,
        } = completed;
        let state = &mut self.state;
        if let Some(index) = state.requested.iter().position(|one| *one == capacity) {
            state.requested.swap_remove(index);
        }
        for settlement in &settlements {
            state.settling.remove(&settlement.fence);
        }
        let heartbeat = self.leases.queue().heartbeat();
        heartbeat.completed_round(reply.is_ok());
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                crate::log_failure!(state.unanswered.failed(&error), warn, { %error }, "could not poll the queue, trying again");
                // In front and in their old order. Redis may have applied them before its answer was lost, and
                // then it refuses them.
                for settlement in settlements.into_iter().rev() {
                    state.pending.push_front(settlement);
                }
                state.failures += 1;
                return tokio::time::sleep(REDIS_BACKOFF.delay(state.failures)).await;
            }
        };
        state.failures = 0;
        crate::log_end!(state.unanswered.ended(), "polls the queue again");
        self.settled(settlements, &reply.settled);
        report(&reply);
        let is_full = reply.claimed.len() == capacity.limit;
        for claimed in reply.claimed {
            self.hand_out(claimed);
        }
        self.plan_next_poll(reply.next_parked, is_full);
    }

    fn settled(&self, settlements: Vec<Settlement>, answers: &[bool]) {
        for (Settlement { ticket, fence, .. }, was_ours) in settlements.into_iter().zip(answers) {
            // Only now: until Redis has answered, the renewer must go on with this lease.
            self.leases.leases().remove(&fence);
            if !was_ours {
                let ticket = String::from_utf8_lossy(&ticket);
                tracing::info!(%ticket, fence, "lost the lease to another worker before it was settled");
            }
        }
    }

    /// Hands a claimed ticket to apalis.
    fn hand_out(&mut self, claimed: ClaimedTicket) {
        // The script checks the layout only, so a wrong letter shows here.
        let ticket = match String::from_utf8_lossy(&claimed.ticket).parse::<Ticket>() {
            Ok(ticket) => ticket,
            Err(error) => {
                count_refused(error.reason().to_owned());
                tracing::error!(%error, "refused a ticket");
                self.state.pending.push_back(Settlement {
                    ticket: claimed.ticket,
                    fence: claimed.fence,
                    verdict: Verdict::Done,
                    counted: None,
                });
                return;
            }
        };
        let lease = Lease {
            ticket,
            fence: claimed.fence,
            crashes: claimed.crashes,
        };
        // In the table before the slice can begin, because a slice settles what it finds there.
        self.leases.leases().insert(lease.fence, lease);
        let ready = ClaimedLease {
            lease,
            waited: claimed.waited,
            claimed_at: Instant::now(),
        };
        // Refused only while the worker ends, because a poll asks for no more than the free slots.
        if self.ready_sender.try_send(ready).is_err() {
            let release = Settlement::new(lease, Verdict::Release);
            self.state.pending.push_back(release);
        }
    }

    /// When to poll next without a cause, and which wake-ups to listen for until then.
    fn plan_next_poll(&mut self, next_parked: Option<Duration>, is_full: bool) {
        let free = if self.stop.is_cancelled() {
            Capacity::default()
        } else {
            self.free_capacity()
        };
        // A wake-up that no slot can use would only have to be passed on.
        let interest = match (free.fresh_limit, free.backfill_limit) {
            (0, 0) => WakeInterest::None,
            (0, _) => WakeInterest::Backfill,
            (_, 0) => WakeInterest::Fresh,
            (_, _) => WakeInterest::All,
        };
        let _ = self.interest.send_replace(interest);
        // Redis counts whole milliseconds. One more, because otherwise the first poll comes too early.
        let parked = next_parked.map(|parked| parked + Duration::from_millis(1));
        let delay = match free.limit {
            0 => POLL_INTERVAL,
            // The queue gave as much as was asked for, so it probably has more.
            _ if is_full => Duration::ZERO,
            _ => parked.map_or(POLL_INTERVAL, |parked| parked.min(POLL_INTERVAL)),
        };
        self.state.next_poll_at = Instant::now() + delay;
    }
}

/// Logs and counts what a poll found beside the claimed tickets.
fn report(reply: &PollReply) {
    if reply.reaped > 0 {
        metrics::counter!("pathbound_orphans_recovered_total").increment(reply.reaped);
        tracing::warn!(
            reaped = reply.reaped,
            "took back the tickets of a dead worker"
        );
    }
    for reason in &reply.refused {
        count_refused(reason.clone());
        tracing::error!(reason, "refused a ticket");
    }
}

fn count_refused(reason: String) {
    metrics::counter!("pathbound_tickets_refused_total", "reason" => reason).increment(1);
}
