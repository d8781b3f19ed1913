//! The pending threads that a slice has read and not requested yet.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use super::{SliceError, slice::SliceContext};
use crate::store::PendingThread;

/// Pending threads, newest change first.
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
        let limit = cx.config().conversations_per_slice;
        let mut tx = cx.begin().await?;
        let pending = tx
            // As many more as were requested, because Postgres lists those again until they are
            // stored.
            .pending_threads(cx.key.connection, (limit + self.requested.len()) as i64)
            .await?;
        tx.commit().await?;
        let is_new = |thread: &PendingThread| !self.requested.contains(&thread.conversation_id);
        self.next
            .extend(pending.into_iter().filter(is_new).take(limit));
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
