//! The pending threads that a slice has read and not requested yet.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use super::{SliceError, slice::SliceContext, thread_doubt::SEVERAL};
use crate::store::PendingThread;

/// One of so many threads of a slice may be one that failed before, so that a long backlog does not keep those waiting.
const RETRIED_SHARE: usize = 10;

/// Pending threads, newest change first. Threads that failed before come last.
#[derive(Default)]
pub(super) struct Backlog {
    next: VecDeque<PendingThread>,
    /// Requested in this slice. Their answers may not be stored yet, and until then Postgres lists them as pending.
    requested: HashSet<Uuid>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Reads the next pending threads from Postgres.
    pub(super) async fn refill(&mut self, cx: &SliceContext<'_>) -> Result<(), SliceError> {
        // Intercom refuses a blocked stream, so a few threads are enough to see whether it still does.
        let limit = if cx.state.blocked {
            SEVERAL
        } else {
            cx.config().conversations_per_slice
        };
        // As many more as were requested, because Postgres lists those again until they are stored.
        let listed = (limit + self.requested.len()) as i64;
        let mut tx = cx.begin().await?;
        let due = tx.due_threads(cx.key.connection, listed, listed).await?;
        tx.commit().await?;
        let is_new = |thread: &PendingThread| !self.requested.contains(&thread.conversation_id);
        let fresh: Vec<PendingThread> = due.fresh.into_iter().filter(is_new).take(limit).collect();
        let left = (limit - fresh.len()).max(limit.div_ceil(RETRIED_SHARE));
        let retried = due.retried.into_iter().filter(is_new).take(left);
        self.next.extend(fresh.into_iter().chain(retried));
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<PendingThread> {
        let thread = self.next.pop_front()?;
        self.requested.insert(thread.conversation_id);
        Some(thread)
    }

    /// Returns a thread that got no answer because the rate budget is spent.
    pub(super) fn give_back(&mut self, thread: PendingThread) {
        self.requested.remove(&thread.conversation_id);
        self.next.push_front(thread);
    }
}
