//! The one call of a working worker: settle what ended, take back what died, claim what is next.

use std::time::Duration;

use super::{Lease, Queue, QueueError, client::BITE};
use crate::domain::Verdict;

/// How long a lease lasts without renewal, and so how long a dead worker's work waits at most (plus a sweep).
pub(super) const LEASE: Duration = Duration::from_secs(6);

/// A ticket is not parked for longer: Postgres knows when it is due, and Redis need not remember it for days.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// From this many crashes on, a ticket is worked beside no other such one.
pub(super) const SUSPECT: u32 = 2;

/// The end of a lease. The ticket is bytes, since a refused one has no other form.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub ticket: Vec<u8>,
    pub fence: i64,
    pub verdict: Verdict,
}

/// What a worker has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub most: usize,
    pub most_backfill: usize,
    /// Whether a ticket whose workers died may be among them.
    pub suspect: bool,
    /// A wake-up came that this worker has no room for: wake somebody else.
    pub pass_on: bool,
}

/// What came of an exchange.
#[derive(Debug, Default)]
pub(super) struct Exchanged {
    /// When the next parked ticket becomes ready.
    pub next_parked: Option<Duration>,
    /// Leases of dead workers that were taken back.
    pub swept: u64,
    /// In the order of the settlements: whether the lease was still ours.
    pub settled: Vec<bool>,
    pub claimed: Vec<Claimed>,
    /// Why tickets were refused and dropped.
    pub refused: Vec<String>,
}

/// A leased ticket, not yet read.
#[derive(Debug)]
pub(super) struct Claimed {
    pub ticket: Vec<u8>,
    pub fence: i64,
    pub crashes: u32,
    /// How long it had been ready.
    pub waited: Duration,
}

type Answer = (
    i64,
    u64,
    Vec<bool>,
    Vec<(Vec<u8>, i64, u32, u64)>,
    Vec<String>,
);

impl Queue {
    /// Safe to repeat when the answer was lost: a settlement is refused the second time, and what was leased
    /// to nobody runs out.
    pub(super) async fn exchange(
        &self,
        settlements: &[Settlement],
        room: Room,
    ) -> Result<Exchanged, QueueError> {
        let cap = self.cap();
        let (next_parked, swept, settled, claimed, refused): Answer = self
            .timed("exchange", |mut redis| async move {
                let mut call = self.scripts().exchange.prepare_invoke();
                call.key(self.prefix())
                    .arg(LEASE.as_millis() as u64)
                    .arg(cap);
                call.arg(room.most.min(BITE))
                    .arg(room.most_backfill.min(BITE));
                call.arg(u8::from(room.suspect)).arg(u8::from(room.pass_on));
                for Settlement {
                    ticket,
                    fence,
                    verdict,
                } in settlements
                {
                    let wait = if let Verdict::Snooze(wait) = verdict {
                        (*wait).min(LONGEST_WAIT).as_millis()
                    } else {
                        0
                    };
                    call.arg(ticket)
                        .arg(*fence)
                        .arg(verdict.as_str())
                        .arg(wait as u64);
                }
                call.invoke_async(&mut redis).await
            })
            .await?;
        let claimed = claimed
            .into_iter()
            .map(|(ticket, fence, crashes, waited)| Claimed {
                ticket,
                fence,
                crashes,
                waited: Duration::from_millis(waited),
            })
            .collect();
        let next_parked = u64::try_from(next_parked).ok().map(Duration::from_millis);
        Ok(Exchanged {
            next_parked,
            swept,
            settled,
            claimed,
            refused,
        })
    }

    /// Renews leases; returns the tickets that are no longer ours.
    pub(super) async fn renew(&self, leases: &[Lease]) -> Result<Vec<String>, QueueError> {
        let mut lost = Vec::new();
        for bite in leases.chunks(BITE) {
            let more: Vec<String> = self
                .timed("renew", |mut redis| async move {
                    let mut call = self.scripts().renew.prepare_invoke();
                    call.key(self.prefix()).arg(LEASE.as_millis() as u64);
                    for lease in bite {
                        call.arg(lease.ticket.to_string()).arg(lease.fence);
                    }
                    call.invoke_async::<Vec<String>>(&mut redis).await
                })
                .await?;
            lost.extend(more);
        }
        Ok(lost)
    }
}
