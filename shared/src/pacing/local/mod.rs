//! One budget as one process sees it: a state machine that takes the time as an argument.
//!
//! It holds the permits that the ledger leased to the process, keeps call reports until the next call to the ledger,
//! and decides when to make that call. It does no I/O. `driver.rs` runs it with Redis and tokio, and the simulation
//! runs it in virtual time. Times count from any fixed moment.

mod leases;
mod offline;
mod reports;

use std::time::Duration;

use leases::{Leases, PermitLease, index};
use offline::Offline;
use reports::Reports;

pub use reports::FLUSH_DELAY;

use super::{
    headers::{RateLimitHeaders, WINDOW},
    limiter::Limiter,
    protocol::{BudgetStatus, LedgerReply, LedgerRequest},
};
use crate::domain::Class;

/// A caller waits this long in place. A longer wait parks the tenant, so that it holds no slot.
const MAX_INLINE_WAIT: Duration = Duration::from_millis(300);
/// Assumed until the first reply: the lowest documented limit, and some other processes.
const FIRST_LIMIT: u32 = 166;
const FIRST_PROCESSES: u32 = 4;

/// The decision about a call that wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// The call may be sent now. The tick of the permit's grant goes with it.
    Permit { tick: i64 },
    /// The caller tries again at this time, or earlier if the ledger has replied.
    Wait(Duration),
    /// The tenant is parked until this time.
    Park(Duration),
}

impl Acquire {
    /// Waits in place if the time is near, and parks otherwise.
    pub(super) fn until(at: Duration, now: Duration) -> Self {
        if at > now + MAX_INLINE_WAIT {
            Self::Park(at)
        } else {
            Self::Wait(at)
        }
    }
}

/// The state of one budget in one process.
#[derive(Debug)]
pub struct LocalBudget {
    max_share: f64,
    leases: Leases,
    reports: Reports,
    /// By class, until when callers are parked.
    parked: [Duration; 2],
    /// By class, when the ledger may be asked again.
    ask_again: [Duration; 2],
    in_flight: Option<InFlight>,
    offline: Option<Offline>,
    status: BudgetStatus,
    /// The window's end by the last reply.
    window_end: Duration,
    processes: u32,
    burst_limiter: Limiter,
    offline_limiter: Limiter,
}

/// The call to the ledger that has no reply yet.
#[derive(Debug)]
struct InFlight {
    sent_at: Duration,
    class: Class,
    requested: u32,
}

impl LocalBudget {
    /// `max_share`: the fleet's share of each announced limit.
    #[must_use]
    pub fn new(max_share: f64) -> Self {
        Self {
            max_share,
            leases: Leases::default(),
            reports: Reports::default(),
            parked: [Duration::ZERO; 2],
            ask_again: [Duration::ZERO; 2],
            in_flight: None,
            offline: None,
            status: BudgetStatus {
                limit: FIRST_LIMIT,
                ..BudgetStatus::default()
            },
            window_end: Duration::ZERO,
            processes: FIRST_PROCESSES,
            burst_limiter: burst_limiter(FIRST_LIMIT),
            offline_limiter: offline::limiter(FIRST_LIMIT, max_share, FIRST_PROCESSES),
        }
    }

    /// Takes a permit for one call of a class.
    pub fn acquire(&mut self, class: Class, now: Duration) -> Acquire {
        self.expire_leases(now);
        if self.leases.has(class) {
            // The limiter comes first, so that a permit is used only if its call is sent now.
            if let Err(wait) = self.burst_limiter.take(now) {
                return Acquire::Wait(now + wait);
            }
            return self
                .leases
                .spend(class)
                .map_or(Acquire::Wait(now), |tick| Acquire::Permit { tick });
        }
        if let Some(offline) = self.offline {
            return self.acquire_offline(class, offline.retry_at, now);
        }
        let parked = self.parked[index(class)];
        if parked > now {
            return Acquire::until(parked, now);
        }
        // A call to the ledger is due, and its reply wakes the caller. Or the ledger said when to ask again.
        let ask_again = self.ask_again[index(class)];
        Acquire::Wait(if ask_again > now {
            ask_again
        } else {
            now + MAX_INLINE_WAIT
        })
    }

    /// Without a ledger, fresh calls go on at the offline limiter's pace and backfill calls wait.
    fn acquire_offline(&self, class: Class, retry_at: Duration, now: Duration) -> Acquire {
        if retry_at <= now {
            // Redis is tried first. If it is back, a call beside the ledger would be one too many.
            return Acquire::Wait(now + MAX_INLINE_WAIT);
        }
        let parked = self.parked[index(Class::Fresh)];
        match class {
            Class::Backfill => Acquire::until(retry_at + MAX_INLINE_WAIT * 2, now),
            Class::Fresh if parked > now => Acquire::until(parked, now),
            Class::Fresh => match self.offline_limiter.take(now) {
                Ok(()) => Acquire::Permit { tick: 0 },
                Err(wait) => Acquire::until(now + wait, now),
            },
        }
    }

    /// The call to the ledger that is due now, if any. `waiting` counts the waiting callers by class.
    ///
    /// One call at a time is in flight, and [`on_reply`](Self::on_reply) ends it.
    pub fn next_request(&mut self, waiting: [u32; 2], now: Duration) -> Option<LedgerRequest> {
        if self.in_flight.is_some() || self.offline.is_some_and(|offline| now < offline.retry_at) {
            return None;
        }
        self.expire_leases(now);
        // Fresh calls first. The ledger grants one class per call.
        let (class, requested) = match self.requested(Class::Fresh, waiting, now) {
            0 => (
                Class::Backfill,
                self.requested(Class::Backfill, waiting, now),
            ),
            requested => (Class::Fresh, requested),
        };
        // Parked backfill never asks, so the process itself finds out whether Redis is back.
        if requested == 0 && !self.reports.are_due(now) && self.offline.is_none() {
            return None;
        }
        self.in_flight = Some(InFlight {
            sent_at: now,
            class,
            requested,
        });
        Some(LedgerRequest {
            class: Some(class),
            requested,
            reports: self.reports.take(now),
            unused: self.leases.take_unused(),
        })
    }

    fn requested(&self, class: Class, waiting: [u32; 2], now: Duration) -> u32 {
        if self.parked[index(class)] > now || self.ask_again[index(class)] > now {
            return 0;
        }
        self.leases.lacking(class, waiting[index(class)])
    }

    /// Takes in the ledger's reply, or `None` if the call failed. Returns the class that is parked by it, and for how
    /// long.
    ///
    /// Reports of a failed call are not sent again, because the script may have run: a report that is settled twice
    /// would free two permits. The ledger gives up lost permits by itself.
    pub fn on_reply(
        &mut self,
        reply: Option<&LedgerReply>,
        now: Duration,
    ) -> Option<(Class, Duration)> {
        let asked = self.in_flight.take()?;
        let Some(reply) = reply else {
            self.offline = Some(Offline::after(self.offline, now));
            return None;
        };
        self.offline = None;
        self.learn_status(reply, now);
        if reply.granted > 0 {
            let lease = PermitLease {
                tick: reply.tick,
                left: reply.granted,
                // From when the call was sent, so that the process never uses a permit after the ledger gave it up.
                until: asked.sent_at + reply.valid,
            };
            self.leases.add(asked.class, lease);
            return None;
        }
        if asked.requested == 0 {
            return None;
        }
        self.wait_for_permits(asked.class, reply.wait, now)
    }

    fn learn_status(&mut self, reply: &LedgerReply, now: Duration) {
        let known = (self.status.limit, self.processes);
        (self.status, self.processes) = (reply.status, reply.processes);
        if let Some(reset_in) = reply.status.reset_in {
            self.window_end = now + reset_in;
        }
        // New limiters only if something changed, because a new one forgets the calls before.
        if known != (self.status.limit, self.processes) {
            self.burst_limiter = burst_limiter(self.status.limit);
            self.offline_limiter =
                offline::limiter(self.status.limit, self.max_share, self.processes);
        }
    }

    fn wait_for_permits(
        &mut self,
        class: Class,
        wait: Duration,
        now: Duration,
    ) -> Option<(Class, Duration)> {
        let until = now + wait.max(Duration::from_millis(1));
        if wait <= MAX_INLINE_WAIT {
            self.ask_again[index(class)] = until;
            return None;
        }
        self.park(Class::Backfill, until);
        // If fresh calls get no permit, backfill calls get none either. The reverse does not hold.
        if class == Class::Fresh {
            self.park(Class::Fresh, until);
        }
        Some((class, wait))
    }

    fn park(&mut self, class: Class, until: Duration) {
        let parked = &mut self.parked[index(class)];
        *parked = until.max(*parked);
    }

    /// Takes in the response to a call that was sent at `sent_at` with a permit of that tick, or 0 without a permit.
    pub fn on_response(
        &mut self,
        tick: i64,
        sent_at: Duration,
        refused: bool,
        headers: RateLimitHeaders,
        now: Duration,
    ) {
        self.reports.push(tick, sent_at, refused, headers, now);
    }

    /// Parks all callers after a 429. Returns until when.
    pub fn on_throttled(&mut self, headers: RateLimitHeaders, now: Duration) -> Duration {
        // The ledger knows the window's end better than the whole seconds of the headers.
        let wait = match self.window_end.checked_sub(now) {
            Some(left) if !left.is_zero() => left.max(headers.retry_after.unwrap_or_default()),
            _ => headers.until_reset(),
        };
        self.park(Class::Fresh, now + wait);
        self.park(Class::Backfill, now + wait);
        now + wait
    }

    /// Whether reports or permits wait for a later call to the ledger.
    #[must_use]
    pub fn has_unsettled(&self) -> bool {
        !self.reports.is_empty() || !self.leases.is_empty()
    }

    /// Whether this process knows more than the ledger: a report, a permit, a refusal, or that Redis is away.
    #[must_use]
    pub fn is_needed(&self, now: Duration) -> bool {
        let is_parked = self.parked.iter().any(|until| *until > now);
        // Without a ledger the pace follows the last limit, which is good for a window.
        let is_offline = |offline: Offline| now < offline.retry_at + WINDOW;
        self.in_flight.is_some()
            || self.has_unsettled()
            || is_parked
            || self.offline.is_some_and(is_offline)
    }

    /// Expired permits go back at once, so that another process can use them.
    fn expire_leases(&mut self, now: Duration) {
        if self.leases.expire(now) {
            self.reports.flush(now);
        }
    }
}

/// The whole limit of a window in no less than a second, because Intercom's servers should not see one burst.
fn burst_limiter(limit: u32) -> Limiter {
    Limiter::new(limit, Duration::from_secs(1), (limit / 20).max(16))
}
