//! The outermost layer of a slice: it ends the lease with the slice's verdict, however the slice ended.
//!
//! No layer of apalis does this. Its retries and acknowledgements act on a task's status, but a verdict says when
//! the ticket comes back, and a crash is the fleet's to judge.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::{BoxDynError, Task};
use futures::{FutureExt, future::BoxFuture};
use tower::{Layer, Service};

use super::{
    Fleet, Lease, SliceEnd,
    lease_table::{ClaimedLease, LeaseTable},
};
use crate::domain::Verdict;

/// The slice took longer than the fleet allows.
#[derive(Debug, thiserror::Error)]
#[error("the slice took longer than {0:?}")]
pub(super) struct TimedOut(pub Duration);

/// Settles leases in a table, and asks the fleet for a verdict if a slice has none.
pub(super) struct SettleLayer<F> {
    leases: LeaseTable,
    fleet: Arc<F>,
}

impl<F> SettleLayer<F> {
    pub(super) const fn new(leases: LeaseTable, fleet: Arc<F>) -> Self {
        Self { leases, fleet }
    }
}

impl<S, F> Layer<S> for SettleLayer<F> {
    type Service = Settle<S, F>;

    fn layer(&self, slice: S) -> Settle<S, F> {
        Settle {
            slice,
            leases: self.leases.clone(),
            fleet: self.fleet.clone(),
        }
    }
}

pub(super) struct Settle<S, F> {
    slice: S,
    leases: LeaseTable,
    fleet: Arc<F>,
}

impl<S, F> Service<Task<Arc<ClaimedLease>>> for Settle<S, F>
where
    S: Service<Task<Arc<ClaimedLease>>, Response = SliceEnd, Error = BoxDynError>,
    S::Future: Send + 'static,
    F: Fleet,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.slice.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Arc<ClaimedLease>>) -> Self::Future {
        let (lease, claimed_at) = (task.args.lease, task.args.claimed_at);
        // Recorded before the slice runs, so that a slice that hangs has been counted.
        record_wait(&task.args);
        let slice = self.slice.call(task);
        let (leases, fleet) = (self.leases.clone(), self.fleet.clone());
        async move {
            let end = match slice.await {
                Ok(end) => end,
                Err(error) => SliceEnd {
                    failed: true,
                    ..crashed(&*fleet, lease, &*error).await.into()
                },
            };
            leases.settle(lease, end, claimed_at.elapsed());
            // The fleet has stored a crash, so apalis has no error to handle.
            Ok(())
        }
        .boxed()
    }
}

/// Asks the fleet what happens to the ticket of a slice that hung or panicked.
async fn crashed<F: Fleet>(
    fleet: &F,
    lease: Lease,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> Verdict {
    let cause = if error.is::<TimedOut>() {
        "the slice hung and was abandoned"
    } else {
        "the slice panicked"
    };
    tracing::error!(ticket = %lease.ticket, fence = lease.fence, %error, "{cause}");
    fleet.crashed(lease, cause).await
}

fn record_wait(claimed: &ClaimedLease) {
    let class = claimed.lease.ticket.class().as_str();
    metrics::histogram!("pathbound_slice_wait_seconds", "class" => class)
        .record((claimed.waited + claimed.claimed_at.elapsed()).as_secs_f64());
}
