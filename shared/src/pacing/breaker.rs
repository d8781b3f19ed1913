//! The breaker of one workspace: if Intercom only fails (5xx, time-outs), a process stops calling for a while.
//!
//! It is apart from the budget. A refusal (4xx, 429) is a response and no failure.

use std::time::Duration;

use crate::{backoff::Backoff, telemetry::Repeats};

/// The breaker never opens after fewer failures in a row.
const MIN_FAILURES: u32 = 40;
/// How long it stays open. The pause doubles with each probe that fails.
const PAUSE: Backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this long without a response, another probe may be sent.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// A breaker that is not closed is kept for this long after its pause. The streams of a failing workspace are tried
/// again after an hour at the latest, and one probe is then enough.
const KEPT: Duration = Duration::from_secs(2 * 60 * 60);
/// While a probe is in flight, callers check again after this.
const CHECK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Breaker {
    /// Failures in a row that open it.
    threshold: u32,
    state: BreakerState,
    /// How often it opened without a response in between.
    pub(super) openings: Repeats,
}

/// Closed until too many calls fail in a row. Then open, and after a pause one call probes.
#[derive(Clone, Copy, Debug)]
enum BreakerState {
    Closed { failures: u32 },
    Open { until: Duration, failed_probes: u32 },
    Probing { until: Duration, failed_probes: u32 },
}

impl Breaker {
    /// `slice_concurrency`: the calls that one slice has in flight at once.
    ///
    /// The client tries each call twice, so one blip costs a slice up to two failures per call in flight. The
    /// threshold is higher, so that a blip that hits a single slice does not open the breaker.
    pub(super) fn new(slice_concurrency: usize) -> Self {
        let concurrency = u32::try_from(slice_concurrency).unwrap_or(u32::MAX);
        let blip = concurrency.saturating_mul(2);
        Self {
            threshold: blip.saturating_add(concurrency / 2).max(MIN_FAILURES),
            state: BreakerState::Closed { failures: 0 },
            openings: Repeats::new(),
        }
    }

    /// Whether a call may be sent, or else when to check again.
    pub(super) fn check(&self, now: Duration) -> Result<(), Duration> {
        match self.state {
            BreakerState::Open { until, .. } if now < until => Err(until),
            BreakerState::Probing { until, .. } if now < until => Err(until.min(now + CHECK_AGAIN)),
            _ => Ok(()),
        }
    }

    /// Whether the next call depends on the calls so far. A few failures are forgotten with an idle workspace.
    pub(super) fn is_needed(&self, now: Duration) -> bool {
        match self.state {
            BreakerState::Closed { .. } => false,
            BreakerState::Open { until, .. } | BreakerState::Probing { until, .. } => {
                now < until + KEPT
            }
        }
    }

    /// A call is sent. If the breaker is not closed, the call is the probe.
    pub(super) fn on_send(&mut self, now: Duration) {
        if let BreakerState::Open { failed_probes, .. }
        | BreakerState::Probing { failed_probes, .. } = self.state
        {
            self.state = BreakerState::Probing {
                until: now + PROBE_TIMEOUT,
                failed_probes,
            };
        }
    }

    /// A call got a response, whatever it says.
    pub(super) const fn on_response(&mut self) {
        self.state = BreakerState::Closed { failures: 0 };
    }

    /// A call failed. Returns whether that opened the breaker.
    pub(super) fn on_failure(&mut self, now: Duration) -> bool {
        let failed_probes = match self.state {
            BreakerState::Closed { failures } if failures + 1 < self.threshold => {
                self.state = BreakerState::Closed {
                    failures: failures + 1,
                };
                return false;
            }
            BreakerState::Closed { .. } => 0,
            // The call was in flight when others opened the breaker, so it shows nothing new.
            BreakerState::Open { .. } => return false,
            BreakerState::Probing { failed_probes, .. } => failed_probes + 1,
        };
        self.state = BreakerState::Open {
            until: now + PAUSE.delay(failed_probes + 1),
            failed_probes,
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

    /// Sixteen calls in flight: the lowest threshold.
    fn breaker() -> Breaker {
        Breaker::new(16)
    }

    #[test]
    fn it_opens_after_many_failures_in_a_row_and_lets_one_probe_go() {
        let mut breaker = breaker();
        for _ in 1..MIN_FAILURES {
            assert!(!breaker.on_failure(at(0)));
        }
        breaker.on_response();
        for _ in 1..MIN_FAILURES {
            assert!(!breaker.on_failure(at(0)));
        }
        assert!(breaker.check(at(0)).is_ok());
        assert!(breaker.on_failure(at(0)));
        assert!(!breaker.on_failure(at(0)), "a straggler");
        assert_eq!(breaker.check(at(0)), Err(at(1)));
        assert!(breaker.check(at(1)).is_ok());
        breaker.on_send(at(1));
        assert_eq!(breaker.check(at(1)), Err(at(2)), "one probe at a time");
        assert!(breaker.on_failure(at(2)));
        assert_eq!(breaker.check(at(2)), Err(at(4)), "twice as long");
        breaker.on_send(at(4));
        breaker.on_response();
        assert!(breaker.check(at(4)).is_ok());
    }

    #[test]
    fn it_is_needed_while_it_is_not_closed_and_for_some_hours() {
        let mut breaker = breaker();
        for _ in 1..MIN_FAILURES {
            breaker.on_failure(at(0));
        }
        assert!(!breaker.is_needed(at(0)), "it is closed");
        assert!(breaker.on_failure(at(0)));
        assert!(breaker.is_needed(at(0)));
        breaker.on_send(at(5));
        assert!(breaker.is_needed(at(3_700)), "its streams are tried hourly");
        assert!(!breaker.is_needed(at(10_000)));
        breaker.on_response();
        assert!(!breaker.is_needed(at(5)));
    }

    #[test]
    fn a_probe_without_a_response_is_replaced_and_the_wait_is_capped() {
        let mut breaker = breaker();
        breaker.state = BreakerState::Open {
            until: at(1),
            failed_probes: 0,
        };
        breaker.on_send(at(1));
        assert!(breaker.check(at(1) + PROBE_TIMEOUT).is_ok());
        breaker.state = BreakerState::Probing {
            until: at(1),
            failed_probes: 60,
        };
        assert!(breaker.on_failure(at(0)));
        assert_eq!(breaker.check(at(0)), Err(LONGEST_PAUSE));
    }

    #[test]
    fn one_slice_alone_does_not_open_it_with_a_blip() {
        for concurrency in [1, 16, 48, 256] {
            let mut breaker = Breaker::new(concurrency);
            let opened = (0..2 * concurrency).any(|_| breaker.on_failure(at(0)));
            assert!(!opened, "{concurrency} calls in flight, each tried twice");
            // A second slice with the same blip does.
            let opened = (0..2 * concurrency.max(20)).any(|_| breaker.on_failure(at(0)));
            assert!(
                opened,
                "{concurrency} calls in flight of each of two slices"
            );
        }
    }
}
