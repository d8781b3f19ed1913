//! The simulator's own clock: real time plus an offset, so that tests can jump over rate
//! windows, scroll expiry and midnights without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A shared clock. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_millis: Arc<AtomicI64>,
    /// While it is stopped, the offset is the time itself.
    stopped: Arc<AtomicBool>,
}

impl Clock {
    /// Now, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.now_millis().div_euclid(1000)
    }

    /// Now, in Unix milliseconds.
    pub fn now_millis(&self) -> i64 {
        let offset = self.offset_millis.load(Ordering::Relaxed);
        if self.stopped.load(Ordering::Relaxed) {
            offset
        } else {
            real_millis() + offset
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.offset_millis.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// Stops the clock at this moment. It moves only when it is moved, however slow the machine is.
    pub fn stop_at(&self, unix_seconds: i64) {
        self.offset_millis
            .store(unix_seconds.saturating_mul(1000), Ordering::Relaxed);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Sets how many seconds the clock is ahead (or, below zero, behind) of real time.
    pub fn set_offset(&self, seconds: i64) {
        self.stopped.store(false, Ordering::Relaxed);
        self.offset_millis
            .store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }

    /// Moves the clock so that it now shows `unix_seconds`.
    pub fn set_now(&self, unix_seconds: i64) {
        self.stopped.store(false, Ordering::Relaxed);
        self.offset_millis.store(
            unix_seconds.saturating_mul(1000) - real_millis(),
            Ordering::Relaxed,
        );
    }

    /// How far the clock is ahead of real time, in seconds.
    pub fn offset(&self) -> i64 {
        let offset = self.offset_millis.load(Ordering::Relaxed);
        let ahead = if self.stopped.load(Ordering::Relaxed) {
            offset - real_millis()
        } else {
            offset
        };
        ahead.div_euclid(1000)
    }
}

fn real_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
