//! Pacing while Redis is away.

use std::time::Duration;

use super::super::{headers::WINDOW, limiter::Limiter};
use crate::backoff::Backoff;

/// When Redis is tried again. The ledger counts on the longest delay (`OFFLINE` in `ledger/state.lua`).
const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));

/// Redis failed, and is tried again at a later time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offline {
    pub(super) retry_at: Duration,
    /// Failed calls in a row.
    failures: u32,
}

impl Offline {
    /// A call failed. `previous` says whether an earlier one had, too.
    pub(super) fn after(previous: Option<Self>, now: Duration) -> Self {
        let failures = previous.map_or(0, |previous| previous.failures) + 1;
        Self {
            retry_at: now + RETRY.delay(failures),
            failures,
        }
    }
}

/// Half the budget, shared among the processes that were there last. The other half is a margin, because no ledger
/// counts the calls.
pub(super) fn limiter(limit: u32, max_share: f64, processes: u32) -> Limiter {
    let calls = f64::from(limit) * max_share / f64::from(2 * processes);
    Limiter::new(1, WINDOW.div_f64(calls.max(0.01)), 1)
}
