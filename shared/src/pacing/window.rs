//! The arithmetic of one window: pure, with the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Intercom counts in windows of ten seconds (1,000 a minute shows as 167 per window).
const WINDOW: Duration = Duration::from_secs(10);

/// Assumed before the first answer: the lowest documented limit, 1,000 a minute.
const FIRST_LIMIT: u64 = 166;

/// A limit above this is taken for garbage in the header.
const ABSURD_LIMIT: u64 = 10_000_000;

/// What an answer's headers say; each may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announced {
    /// Calls allowed in the window.
    pub limit: Option<u64>,
    /// Calls left in it.
    pub remaining: Option<u64>,
    /// Its end, Unix seconds.
    pub reset: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Window {
    limit: u64,
    max_share: f64,
    used: u64,
    in_flight: u64,
    /// The window's end; `None` before the first answer.
    reset: Option<SystemTime>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// A call under way is about to say how much is left: wait for its answer.
    AfterAnAnswer,
    /// Spent until then.
    Until(SystemTime),
}

impl Window {
    pub(super) const fn new(max_share: f64) -> Self {
        Self { limit: FIRST_LIMIT, max_share, used: 0, in_flight: 0, reset: None }
    }

    pub(super) fn take(&mut self, now: SystemTime) -> Taken {
        let Some(reset) = self.reset else {
            if self.in_flight > 0 {
                return Taken::AfterAnAnswer;
            }
            self.in_flight = 1;
            return Taken::Yes;
        };
        if now >= reset {
            self.used = 0;
            let passed = now.duration_since(reset).unwrap_or_default().as_secs() / WINDOW.as_secs() + 1;
            self.reset = Some(reset + WINDOW * u32::try_from(passed).unwrap_or(u32::MAX));
        }
        if self.used >= self.allowed() {
            return Taken::Until(self.reset.unwrap_or(now + WINDOW));
        }
        // A call not yet answered must be assumed to count in this window. It may be in `used` already
        // (Intercom counts at once, and another answer told us), so this refusal is for a moment only.
        if self.used + self.in_flight >= self.allowed() {
            return Taken::AfterAnAnswer;
        }
        self.in_flight += 1;
        Taken::Yes
    }

    pub(super) fn learn(&mut self, announced: Announced, now: SystemTime) {
        if let Some(limit) = announced.limit.filter(|limit| (1..=ABSURD_LIMIT).contains(limit)) {
            self.limit = limit;
        }
        let Some(reset) = announced.reset.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)) else {
            // A header may be missing now and then: the last known values stay.
            self.reset.get_or_insert(now + WINDOW);
            return;
        };
        let plausible = reset <= now + WINDOW * 6 && reset + WINDOW * 6 >= now;
        if !plausible {
            self.reset.get_or_insert(now + WINDOW);
            return;
        }
        let spent = announced.remaining.map(|remaining| self.limit.saturating_sub(remaining));
        match self.reset {
            Some(known) if reset < known => {} // an answer of an earlier window, come late
            Some(known) if reset == known => self.used = self.used.max(spent.unwrap_or(self.used)),
            _ => {
                self.reset = Some(reset);
                self.used = spent.unwrap_or(0);
            }
        }
    }

    /// A 429: whoever spent it, this window has nothing left.
    pub(super) fn throttled(&mut self, now: SystemTime) -> SystemTime {
        self.used = self.used.max(self.limit);
        let reset = self.reset.filter(|reset| *reset > now).unwrap_or(now + WINDOW);
        self.reset = Some(reset);
        reset
    }

    pub(super) fn returned(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// At least one, or a tiny limit could never be read at all.
    fn allowed(&self) -> u64 {
        ((self.limit as f64 * self.max_share) as u64).max(1)
    }
}

/// A little later than the reset: clocks differ, and a fleet should not start on one tick.
pub(super) fn jittered(reset: SystemTime) -> SystemTime {
    reset + Duration::from_millis(rand::random_range(20..=150))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn announced(limit: u64, remaining: u64, reset: u64) -> Announced {
        Announced { limit: Some(limit), remaining: Some(remaining), reset: Some(1_800_000_000 + reset) }
    }

    /// Takes, answers and returns permits until the window says no.
    fn drain(window: &mut Window, now: SystemTime) -> u64 {
        let mut taken = 0;
        while window.take(now) == Taken::Yes {
            taken += 1;
            assert!(taken < 100_000);
        }
        taken
    }

    #[test]
    fn one_call_goes_alone_until_the_window_is_known() {
        let mut window = Window::new(1.0);
        assert_eq!(window.take(at(1)), Taken::Yes);
        assert_eq!(window.take(at(1)), Taken::AfterAnAnswer);
        window.learn(announced(20, 19, 10), at(1));
        window.returned();
        assert_eq!(drain(&mut window, at(2)), 19);
        assert_eq!(window.take(at(2)), Taken::AfterAnAnswer);
        window.learn(announced(20, 0, 10), at(2));
        assert_eq!(window.take(at(2)), Taken::Until(at(10)));
    }

    #[test]
    fn our_share_is_kept_and_the_next_window_starts_anew() {
        let mut window = Window::new(0.8);
        window.learn(announced(100, 100, 10), at(1));
        assert_eq!(drain(&mut window, at(2)), 80);
        for _ in 0..80 {
            window.returned();
        }
        window.learn(announced(100, 20, 10), at(3));
        assert_eq!(window.take(at(9)), Taken::Until(at(10)));
        assert_eq!(drain(&mut window, at(10)), 80);
    }

    #[test]
    fn calls_that_an_answer_has_counted_are_not_counted_twice() {
        let mut window = Window::new(0.8);
        window.learn(announced(34, 34, 10), at(1));
        for _ in 0..16 {
            assert_eq!(window.take(at(2)), Taken::Yes);
        }
        // The first of sixteen is answered when all of them were counted.
        window.learn(announced(34, 18, 10), at(2));
        window.returned();
        assert_eq!(window.take(at(2)), Taken::AfterAnAnswer);
        for _ in 0..15 {
            window.returned();
        }
        assert_eq!(drain(&mut window, at(2)), 27 - 16);
    }

    #[test]
    fn what_others_spend_is_seen() {
        let mut window = Window::new(1.0);
        window.learn(announced(100, 30, 10), at(1));
        assert_eq!(drain(&mut window, at(2)), 30);
    }

    #[test]
    fn a_429_spends_the_window_and_a_late_answer_does_not_reopen_it() {
        let mut window = Window::new(1.0);
        window.learn(announced(100, 90, 20), at(11));
        assert_eq!(window.throttled(at(12)), at(20));
        window.learn(announced(100, 95, 10), at(13));
        assert_eq!(window.take(at(13)), Taken::Until(at(20)));
    }

    #[test]
    fn missing_and_absurd_headers_change_nothing() {
        let mut window = Window::new(1.0);
        window.learn(announced(50, 40, 10), at(1));
        window.learn(Announced::default(), at(2));
        window.learn(Announced { limit: Some(0), remaining: Some(9), reset: Some(7) }, at(2));
        assert_eq!(drain(&mut window, at(3)), 40);
    }
}
