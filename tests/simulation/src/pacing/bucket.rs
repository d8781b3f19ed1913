//! The simulated server: fixed windows by a clock of its own, and what it announces.

use std::time::Duration;

use shared::pacing::RateLimitHeaders;

/// Milliseconds.
pub(super) const WINDOW: u64 = 10_000;

/// One rate limit, as Intercom counts it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub limit: u32,
    /// Its clock is this far ahead of the simulation's.
    pub ahead: u64,
    /// The clock of its `Date` is this far ahead of that.
    pub date_ahead: i64,
    pub windows: Vec<Counted>,
    /// No rate headers at these times.
    pub silent: Option<(u64, u64)>,
}

/// The calls of one window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub index: u64,
    pub limit: u32,
    pub ours: u32,
    pub foreign: u32,
    pub throttled: u32,
}

impl Server {
    /// Counts a call. Refused calls are not counted. Returns whether it is refused, and the headers without the date.
    pub(super) fn count(&mut self, now: u64, foreign: bool) -> (bool, RateLimitHeaders) {
        let index = (now + self.ahead) / WINDOW;
        if self
            .windows
            .last()
            .is_none_or(|window| window.index != index)
        {
            self.windows.push(Counted {
                index,
                limit: self.limit,
                ..Counted::default()
            });
        }
        let window = self.windows.last_mut().unwrap();
        window.limit = window.limit.min(self.limit);
        let refused = window.ours + window.foreign >= self.limit;
        match (refused, foreign) {
            (true, false) => window.throttled += 1,
            (false, false) => window.ours += 1,
            (false, true) => window.foreign += 1,
            (true, true) => {}
        }
        let headers = RateLimitHeaders {
            limit: Some(u64::from(self.limit)),
            remaining: Some(u64::from(
                self.limit.saturating_sub(window.ours + window.foreign),
            )),
            reset: Some((index + 1) * WINDOW / 1_000),
            ..RateLimitHeaders::default()
        };
        let silent = self
            .silent
            .is_some_and(|(from, to)| (from..to).contains(&now));
        (
            refused,
            if silent {
                RateLimitHeaders::default()
            } else {
                headers
            },
        )
    }

    /// The date of an answer that leaves now.
    pub(super) fn date(&self, now: u64) -> u64 {
        (now + self.ahead).saturating_add_signed(self.date_ahead) / 1_000
    }
}

/// An even pace, as the baselines keep it.
#[derive(Debug)]
pub(super) struct Gcra {
    every: f64,
    next: f64,
}

impl Gcra {
    pub(super) const fn new(calls_per_window: f64) -> Self {
        Self {
            every: WINDOW as f64 / calls_per_window,
            next: 0.0,
        }
    }

    pub(super) fn take(&mut self, now: u64) -> Result<(), Duration> {
        let now = now as f64;
        if now < self.next {
            return Err(Duration::from_millis((self.next - now).ceil() as u64));
        }
        // A late call catches up by a millisecond at most, so that rounding costs nothing.
        self.next = self.next.max(now - 1.0) + self.every;
        Ok(())
    }
}
