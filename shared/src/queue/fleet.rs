//! A worker process's share of the fleet: apalis runs it, we say what a job is.

use std::{sync::Arc, time::Duration};

use apalis_core::{task::data::Data, worker::builder::WorkerBuilder};

use super::{
    Lease, Queue, Verdict,
    backend::{Held, Slots},
};
use crate::shutdown::Shutdown;

/// A slice that takes longer than this hangs: it is abandoned and its lease runs out.
const LONGEST_SLICE: Duration = Duration::from_secs(180);

/// What a worker does with a lease. Implemented by the worker, which lists every job.
pub trait Fleet: Send + Sync + 'static {
    /// Works one slice and says what happens to the ticket.
    fn work(&self, lease: Lease) -> impl Future<Output = Verdict> + Send;
}

/// Works tickets until `shutdown`, then finishes the slices in hand.
///
/// # Errors
/// When apalis ends the worker for a reason of its own.
pub async fn run<F: Fleet>(queue: Queue, slots: usize, fleet: Arc<F>, shutdown: Shutdown) -> Result<(), WorkerEnded> {
    let slots = Slots::new(queue, slots);
    let backend = slots.start(shutdown.clone());
    // Unique per start: two processes must never pass for one.
    let name = format!("worker-{}", uuid::Uuid::now_v7());
    tracing::info!(worker = %name, "working");
    let worker = WorkerBuilder::new(name.as_str()).backend(backend).data(Job { slots, fleet }).build(job::<F>);
    let stop = async move {
        shutdown.cancelled().await;
        Ok::<(), apalis_core::error::WorkerError>(())
    };
    worker.run_until(stop).await.map_err(|error| WorkerEnded(error.to_string()))
}

struct Job<F> {
    slots: Slots,
    fleet: Arc<F>,
}

impl<F> Clone for Job<F> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), fleet: self.fleet.clone() }
    }
}

/// One ticket: the slice, then the verdict, whatever the slice did.
async fn job<F: Fleet>(held: Arc<Held>, job: Data<Job<F>>) {
    let lease = held.lease;
    let class = lease.ticket.class().as_str();
    metrics::histogram!("pathbound_slice_wait_seconds", "class" => class)
        .record(held.claimed_at.elapsed().as_secs_f64());
    let fleet = job.fleet.clone();
    // A task of its own, so that slices use every core and a panic ends the slice, not the worker.
    let slice = tokio::spawn(async move { tokio::time::timeout(LONGEST_SLICE, fleet.work(lease)).await });
    let verdict = match slice.await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => {
            tracing::error!(ticket = %lease.ticket, "the slice hung and was abandoned");
            Verdict::Wait(Duration::from_secs(10))
        }
        Err(panic) => {
            tracing::error!(ticket = %lease.ticket, panicked = panic.is_panic(), "the slice panicked");
            Verdict::Wait(Duration::from_secs(10))
        }
    };
    job.slots.settle(lease, verdict).await;
    drop(held);
}

#[derive(Debug, thiserror::Error)]
#[error("the worker ended: {0}")]
pub struct WorkerEnded(String);
