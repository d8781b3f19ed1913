//! The one call of a working worker: settle leases, reap expired ones, claim new ones.

use std::time::Duration;

use super::{Lease, Queue, QueueError, SliceEnd, client::BATCH_SIZE};
use crate::{backoff::Backoff, domain::Verdict};

/// How long a lease lasts without renewal. A dead worker's ticket waits this long, plus the time to the next reap.
pub(super) const LEASE: Duration = Duration::from_secs(6);

/// A worker polls at least this often.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Between two tries of a call of Redis.
pub(super) const REDIS_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(20), Duration::from_secs(1)).with_half_jitter();

/// The longest time that a ticket is parked. Postgres knows when its stream is due, so that Redis need not
/// remember it for days.
const MAX_SNOOZE: Duration = Duration::from_secs(60 * 60);

/// From this many crashes on, a worker runs a ticket only if it runs no other such one.
pub(super) const SUSPECT: u32 = 2;

/// The end of a lease. The ticket is bytes, because a ticket that cannot be parsed has no other form.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub ticket: Vec<u8>,
    pub fence: i64,
    pub verdict: Verdict,
    /// What is counted of its slice. `None` if no slice has begun.
    pub counted: Option<Counted>,
}

/// What is counted of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    failed: bool,
    calls: u32,
    /// How long it has held its slot.
    held: Duration,
}

impl Settlement {
    /// The end of a slice, which is counted when Redis settles it. A settlement that is sent twice is refused the second
    /// time, so it is counted once.
    pub(super) fn of_slice(lease: Lease, end: SliceEnd, held: Duration) -> Self {
        Self {
            counted: Some(Counted {
                failed: end.failed,
                calls: end.calls,
                held,
            }),
            ..Self::new(lease, end.verdict)
        }
    }

    pub(super) fn new(lease: Lease, verdict: Verdict) -> Self {
        Self {
            ticket: lease.ticket.to_string().into_bytes(),
            fence: lease.fence,
            verdict,
            counted: None,
        }
    }

    /// The milliseconds of a snooze. Behind them, whether the slice has failed, how many calls it has sent, and for how
    /// many milliseconds it held its slot.
    fn numbers(&self) -> String {
        let wait = snooze_milliseconds(self.verdict);
        match self.counted {
            Some(Counted {
                failed,
                calls,
                held,
            }) => format!("{wait}:{}:{calls}:{}", u8::from(failed), held.as_millis()),
            None => wait.to_string(),
        }
    }
}

/// How many tickets a worker can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capacity {
    pub limit: usize,
    /// How many of them may be fresh.
    pub fresh_limit: usize,
    /// How many of them may be backfill.
    pub backfill_limit: usize,
    /// Whether a suspect may be among them: a ticket whose last leases expired.
    pub suspect: bool,
    /// A wake-up came that this worker has no slot for, so another worker must be woken.
    pub pass_on: bool,
}

/// The answer to a poll.
#[derive(Debug, Default)]
pub(super) struct PollReply {
    /// When the next parked ticket becomes ready.
    pub next_parked: Option<Duration>,
    /// How many expired leases were taken back.
    pub reaped: u64,
    /// In the order of the settlements: whether the lease still belonged to this worker.
    pub settled: Vec<bool>,
    pub claimed: Vec<ClaimedTicket>,
    /// Why tickets were refused and dropped.
    pub refused: Vec<String>,
}

/// A leased ticket that is not parsed yet.
#[derive(Debug)]
pub(super) struct ClaimedTicket {
    pub ticket: Vec<u8>,
    pub fence: i64,
    pub crashes: u32,
    /// How long it had been ready.
    pub waited: Duration,
}

/// What the script answers.
type RawPollReply = (
    i64,
    u64,
    Vec<bool>,
    Vec<(Vec<u8>, i64, u32, u64)>,
    Vec<String>,
);

impl Queue {
    /// Safe to repeat if the answer was lost, because a second settlement is refused and a lease that no worker
    /// heard of expires.
    pub(super) async fn poll(
        &self,
        settlements: &[Settlement],
        capacity: Capacity,
    ) -> Result<PollReply, QueueError> {
        let reply: RawPollReply = self
            .timed("poll", |mut redis| async move {
                let mut call = self.scripts().poll.prepare_invoke();
                call.key(self.prefix())
                    .arg(LEASE.as_millis() as u64)
                    .arg(self.cap())
                    .arg(capacity.limit.min(BATCH_SIZE))
                    .arg(capacity.fresh_limit.min(BATCH_SIZE))
                    .arg(capacity.backfill_limit.min(BATCH_SIZE))
                    .arg(u8::from(capacity.suspect))
                    .arg(u8::from(capacity.pass_on));
                for settlement in settlements {
                    call.arg(&settlement.ticket)
                        .arg(settlement.fence)
                        .arg(settlement.verdict.as_str())
                        .arg(settlement.numbers());
                }
                call.invoke_async(&mut redis).await
            })
            .await?;
        Ok(PollReply::read(reply))
    }

    /// Renews leases. Returns the tickets that this worker no longer leases.
    pub(super) async fn renew(&self, leases: &[Lease]) -> Result<Vec<String>, QueueError> {
        let mut lost = Vec::new();
        for batch in leases.chunks(BATCH_SIZE) {
            let lost_of_batch: Vec<String> = self
                .timed("renew", |mut redis| async move {
                    let mut call = self.scripts().renew.prepare_invoke();
                    call.key(self.prefix()).arg(LEASE.as_millis() as u64);
                    for lease in batch {
                        call.arg(lease.ticket.to_string()).arg(lease.fence);
                    }
                    call.invoke_async(&mut redis).await
                })
                .await?;
            lost.extend(lost_of_batch);
        }
        Ok(lost)
    }
}

impl PollReply {
    fn read((next_parked, reaped, settled, claimed, refused): RawPollReply) -> Self {
        let claimed = claimed
            .into_iter()
            .map(|(ticket, fence, crashes, waited)| ClaimedTicket {
                ticket,
                fence,
                crashes,
                waited: Duration::from_millis(waited),
            })
            .collect();
        Self {
            // The script says -1 if nothing is parked.
            next_parked: u64::try_from(next_parked).ok().map(Duration::from_millis),
            reaped,
            settled,
            claimed,
            refused,
        }
    }
}

fn snooze_milliseconds(verdict: Verdict) -> u64 {
    match verdict {
        Verdict::Snooze(snooze) => snooze.min(MAX_SNOOZE).as_millis() as u64,
        Verdict::Done | Verdict::Requeue | Verdict::Release => 0,
    }
}
