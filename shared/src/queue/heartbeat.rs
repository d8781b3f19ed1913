//! Liveness that means progress: when a worker process last completed a round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// When the worker of this process last completed a round. Cheap to clone, and every clone of a
/// [`Queue`](super::Queue) shows the same.
///
/// A worker completes a round at least once a second, even when nothing is due. If Redis is away, a round takes
/// four seconds at most, because a call without an answer ends after three.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    started_at: Instant,
    // Milliseconds since `started_at`, plus 1, so that 0 means never.
    round: Arc<AtomicU64>,
    answer: Arc<AtomicU64>,
}

impl Heartbeat {
    pub(super) fn new() -> Self {
        Self {
            started_at: Instant::now(),
            round: Arc::default(),
            answer: Arc::default(),
        }
    }

    /// How long ago the last round ended, with or without an answer from Redis. `None` before the first one.
    /// An old round means that the process hangs and a new process would do better, so `/livez` asks for it.
    #[must_use]
    pub fn last_round(&self) -> Option<Duration> {
        self.age(&self.round)
    }

    /// How long ago Redis last answered a round. An old answer means that Redis is away, which no restart of
    /// this process can heal.
    #[must_use]
    pub fn last_answer(&self) -> Option<Duration> {
        self.age(&self.answer)
    }

    /// How long this process has completed no round: since the last one, or since its start.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.last_round()
            .unwrap_or_else(|| self.started_at.elapsed())
    }

    pub(super) fn completed_round(&self, answered: bool) {
        let now = self.started_at.elapsed().as_millis() as u64 + 1;
        self.round.store(now, Ordering::Relaxed);
        if answered {
            self.answer.store(now, Ordering::Relaxed);
        }
    }

    fn age(&self, at: &AtomicU64) -> Option<Duration> {
        let at = at.load(Ordering::Relaxed);
        let completed_after = Duration::from_millis(at.checked_sub(1)?);
        Some(self.started_at.elapsed().saturating_sub(completed_after))
    }
}
