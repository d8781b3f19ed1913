//! The apalis `Backend`: a stream of the leases that the dispatcher claimed.
//!
//! The backend never fails. apalis ends a worker on a backend error, so the tasks of `tasks.rs` handle every
//! error of Redis themselves.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis::prelude::{Backend, RandomId, Task, WorkerContext};
use apalis_core::backend::{BackendConfig, finalize::Ephemeral};
use tower::layer::util::Identity;

use super::lease_table::{ClaimedLease, ReadyReceiver};

/// Leases that were claimed and whose slices have not begun.
#[derive(Debug)]
pub(super) struct TicketBackend(pub ReadyReceiver);

impl Backend for TicketBackend {
    type Task = Task<Arc<ClaimedLease>>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut ready = self.0.lock();
        ready
            .poll_recv(cx)
            .map(|claimed| claimed.map(|claimed| Ok(Task::new(Arc::new(claimed)))))
    }

    /// Called when every running slice has ended. The dispatcher has already released the leases of slices that
    /// did not begin.
    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for TicketBackend {
    type Args = Arc<ClaimedLease>;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
