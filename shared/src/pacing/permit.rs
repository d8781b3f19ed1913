//! The right to send one call, and what the call's outcome means for the budget.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{breaker::Breaker, driver::Driver, headers::RateLimitHeaders};
use crate::domain::Class;

/// The right to send one call to Intercom, now.
#[derive(Debug)]
pub struct Permit {
    pub(super) workspace_id: Arc<str>,
    pub(super) breaker: Arc<Mutex<Breaker>>,
    pub(super) driver: Arc<Driver>,
    /// The tick of the ledger's grant, or 0 if the ledger was offline.
    pub(super) tick: i64,
    pub(super) sent_at: Duration,
}

impl Permit {
    /// Takes in the response's headers. A 5xx was counted like any other call, and is a failure as well.
    pub fn on_response(self, headers: RateLimitHeaders, is_failure: bool) {
        if is_failure {
            self.on_failure();
        } else {
            self.on_answer();
        }
        self.report(false, headers);
    }

    /// Takes in a 429: this window has nothing left, whichever app spent it. Returns when to try again.
    #[must_use]
    pub fn on_throttled(self, headers: RateLimitHeaders) -> Instant {
        self.on_answer();
        // The local state learns of the 429 before the report, so that no other call of this process is
        // sent while the ledger answers.
        let until = self.driver.on_throttled(headers);
        self.report(true, headers);
        self.driver.instant(until) + jitter(Class::Backfill)
    }

    /// Takes in a 5xx, a time-out or a cut connection. The ledger finds out whether the call was counted.
    pub fn on_failure(&self) {
        let mut breaker = self.breaker.lock();
        if breaker.on_failure(self.driver.now()) {
            let workspace = &self.workspace_id;
            let line = breaker.openings.failed_as("open");
            crate::log_failure!(line, warn, { %workspace }, "intercom fails every call of this workspace, so its calls pause");
        }
    }

    fn on_answer(&self) {
        let mut breaker = self.breaker.lock();
        breaker.on_response();
        let workspace = &self.workspace_id;
        let ended = breaker.openings.ended();
        crate::log_end!(ended, { %workspace }, "intercom answers calls of this workspace again");
    }

    fn report(&self, refused: bool, headers: RateLimitHeaders) {
        self.driver
            .on_response(self.tick, self.sent_at, refused, headers);
    }
}

/// Spreads the processes, so that they do not all start on one tick. Fresh calls are few and need less.
pub(super) fn jitter(class: Class) -> Duration {
    let longest = match class {
        Class::Fresh => 10,
        Class::Backfill => 60,
    };
    Duration::from_millis(rand::random_range(5..=longest))
}
