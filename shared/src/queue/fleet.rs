//! What a worker does with a lease.

use std::time::Duration;

use super::Lease;
use crate::domain::Verdict;

/// A slice that takes longer hangs, unless the fleet sets another limit.
const TIME_LIMIT: Duration = Duration::from_secs(180);
/// Slices may go on for this long after the worker was told to stop, unless the fleet sets another limit.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// A ticket whose slice crashed waits this long, unless the fleet decides otherwise.
const AFTER_CRASH: Duration = Duration::from_secs(10);

/// The end of a slice: what happens to its ticket, and what is counted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceEnd {
    pub verdict: Verdict,
    /// Its work could not be done, and is tried again or given up.
    pub failed: bool,
    /// Calls to Intercom that it has sent.
    pub calls: u32,
}

impl From<Verdict> for SliceEnd {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            failed: false,
            calls: 0,
        }
    }
}

/// What a worker does with a lease. The worker crate implements it over its list of jobs.
pub trait Fleet: Send + Sync + 'static {
    /// Works one slice and returns how it ended.
    fn work(&self, lease: Lease) -> impl Future<Output = SliceEnd> + Send;

    /// Called when the slice panicked or hung. The implementation stores the cause, so that a crashed slice
    /// counts as a failed attempt like any other.
    fn crashed(&self, lease: Lease, cause: &'static str) -> impl Future<Output = Verdict> + Send {
        let _ = (lease, cause);
        std::future::ready(Verdict::Snooze(AFTER_CRASH))
    }

    /// A slice that goes on for longer than this after the worker was told to stop is given up. Its ticket goes back to
    /// the queue at once, and no crash is counted.
    fn drain_limit(&self) -> Duration {
        DRAIN_LIMIT
    }

    /// A slice that takes longer than this is abandoned.
    fn time_limit(&self, lease: Lease) -> Duration {
        let _ = lease;
        TIME_LIMIT
    }
}
