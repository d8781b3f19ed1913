//! One budget as one process sees it: a state machine, with the time as an argument.
//!
//! It holds the permits that the fleet's ledger has leased to the process, keeps what answers said until the next
//! call to the ledger takes it along, and says when to make that call. It sends nothing itself: `mod.rs` drives it
//! with Redis and tokio, and the simulation in `tests/it/pacing` with virtual time. Times count from any beginning.

use std::{collections::VecDeque, time::Duration};

use super::{
    Announced,
    breaker::Breaker,
    ledger::{Question, Settled, Standing, Told},
    pace::Pace,
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
pub enum Taken {
    /// It may, now. The tick of the permit's grant goes with it.
    Permit { tick: i64 },
    /// Not yet: it tries again then, or when the ledger has answered.
    Wait(Duration),
    /// Not for long: the tenant is parked until then, and holds no slot.
    Park(Duration),
}

/// See the module.
#[derive(Debug)]
pub struct Local {
    max_share: f64,
    /// By class; backfill's permits are good for fresh calls too.
    leases: [VecDeque<Lease>; 2],
    /// How many permits to ask for beyond the callers that wait: doubled by each lease that is spent in time.
    appetite: [u32; 2],
    parked: [Duration; 2],
    ask_again: [Duration; 2],
    asked: Option<Asked>,
    answers: VecDeque<Answer>,
    unused: Vec<(i64, u32)>,
    flush_at: Option<Duration>,
    /// How long answers take, smoothed.
    latency: Duration,
    away: Option<Away>,
    standing: Standing,
    /// When the window ends, as last heard.
    window_end: Duration,
    processes: u32,
    smooth: Pace,
    alone: Pace,
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
    announced: Announced,
}

/// Redis is away.
#[derive(Debug)]
struct Away {
    retry_at: Duration,
    retry: Duration,
}

impl Local {
    /// `max_share`: of each announced limit, for the whole fleet.
    #[must_use]
    pub fn new(max_share: f64) -> Self {
        let mut made = Self {
            max_share,
            leases: [VecDeque::new(), VecDeque::new()],
            appetite: [1; 2],
            parked: [Duration::ZERO; 2],
            ask_again: [Duration::ZERO; 2],
            asked: None,
            answers: VecDeque::new(),
            unused: Vec::new(),
            flush_at: None,
            latency: Duration::ZERO,
            away: None,
            standing: Standing {
                limit: FIRST_LIMIT,
                ..Standing::default()
            },
            window_end: Duration::ZERO,
            processes: FIRST_PROCESSES,
            smooth: Pace::new(1, WINDOW, 1),
            alone: Pace::new(1, WINDOW, 1),
            breaker: Breaker::default(),
        };
        made.set_pace();
        made
    }

    /// Takes a permit for one call of a class.
    pub fn take(&mut self, class: Class, now: Duration) -> Taken {
        if let Err(until) = self.breaker.check(now) {
            return if until > now + IN_PLACE {
                Taken::Park(until)
            } else {
                Taken::Wait(until)
            };
        }
        let taken = self.take_within_budget(class, now);
        if matches!(taken, Taken::Permit { .. }) {
            self.breaker.goes(now);
        }
        taken
    }

    fn take_within_budget(&mut self, class: Class, now: Duration) -> Taken {
        self.void_leases(now);
        let from: &[usize] = if class == Class::Fresh { &[0, 1] } else { &[1] };
        if let Some(of) = from.iter().copied().find(|of| !self.leases[*of].is_empty()) {
            if let Err(wait) = self.smooth.take(now) {
                return Taken::Wait(now + wait);
            }
            return self.spend(of);
        }
        if self.away.is_some() {
            return self.take_alone(class, now);
        }
        let parked = self.parked[index(class)];
        if parked > now {
            return if parked > now + IN_PLACE {
                Taken::Park(parked)
            } else {
                Taken::Wait(parked)
            };
        }
        // The ledger is asked, and its answer wakes the caller; or it said when to ask again.
        let ask_again = self.ask_again[index(class)];
        Taken::Wait(if ask_again > now {
            ask_again
        } else {
            now + IN_PLACE
        })
    }

    fn spend(&mut self, of: usize) -> Taken {
        let Some(lease) = self.leases[of].front_mut() else {
            return Taken::Wait(Duration::ZERO);
        };
        lease.left -= 1;
        let tick = lease.tick;
        if lease.left == 0 {
            self.leases[of].pop_front();
            // A fresh call takes what it needs and no more: the rest of its reserve is for others.
            if of == index(Class::Backfill) {
                self.appetite[of] = (self.appetite[of] * 2).min(MOST);
            }
        }
        Taken::Permit { tick }
    }

    /// Nobody counts for the fleet: fresh calls at half the budget shared among the processes that were there last,
    /// backfill not at all.
    fn take_alone(&self, class: Class, now: Duration) -> Taken {
        let retry_at = self.away.as_ref().map_or(now, |away| away.retry_at);
        if retry_at <= now {
            // Redis is asked first: where it is back, a call beside the ledger would be one too many.
            return Taken::Wait(now + IN_PLACE);
        }
        let until = match class {
            Class::Backfill => retry_at + IN_PLACE * 2,
            Class::Fresh => match self.parked[0]
                .checked_sub(now)
                .filter(|wait| !wait.is_zero())
            {
                Some(wait) => now + wait,
                None => match self.alone.take(now) {
                    Ok(()) => return Taken::Permit { tick: 0 },
                    Err(wait) => now + wait,
                },
            },
        };
        if until > now + IN_PLACE {
            Taken::Park(until)
        } else {
            Taken::Wait(until)
        }
    }

    /// The call to make to the ledger now, if any. `waiting`: callers that wait, by class. Exactly one call is under
    /// way at a time, and [`told`](Self::told) ends it.
    pub fn question(&mut self, waiting: [u32; 2], now: Duration) -> Option<Question> {
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
                lacking.max(self.appetite[of]).min(MOST)
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
            .map(|answer| Settled {
                tick: answer.tick,
                sent_ago: now.saturating_sub(answer.sent),
                got_ago: now.saturating_sub(answer.got),
                refused: answer.refused,
                announced: answer.announced,
            })
            .collect();
        self.flush_at = (!self.answers.is_empty()).then_some(now);
        self.asked = Some(Asked {
            at: now,
            class,
            want,
        });
        Some(Question {
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
    pub fn told(&mut self, told: Option<&Told>, now: Duration) -> Option<(Class, Duration)> {
        let asked = self.asked.take()?;
        let Some(told) = told else {
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
        let changed =
            (self.standing.limit, self.processes) != (told.standing.limit, told.processes);
        (self.standing, self.processes) = (told.standing, told.processes);
        if let Some(reset_in) = told.standing.reset_in {
            self.window_end = now + reset_in;
        }
        if changed {
            self.set_pace();
        }
        if told.granted > 0 {
            let lease = Lease {
                tick: told.tick,
                left: told.granted,
                until: asked.at + told.valid,
            };
            self.leases[index(asked.class)].push_back(lease);
            return None;
        }
        if asked.want == 0 {
            return None;
        }
        let until = now + told.wait.max(Duration::from_millis(1));
        if told.wait <= IN_PLACE {
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
        Some((asked.class, told.wait))
    }

    /// Takes in what the answer to a call said: the call was sent then, with a permit of that tick (0: without one).
    pub fn answered(
        &mut self,
        tick: i64,
        sent: Duration,
        refused: bool,
        announced: Announced,
        now: Duration,
    ) {
        self.answers.push_back(Answer {
            tick,
            sent,
            got: now,
            refused,
            announced,
        });
        self.latency = (self.latency * 15 + now.saturating_sub(sent).min(WINDOW)) / 16;
        self.flush_at
            .get_or_insert(now + FLUSH.max(self.latency / 3));
    }

    /// After a 429: until when nothing is sent. The next answer of the ledger may know better.
    pub fn throttled(&mut self, announced: Announced, now: Duration) -> Duration {
        let told = self
            .window_end
            .checked_sub(now)
            .filter(|left| !left.is_zero());
        let wait = told.map_or_else(
            || announced.until_reset(),
            |left| left.max(announced.retry_after.unwrap_or_default()),
        );
        let until = now + wait;
        self.parked = self.parked.map(|parked| parked.max(until));
        until
    }

    /// Whether something is kept that a later call has to take along.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.answers.is_empty()
            || !self.unused.is_empty()
            || self.leases.iter().any(|leases| !leases.is_empty())
    }

    /// Permits that were not used in time are void, and go back.
    fn void_leases(&mut self, now: Duration) {
        for (leases, appetite) in self.leases.iter_mut().zip(&mut self.appetite) {
            while leases.front().is_some_and(|lease| lease.until <= now) {
                let Some(lease) = leases.pop_front() else {
                    break;
                };
                self.unused.push((lease.tick, lease.left));
                *appetite = 1;
                self.flush_at = Some(now);
            }
        }
    }

    fn set_pace(&mut self) {
        let limit = self.standing.limit;
        // The window's whole limit in no less than a second: a burst is no friend of a server's.
        self.smooth = Pace::new(limit, Duration::from_secs(1), (limit / 20).max(16));
        let alone = f64::from(limit) * self.max_share / f64::from(2 * self.processes);
        self.alone = Pace::new(1, WINDOW.div_f64(alone.max(0.01)), 1);
    }
}

const fn index(class: Class) -> usize {
    match class {
        Class::Fresh => 0,
        Class::Backfill => 1,
    }
}
