//! The breaker of one workspace: when Intercom only fails (5xx, time-outs), a process stops asking for a while.
//! It knows nothing of budgets, and a refusal (4xx, 429) is an answer.

use std::time::Duration;

/// So many failures in a row open it. A slice of threads has sixteen calls under way, each tried twice.
const FAILURES: u32 = 40;
/// How long it is open at first; doubled with each probe that fails.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// For so long a probe may be without an answer before another one goes.
const PROBE: Duration = Duration::from_secs(15);
/// While a probe is under way, others look again after this.
const LOOK: Duration = Duration::from_secs(1);

/// Closed until too many calls fail in a row; then open, and after a while one call goes alone.
#[derive(Debug)]
pub(super) enum Breaker {
    Closed { failures: u32 },
    Open { until: Duration, times: u32 },
    Probing { until: Duration, times: u32 },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a call may go; else when to look again.
    pub(super) fn check(&self, now: Duration) -> Result<(), Duration> {
        match *self {
            Self::Open { until, .. } if now < until => Err(until),
            Self::Probing { until, .. } if now < until => Err(until.min(now + LOOK)),
            _ => Ok(()),
        }
    }

    /// A call goes: if the breaker is not closed, it is the probe.
    pub(super) fn on_send(&mut self, now: Duration) {
        if let Self::Open { times, .. } | Self::Probing { times, .. } = *self {
            *self = Self::Probing {
                until: now + PROBE,
                times,
            };
        }
    }

    /// A call was answered, whatever the answer.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// A call failed. Returns whether that opened the breaker.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        let times = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => {
                *self = Self::Closed {
                    failures: failures + 1,
                };
                return false;
            }
            Self::Closed { .. } => 0,
            // It was under way when others opened it, and proves nothing new.
            Self::Open { .. } => return false,
            Self::Probing { times, .. } => times + 1,
        };
        *self = Self::Open {
            until: now + (SHORTEST * 2_u32.saturating_pow(times)).min(LONGEST),
            times,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_many_failures_in_a_row_and_lets_one_probe_go() {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(at(0)));
        }
        breaker.answered();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(at(0)));
        }
        assert!(breaker.check(at(0)).is_ok());
        assert!(breaker.failed(at(0)));
        assert!(!breaker.failed(at(0)), "a straggler");
        assert_eq!(breaker.check(at(0)), Err(at(1)));
        assert!(breaker.check(at(1)).is_ok());
        breaker.on_send(at(1));
        assert_eq!(breaker.check(at(1)), Err(at(2)), "the probe goes alone");
        assert!(breaker.failed(at(2)));
        assert_eq!(breaker.check(at(2)), Err(at(4)), "twice as long");
        breaker.on_send(at(4));
        breaker.answered();
        assert!(breaker.check(at(4)).is_ok());
    }

    #[test]
    fn a_probe_without_an_answer_is_replaced_and_the_wait_is_capped() {
        let mut breaker = Breaker::Open {
            until: at(1),
            times: 0,
        };
        breaker.on_send(at(1));
        assert!(breaker.check(at(1) + PROBE).is_ok());
        let mut breaker = Breaker::Probing {
            until: at(1),
            times: 60,
        };
        assert!(breaker.failed(at(0)));
        assert_eq!(breaker.check(at(0)), Err(LONGEST));
    }
}
