//! Liveness that means progress: when a worker process last went round its loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// When the worker of this process last completed a round. Cheap to clone; every clone of a
/// [`Queue`](super::Queue) shows the same.
///
/// A worker's loop goes round at least once a second, also when nothing is due; when Redis is away, every four
/// seconds at worst, since a call that has no answer is given up after three.
#[derive(Clone, Debug)]
pub struct Progress {
    since: Instant,
    // Milliseconds from `since`, plus 1; 0 is never.
    round: Arc<AtomicU64>,
    answer: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            round: Arc::default(),
            answer: Arc::default(),
        }
    }

    /// How long ago the last round ended, whether Redis answered in it or not. None before the first one.
    /// Old means that the process hangs and that a new one would do better: what `/livez` should ask.
    #[must_use]
    pub fn last_round(&self) -> Option<Duration> {
        self.ago(&self.round)
    }

    /// How long ago Redis last answered a round. Old means that Redis is away, which no restart heals:
    /// what `/readyz` may ask.
    #[must_use]
    pub fn last_answer(&self) -> Option<Duration> {
        self.ago(&self.answer)
    }

    pub(super) fn completed_round(&self, answered: bool) {
        let now = self.since.elapsed().as_millis() as u64 + 1;
        self.round.store(now, Ordering::Relaxed);
        if answered {
            self.answer.store(now, Ordering::Relaxed);
        }
    }

    fn ago(&self, at: &AtomicU64) -> Option<Duration> {
        let at = at.load(Ordering::Relaxed);
        (at > 0).then(|| {
            self.since
                .elapsed()
                .saturating_sub(Duration::from_millis(at - 1))
        })
    }
}
