//! A worker process's share of the fleet: apalis runs it, we say what a job is.

use std::{sync::Arc, time::Duration};

use apalis_core::{error::WorkerError, task::data::Data, worker::builder::WorkerBuilder};
use backon::BackoffBuilder;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Lease, Queue,
    backend::TicketBackend,
    slots::{Held, Slots},
};
use crate::{backoff::Backoff, domain::Verdict, shutdown::Shutdown};

/// A slice that takes longer hangs, unless the fleet says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(180);
/// A ticket whose slice crashed waits this long, unless the fleet says otherwise.
const AFTER_CRASH: Duration = Duration::from_secs(10);
/// Between two starts of a worker that ended by itself.
const RESTART_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_millis(6_400)).with_half_jitter();

/// What a worker does with a lease. Implemented by the worker, which lists every job.
pub trait Fleet: Send + Sync + 'static {
    /// Works one slice and says what happens to the ticket.
    fn work(&self, lease: Lease) -> impl Future<Output = Verdict> + Send;

    /// The slice panicked or hung. Whoever can keeps the cause, so that it is a failed attempt like any other.
    fn crashed(&self, lease: Lease, cause: &'static str) -> impl Future<Output = Verdict> + Send {
        let _ = (lease, cause);
        std::future::ready(Verdict::Snooze(AFTER_CRASH))
    }

    /// A slice that takes longer than this hangs: it is abandoned.
    fn time_limit(&self, lease: Lease) -> Duration {
        let _ = lease;
        TIME_LIMIT
    }
}

/// Works tickets until `shutdown`, then hands back what has not begun and finishes the slices in hand.
///
/// Whatever ends the work before that, it begins anew, under a name of its own: two starts must never pass for one.
///
/// # Errors
/// Only when the runtime itself is shutting down.
pub async fn run<F: Fleet>(
    queue: Queue,
    slots: usize,
    fleet: Arc<F>,
    shutdown: Shutdown,
) -> Result<(), WorkerEnded> {
    let mut delays = RESTART_BACKOFF.build();
    loop {
        // A task of its own, so that even a panic outside of a slice only begins it anew.
        let session = session(queue.clone(), slots, fleet.clone(), shutdown.clone());
        match AbortOnDropHandle::new(tokio::spawn(session)).await {
            _ if shutdown.is_cancelled() => return Ok(()),
            Err(error) if error.is_cancelled() => {
                return Err(WorkerEnded("the runtime is shutting down".to_owned()));
            }
            Err(error) => tracing::error!(%error, "the worker panicked, starting anew"),
            Ok(Err(error)) => tracing::error!(%error, "starting anew"),
            Ok(Ok(())) => tracing::error!("one of the worker's tasks ended, starting anew"),
        }
        let delay = delays.next().unwrap_or_default();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(delay) => {}
        }
    }
}

async fn session<F: Fleet>(
    queue: Queue,
    slots: usize,
    fleet: Arc<F>,
    shutdown: Shutdown,
) -> Result<(), WorkerEnded> {
    let stop = shutdown.child_token();
    let tasks = Slots::start(queue, slots, &stop);
    let backend = TicketBackend(tasks.unstarted.clone());
    let name = format!("worker-{}", uuid::Uuid::now_v7());
    tracing::info!(worker = %name, "working");
    let job_data = Job {
        slots: tasks.slots.clone(),
        fleet,
    };
    let worker = WorkerBuilder::new(name.as_str())
        .backend(backend)
        .data(job_data)
        .build(job::<F>);
    let stopped = async move {
        stop.cancelled().await;
        Ok::<(), WorkerError>(())
    };
    let ended = worker.run_until(stopped).await;
    tasks.close().await;
    ended.map_err(|error| WorkerEnded(error.to_string()))
}

struct Job<F> {
    slots: Slots,
    fleet: Arc<F>,
}

impl<F> Clone for Job<F> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            fleet: self.fleet.clone(),
        }
    }
}

/// One ticket: the slice, then the verdict, whatever the slice did.
async fn job<F: Fleet>(held: Arc<Held>, job: Data<Job<F>>) {
    let lease = held.lease;
    let class = lease.ticket.class().as_str();
    metrics::histogram!("pathbound_slice_wait_seconds", "class" => class)
        .record((held.waited + held.claimed_at.elapsed()).as_secs_f64());
    let fleet = job.fleet.clone();
    // A task of its own, so that slices use every core and a panic ends the slice, not the worker.
    let slice = tokio::spawn(async move {
        tokio::time::timeout(fleet.time_limit(lease), fleet.work(lease)).await
    });
    let verdict = match slice.await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => {
            tracing::error!(ticket = %lease.ticket, "the slice hung and was abandoned");
            job.fleet
                .crashed(lease, "the slice hung and was abandoned")
                .await
        }
        Err(panic) => {
            tracing::error!(ticket = %lease.ticket, panicked = panic.is_panic(), "the slice panicked");
            job.fleet.crashed(lease, "the slice panicked").await
        }
    };
    job.slots.settle(lease, verdict);
}

/// The worker ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("the worker ended: {0}")]
pub struct WorkerEnded(String);
