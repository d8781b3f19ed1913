//! Calls in flight: each runs on a task of its own, so that it goes on while the slice stores.

use std::{
    future::{Future, pending},
    panic::resume_unwind,
};

use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

/// The calls of a slice that have not ended. Those that are left are dropped with it.
#[derive(Debug)]
pub(super) struct Calls<T> {
    tasks: JoinSet<T>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
        }
    }
}

impl<T: Send + 'static> Calls<T> {
    pub(super) fn start(&mut self, call: impl Future<Output = T> + Send + 'static) {
        self.tasks.spawn(call.in_current_span());
    }

    /// Waits for one more call to end. `None` if none is in flight.
    pub(super) async fn next(&mut self) -> Option<T> {
        match ended(self.tasks.join_next().await?) {
            Some(answer) => Some(answer),
            None => pending().await,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// A call that has ended already.
    pub(super) fn ready(&mut self) -> Option<T> {
        self.tasks.try_join_next().and_then(ended)
    }
}

/// A call without a result has panicked, and the slice with it. No call is cancelled while its set lives, unless the
/// runtime ends. Then the slice is about to be dropped as well, which is no fault of its own.
fn ended<T>(result: Result<T, JoinError>) -> Option<T> {
    result
        .map_err(|error| error.try_into_panic().map(resume_unwind))
        .ok()
}
