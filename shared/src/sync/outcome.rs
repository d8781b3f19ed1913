//! How a slice ends: what happens to its ticket, and which other streams it made due.

use std::time::{Duration, Instant};

use crate::domain::Stream;

/// What should happen to the work after a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub next: Next,
    /// Other streams of the connection that are due now.
    pub made_due: Vec<Stream>,
}

/// See [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    More,
    Wait(Duration),
    /// A lease with at least this fence has begun: ours is an old one, or Redis lost count.
    Stale {
        fence: i64,
    },
}

/// How a stream's slice ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to fetch now.
    More,
    /// Nothing before this time.
    Wait(Instant),
    /// The walk ended; the store knows when the next one is due.
    Done,
}

/// Progress, and the streams that it made due.
#[derive(Debug)]
pub(super) struct Sliced {
    pub(super) progress: Progress,
    pub(super) made_due: Vec<Stream>,
}

impl From<Progress> for Sliced {
    fn from(progress: Progress) -> Self {
        Self {
            progress,
            made_due: Vec::new(),
        }
    }
}

impl Next {
    /// Waits for an instant, and never for no time at all.
    pub(super) fn until(instant: Instant) -> Self {
        let wait = instant.saturating_duration_since(Instant::now());
        Self::Wait(wait.max(Duration::from_millis(1)))
    }
}

impl From<Next> for Outcome {
    fn from(next: Next) -> Self {
        Self {
            next,
            made_due: Vec::new(),
        }
    }
}
