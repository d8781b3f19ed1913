//! Rate limiting in fixed 10-second windows of the simulator's clock.

use parking_lot::Mutex;

/// Seconds per window.
pub(crate) const WINDOW: i64 = 10;

/// Counts the calls of one bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    state: Mutex<(i64, u32)>,
}

/// What the three headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Unix seconds at which the window ends.
    pub(crate) reset: i64,
    /// The call is over the limit.
    pub(crate) exceeded: bool,
}

impl Bucket {
    /// Counts one call. Calls over the limit are refused and not counted.
    pub(crate) fn take(&self, limit: u32, now: i64) -> Standing {
        let start = now - now.rem_euclid(WINDOW);
        let mut state = lock(&self.state);
        if state.0 != start {
            *state = (start, 0);
        }
        let exceeded = state.1 >= limit;
        if !exceeded {
            state.1 += 1;
        }
        Standing {
            limit,
            remaining: limit.saturating_sub(state.1),
            reset: start + WINDOW,
            exceeded,
        }
    }
}

impl Standing {
    /// The stricter of two buckets.
    pub(crate) fn stricter(self, other: Self) -> Self {
        if (other.exceeded, self.remaining) > (self.exceeded, other.remaining) {
            other
        } else {
            self
        }
    }
}

/// Takes a lock, also where a panicking test left it poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}
