//! The right to send one call, and what the call's outcome means for the budget.

use std::time::{Duration, Instant};

use super::{
    budget::{Budget, jitter},
    headers::RateLimitHeaders,
};
use crate::domain::Class;

/// The right to send one call to Intercom, now.
#[derive(Debug)]
pub struct Permit {
    pub(super) budget: Budget,
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
            self.budget.breaker().on_response();
        }
        self.report(false, headers);
    }

    /// Takes in a 429: this window has nothing left, whichever app spent it. Returns when to try again.
    #[must_use]
    pub fn on_throttled(self, headers: RateLimitHeaders) -> Instant {
        self.budget.breaker().on_response();
        let driver = &self.budget.driver;
        let until = driver.on_throttled(headers);
        self.report(true, headers);
        driver.instant(until) + jitter(Class::Backfill)
    }

    /// Takes in a 5xx, a time-out or a cut connection. The ledger finds out whether the call was counted.
    pub fn on_failure(&self) {
        if self.budget.breaker().on_failure(self.budget.driver.now()) {
            tracing::warn!(
                workspace = %self.budget.workspace_id,
                "intercom fails every call of this workspace, so its calls pause"
            );
        }
    }

    fn report(&self, refused: bool, headers: RateLimitHeaders) {
        self.budget
            .driver
            .on_response(self.tick, self.sent_at, refused, headers);
    }
}
