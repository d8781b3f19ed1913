//! Exponential backoff with a cap and jitter: the one place that says how long to wait before a retry.
//!
//! The delays are integers, because `backon`'s own builder multiplies seconds as `f32` and adds its jitter on
//! top of the cap. Loops that retry in memory hand a [`Backoff`] to `backon`. Retries that Postgres counts ask
//! for the [`delay`](Backoff::delay) of an attempt.

use std::time::Duration;

use backon::BackoffBuilder;

/// How a delay is spread, so that many callers that failed together do not retry together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jitter {
    None,
    /// From half of the delay to all of it.
    Half,
    /// From this floor to the delay.
    Full(Duration),
}

/// Delays that double from the first one up to a cap. Jitter shortens a delay and never exceeds the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// Doubles from `first` to `cap`, without jitter.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            jitter: Jitter::None,
        }
    }

    /// Spreads each delay over its upper half.
    #[must_use]
    pub const fn with_half_jitter(mut self) -> Self {
        self.jitter = Jitter::Half;
        self
    }

    /// Spreads each delay over everything from `floor` to the delay.
    #[must_use]
    pub const fn with_full_jitter(mut self, floor: Duration) -> Self {
        self.jitter = Jitter::Full(floor);
        self
    }

    /// How long to wait after so many failed attempts in a row. The first one is 1.
    #[must_use]
    pub fn delay(self, attempts: u32) -> Duration {
        let (shortest, longest) = self.bounds(attempts);
        if shortest >= longest {
            return longest;
        }
        shortest + (longest - shortest).mul_f64(rand::random())
    }

    /// The shortest and the longest delay after so many failed attempts.
    #[must_use]
    pub fn bounds(self, attempts: u32) -> (Duration, Duration) {
        let doublings = attempts.saturating_sub(1);
        // The cap is reached long before the shift overflows, so an overflow means the cap.
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(factor).min(self.cap);
        let shortest = match self.jitter {
            Jitter::None => longest,
            Jitter::Half => longest / 2,
            Jitter::Full(floor) => floor.min(longest),
        };
        (shortest, longest)
    }
}

impl BackoffBuilder for Backoff {
    type Backoff = Delays;

    /// The delays of one series of failures, without an end.
    fn build(self) -> Delays {
        Delays {
            backoff: self,
            attempts: 0,
        }
    }
}

/// The delays of a [`Backoff`], one after each failed attempt.
#[derive(Clone, Debug)]
pub struct Delays {
    backoff: Backoff,
    attempts: u32,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        Some(self.backoff.delay(self.attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const CAP: Duration = Duration::from_secs(2);
    const PLAIN: Backoff = Backoff::new(FIRST, CAP);

    fn longest(attempts: u32) -> u128 {
        PLAIN.delay(attempts).as_millis()
    }

    #[test]
    fn a_delay_doubles_up_to_the_cap() {
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(longest),
            [200, 200, 400, 800, 1_600, 2_000]
        );
        assert_eq!([32, 33, 1_000, u32::MAX].map(longest), [2_000; 4]);
    }

    #[test]
    fn jitter_shortens_a_delay_and_keeps_its_bounds() {
        let half = PLAIN.with_half_jitter();
        let full = PLAIN.with_full_jitter(Duration::from_millis(50));
        for attempts in 1..50 {
            let longest = PLAIN.delay(attempts);
            assert_eq!(half.bounds(attempts), (longest / 2, longest));
            assert_eq!(full.bounds(attempts), (Duration::from_millis(50), longest));
            for backoff in [half, full] {
                let (shortest, longest) = backoff.bounds(attempts);
                assert!((shortest..=longest).contains(&backoff.delay(attempts)));
            }
        }
    }

    #[test]
    fn a_floor_above_the_delay_gives_the_delay() {
        let high = PLAIN.with_full_jitter(Duration::from_secs(60));
        assert_eq!(high.delay(1), FIRST);
    }

    #[test]
    fn a_series_has_a_delay_after_each_attempt() {
        let delays: Vec<Duration> = PLAIN.build().take(6).collect();
        let expected: Vec<Duration> = (1..=6).map(|attempts| PLAIN.delay(attempts)).collect();
        assert_eq!(delays, expected);
    }
}
