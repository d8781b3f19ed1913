//! One budget as one process sees it: a state machine, with the time as an argument.
//!
//! It holds the permits that the fleet's ledger has leased to the process, keeps what answers said until the next
//! call to the ledger takes it along, and says when to make that call. It sends nothing itself: `mod.rs` drives it
//! with Redis and tokio, and the simulation in `tests/simulation` with virtual time. Times count from any beginning.

use std::{collections::VecDeque, time::Duration};

use super::{
    RateLimitHeaders,
    breaker::Breaker,
    ledger::{BudgetStatus, CallReport, LedgerReply, LedgerRequest},
    limiter::Limiter,
};
use crate::domain::Class;

/// Intercom counts in windows of ten seconds (1,000 a minute shows as 167 per window).
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// A wait this short keeps the slot; a longer one parks the tenant.
const IN_PLACE: Duration = Duration::from_millis(300);
/// What an answer said waits so long for a call that takes it along: others of the fleet want to know. Or a third
/// of the time that answers take, if that is longer: they know of it no sooner anyway.
pub const FLUSH: Duration = Duration::from_millis(150);
/// Or until there are so many.
const FULL: usize = 48;
/// No call settles more than this.
const BITE: usize = 128;
/// Permits that one call asks for at most.
const MOST: u32 = 64;
/// Redis is asked again after so long when it failed, doubled each time up to the longest.
const RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// Assumed before the ledger was ever heard: the lowest documented limit, and some other processes.
const FIRST_LIMIT: u32 = 166;
const FIRST_PROCESSES: u32 = 4;

/// The answer to a caller that wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// It may, now. The tick of the permit's grant goes with it.
    Permit { tick: i64 },
    /// Not yet: it tries again then, or when the ledger has answered.
    Wait(Duration),
    /// Not for long: the tenant is parked until then, and holds no slot.
    Park(Duration),
}

/// See the module.
#[derive(Debug)]
pub struct LocalBudget {
    max_share: f64,
    /// By class; backfill's permits are good for fresh calls too.
    leases: [VecDeque<Lease>; 2],
    /// How many permits to ask for beyond the callers that wait: doubled by each lease that is spent in time.
    prefetch: [u32; 2],
    parked: [Duration; 2],
    ask_again: [Duration; 2],
    asked: Option<Asked>,
    answers: VecDeque<Answer>,
    unused: Vec<(i64, u32)>,
    flush_at: Option<Duration>,
    /// How long answers take, smoothed.
    latency: Duration,
    away: Option<Away>,
    status: BudgetStatus,
    /// When the window ends, as last heard.
    window_end: Duration,
    processes: u32,
    burst_limiter: Limiter,
    offline_limiter: Limiter,
    pub(super) breaker: Breaker,
}

#[derive(Debug)]
struct Lease {
    tick: i64,
    left: u32,
    until: Duration,
}

#[derive(Debug)]
struct Asked {
    at: Duration,
    class: Class,
    want: u32,
}

#[derive(Debug)]
struct Answer {
    tick: i64,
    sent: Duration,
    got: Duration,
    refused: bool,
    headers: RateLimitHeaders,
}

/// Redis is away.
#[derive(Debug)]
struct Away {
    retry_at: Duration,
    retry: Duration,
}

impl LocalBudget {
    /// `max_share`: of each announced limit, for the whole fleet.
    #[must_use]
    pub fn new(max_share: f64) -> Self {
        let mut made = Self {
            max_share,
            leases: [VecDeque::new(), VecDeque::new()],
            prefetch: [1; 2],
            parked: [Duration::ZERO; 2],
            ask_again: [Duration::ZERO; 2],
            asked: None,
            answers: VecDeque::new(),
            unused: Vec::new(),
            flush_at: None,
            latency: Duration::ZERO,
            away: None,
            status: BudgetStatus {
                limit: FIRST_LIMIT,
                ..BudgetStatus::default()
            },
            window_end: Duration::ZERO,
            processes: FIRST_PROCESSES,
            burst_limiter: Limiter::new(1, WINDOW, 1),
            offline_limiter: Limiter::new(1, WINDOW, 1),
            breaker: Breaker::default(),
        };
        made.set_pace();
        made
    }

    /// Takes a permit for one call of a class.
    pub fn acquire(&mut self, class: Class, now: Duration) -> Acquire {
        if let Err(until) = self.breaker.check(now) {
            return if until > now + IN_PLACE {
                Acquire::Park(until)
            } else {
                Acquire::Wait(until)
            };
        }
        let taken = self.acquire_within_budget(class, now);
        if matches!(taken, Acquire::Permit { .. }) {
            self.breaker.on_send(now);
        }
        taken
    }

    fn acquire_within_budget(&mut self, class: Class, now: Duration) -> Acquire {
        self.void_leases(now);
        let from: &[usize] = if class == Class::Fresh { &[0, 1] } else { &[1] };
        if let Some(of) = from.iter().copied().find(|of| !self.leases[*of].is_empty()) {
            if let Err(wait) = self.burst_limiter.take(now) {
                return Acquire::Wait(now + wait);
            }
            return self.spend(of);
        }
        if self.away.is_some() {
            return self.acquire_offline(class, now);
        }
        let parked = self.parked[index(class)];
        if parked > now {
            return if parked > now + IN_PLACE {
                Acquire::Park(parked)
            } else {
                Acquire::Wait(parked)
            };
        }
        // The ledger is asked, and its answer wakes the caller; or it said when to ask again.
        let ask_again = self.ask_again[index(class)];
        Acquire::Wait(if ask_again > now {
            ask_again
        } else {
            now + IN_PLACE
        })
    }

    fn spend(&mut self, of: usize) -> Acquire {
        let Some(lease) = self.leases[of].front_mut() else {
            return Acquire::Wait(Duration::ZERO);
        };
        lease.left -= 1;
        let tick = lease.tick;
        if lease.left == 0 {
            self.leases[of].pop_front();
            // A fresh call takes what it needs and no more: the rest of its reserve is for others.
            if of == index(Class::Backfill) {
                self.prefetch[of] = (self.prefetch[of] * 2).min(MOST);
            }
        }
        Acquire::Permit { tick }
    }

    /// Nobody counts for the fleet: fresh calls at half the budget shared among the processes that were there last,
    /// backfill not at all.
    fn acquire_offline(&self, class: Class, now: Duration) -> Acquire {
        let retry_at = self.away.as_ref().map_or(now, |away| away.retry_at);
        if retry_at <= now {
            // Redis is asked first: where it is back, a call beside the ledger would be one too many.
            return Acquire::Wait(now + IN_PLACE);
        }
        let until = match class {
            Class::Backfill => retry_at + IN_PLACE * 2,
            Class::Fresh => match self.parked[0]
                .checked_sub(now)
                .filter(|wait| !wait.is_zero())
            {
                Some(wait) => now + wait,
                None => match self.offline_limiter.take(now) {
                    Ok(()) => return Acquire::Permit { tick: 0 },
                    Err(wait) => now + wait,
                },
            },
        };
        if until > now + IN_PLACE {
            Acquire::Park(until)
        } else {
            Acquire::Wait(until)
        }
    }

    /// The call to make to the ledger now, if any. `waiting`: callers that wait, by class. Exactly one call is under
    /// way at a time, and [`reply`](Self::reply) ends it.
    pub fn next_request(&mut self, waiting: [u32; 2], now: Duration) -> Option<LedgerRequest> {
        if self.asked.is_some() || self.away.as_ref().is_some_and(|away| now < away.retry_at) {
            return None;
        }
        self.void_leases(now);
        let held: [u32; 2] =
            [0, 1].map(|of: usize| self.leases[of].iter().map(|lease| lease.left).sum());
        let wants = |class: Class| {
            let of = index(class);
            let may = self.parked[of] <= now && self.ask_again[of] <= now;
            let lacking = if may {
                waiting[of].saturating_sub(held[of])
            } else {
                0
            };
            if lacking > 0 {
                lacking.max(self.prefetch[of]).min(MOST)
            } else {
                0
            }
        };
        let (class, want) = match (wants(Class::Fresh), wants(Class::Backfill)) {
            (0, want) => (Class::Backfill, want),
            (want, _) => (Class::Fresh, want),
        };
        // Whether Redis is back has to be asked even when nobody waits: backfill is parked, and does not.
        let due = self.answers.len() >= FULL
            || self.flush_at.is_some_and(|at| at <= now)
            || self.away.is_some();
        if want == 0 && !due {
            return None;
        }
        let taken = self.answers.len().min(BITE);
        let answers = self
            .answers
            .drain(..taken)
            .map(|answer| CallReport {
                tick: answer.tick,
                sent_ago: now.saturating_sub(answer.sent),
                got_ago: now.saturating_sub(answer.got),
                refused: answer.refused,
                headers: answer.headers,
            })
            .collect();
        self.flush_at = (!self.answers.is_empty()).then_some(now);
        self.asked = Some(Asked {
            at: now,
            class,
            want,
        });
        Some(LedgerRequest {
            class: Some(class),
            want,
            answers,
            unused: std::mem::take(&mut self.unused),
        })
    }

    /// The ledger's answer, or that there was none. Returns for how long a class is parked by it.
    ///
    /// What a failed call settled is not sent again: it may have been settled, and counting an answer twice would
    /// give permits twice. The ledger gives up on such permits by itself.
    pub fn on_reply(
        &mut self,
        reply: Option<&LedgerReply>,
        now: Duration,
    ) -> Option<(Class, Duration)> {
        let asked = self.asked.take()?;
        let Some(reply) = reply else {
            let retry = self
                .away
                .as_ref()
                .map_or(RETRY, |away| (away.retry * 2).min(LONGEST_RETRY));
            self.away = Some(Away {
                retry_at: now + retry,
                retry,
            });
            return None;
        };
        self.away = None;
        let changed = (self.status.limit, self.processes) != (reply.status.limit, reply.processes);
        (self.status, self.processes) = (reply.status, reply.processes);
        if let Some(reset_in) = reply.status.reset_in {
            self.window_end = now + reset_in;
        }
        if changed {
            self.set_pace();
        }
        if reply.granted > 0 {
            let lease = Lease {
                tick: reply.tick,
                left: reply.granted,
                until: asked.at + reply.valid,
            };
            self.leases[index(asked.class)].push_back(lease);
            return None;
        }
        if asked.want == 0 {
            return None;
        }
        let until = now + reply.wait.max(Duration::from_millis(1));
        if reply.wait <= IN_PLACE {
            self.ask_again[index(asked.class)] = until;
            return None;
        }
        // What is not there for fresh calls is not there for backfill either.
        let parks: &[usize] = if asked.class == Class::Fresh {
            &[0, 1]
        } else {
            &[1]
        };
        for class in parks {
            self.parked[*class] = self.parked[*class].max(until);
        }
        Some((asked.class, reply.wait))
    }

    /// Takes in what the answer to a call said: the call was sent then, with a permit of that tick (0: without one).
    pub fn answered(
        &mut self,
        tick: i64,
        sent: Duration,
        refused: bool,
        headers: RateLimitHeaders,
        now: Duration,
    ) {
        self.answers.push_back(Answer {
            tick,
            sent,
            got: now,
            refused,
            headers,
        });
        self.latency = (self.latency * 15 + now.saturating_sub(sent).min(WINDOW)) / 16;
        self.flush_at
            .get_or_insert(now + FLUSH.max(self.latency / 3));
    }

    /// After a 429: until when nothing is sent. The next answer of the ledger may know better.
    pub fn throttled(&mut self, headers: RateLimitHeaders, now: Duration) -> Duration {
        let reply = self
            .window_end
            .checked_sub(now)
            .filter(|left| !left.is_zero());
        let wait = reply.map_or_else(
            || headers.until_reset(),
            |left| left.max(headers.retry_after.unwrap_or_default()),
        );
        let until = now + wait;
        self.parked = self.parked.map(|parked| parked.max(until));
        until
    }

    /// Whether something is kept that a later call has to take along.
    #[must_use]
    pub fn has_unsettled(&self) -> bool {
        !self.answers.is_empty()
            || !self.unused.is_empty()
            || self.leases.iter().any(|leases| !leases.is_empty())
    }

    /// Permits that were not used in time are void, and go back.
    fn void_leases(&mut self, now: Duration) {
        for (leases, prefetch) in self.leases.iter_mut().zip(&mut self.prefetch) {
            while leases.front().is_some_and(|lease| lease.until <= now) {
                let Some(lease) = leases.pop_front() else {
                    break;
                };
                self.unused.push((lease.tick, lease.left));
                *prefetch = 1;
                self.flush_at = Some(now);
            }
        }
    }

    fn set_pace(&mut self) {
        let limit = self.status.limit;
        // The window's whole limit in no less than a second: a burst is no friend of a server's.
        self.burst_limiter = Limiter::new(limit, Duration::from_secs(1), (limit / 20).max(16));
        let alone = f64::from(limit) * self.max_share / f64::from(2 * self.processes);
        self.offline_limiter = Limiter::new(1, WINDOW.div_f64(alone.max(0.01)), 1);
    }
}

const fn index(class: Class) -> usize {
    match class {
        Class::Fresh => 0,
        Class::Backfill => 1,
    }
}
