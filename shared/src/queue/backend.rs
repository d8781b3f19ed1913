//! The apalis `Backend`: the stream of leases that the exchanger claims.
//!
//! It never fails. apalis would end the worker for an error, so Redis' errors stay with the tasks of `slots`.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, task_id::RandomId},
    worker::context::WorkerContext,
};
use tower::layer::util::Identity;

use super::slots::{Held, Unstarted};

/// Leases claimed and not begun.
#[derive(Debug)]
pub(super) struct TicketBackend(pub Unstarted);

impl Backend for TicketBackend {
    type Task = Task<Arc<Held>>;
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
        let mut unstarted = self.0.lock();
        unstarted
            .poll_recv(cx)
            .map(|held| held.map(|held| Ok(Task::new(Arc::new(held)))))
    }

    /// Called when every running job has ended. What was not begun, the exchanger has handed back already.
    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for TicketBackend {
    type Args = Arc<Held>;
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
