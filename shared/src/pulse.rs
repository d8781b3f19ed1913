//! Liveness that means progress: when a loop of this process last came round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// When a loop last came round. Cheap to clone, and every clone shows the same.
///
/// A loop beats after each step, with or without success. A server that is away makes steps fail, and they fail within
/// their time limits. So a pulse that stops means that the process itself hangs, and a new process would do better.
#[derive(Clone, Debug)]
pub struct Pulse {
    started_at: Instant,
    /// Milliseconds since `started_at`.
    last: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            started_at: Instant::now(),
            last: Arc::default(),
        }
    }
}

impl Pulse {
    /// The loop came round.
    pub fn beat(&self) {
        let now = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long the loop has not come round: since its last beat, or since its start.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.started_at.elapsed().saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_anew_with_each_beat() {
        let pulse = Pulse::default();
        std::thread::sleep(Duration::from_millis(30));
        assert!(pulse.silence() >= Duration::from_millis(30));
        let beaten_at = Instant::now();
        pulse.beat();
        let silence = pulse.silence();
        // A pulse counts whole milliseconds.
        assert!(silence <= beaten_at.elapsed() + Duration::from_millis(1));
    }
}
