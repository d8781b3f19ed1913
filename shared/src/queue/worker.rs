//! A worker process: apalis runs its slices, the tasks of `tasks.rs` talk to Redis.

use std::{sync::Arc, time::Duration};

use apalis::{
    layers::{WorkerBuilderExt, tracing::TraceLayer},
    prelude::{Data, ParallelizeExt, Task, WorkerBuilder, WorkerError},
};
use backon::BackoffBuilder;
use futures::{FutureExt, future::BoxFuture};
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;

use super::{
    Fleet, Queue, SliceEnd, Slots,
    backend::TicketBackend,
    lease_table::ClaimedLease,
    settle::{SettleLayer, TimedOut},
    tasks::WorkerTasks,
};
use crate::{backoff::Backoff, domain::Verdict, shutdown::Shutdown};

/// Between two starts of a worker that ended by itself.
const RESTART_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_millis(6_400)).with_half_jitter();

/// Works tickets until `shutdown`. After that it releases the leases whose slices have not begun, and finishes
/// the slices that have, within the fleet's drain limit.
///
/// If the worker ends before `shutdown`, it starts anew under another name, so that two starts never pass for one.
///
/// # Errors
/// If the runtime itself is shutting down.
pub async fn run<F: Fleet>(
    queue: Queue,
    slots: impl Into<Slots>,
    fleet: Arc<F>,
    shutdown: Shutdown,
) -> Result<(), WorkerEnded> {
    let slots = slots.into();
    let mut delays = RESTART_BACKOFF.build();
    loop {
        // A task of its own, so that even a panic outside of a slice only restarts the worker.
        let session = session(queue.clone(), slots, fleet.clone(), shutdown.clone());
        match AbortOnDropHandle::new(tokio::spawn(session)).await {
            _ if shutdown.is_cancelled() => return Ok(()),
            Err(error) if error.is_cancelled() => {
                return Err(WorkerEnded("the runtime is shutting down".to_owned()));
            }
            Err(error) => tracing::error!(%error, "the worker panicked, restarting it"),
            Ok(Err(error)) => tracing::error!(%error, "restarting the worker"),
            Ok(Ok(())) => tracing::error!("a task of the worker ended, restarting the worker"),
        }
        let delay = delays.next().unwrap_or_default();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// One start of the worker.
async fn session<F: Fleet>(
    queue: Queue,
    slots: Slots,
    fleet: Arc<F>,
    shutdown: Shutdown,
) -> Result<(), WorkerEnded> {
    let stop = shutdown.child_token();
    let name = format!("worker-{}", uuid::Uuid::now_v7());
    let tasks = WorkerTasks::start(queue, &name, slots, &stop);
    // apalis returns when every slice has ended. Only then is the last settlement known, so the tasks close last.
    let ended = work_until(&name, stop, &tasks, fleet).await;
    tasks.close(&name).await;
    ended.map_err(|error| WorkerEnded(error.to_string()))
}

/// apalis' worker. The layers are listed from the outside in, and each can be taken out by its line.
fn work_until<F: Fleet>(
    name: &str,
    stop: Shutdown,
    tasks: &WorkerTasks,
    fleet: Arc<F>,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    tracing::info!(worker = %name, "started a worker");
    let worker = WorkerBuilder::new(name)
        .backend(TicketBackend(tasks.ready.clone()))
        .data(fleet.clone())
        .data(stop.clone())
        .layer(SettleLayer::new(tasks.leases.clone(), fleet))
        // Each slice is a task of its own, so that slices use every core.
        .parallelize(tokio::spawn)
        .layer(TraceLayer::new().make_span_with(ticket_span).on_failure(()))
        .catch_panic()
        .build(slice::<F>);
    worker
        .run_until(async move {
            stop.cancelled().await;
            Ok::<(), WorkerError>(())
        })
        .boxed()
}

/// The innermost service. The time limits stand here and not in a layer, because they depend on the ticket.
async fn slice<F: Fleet>(
    claimed: Arc<ClaimedLease>,
    fleet: Data<Arc<F>>,
    stop: Data<Shutdown>,
) -> Result<SliceEnd, TimedOut> {
    let lease = claimed.lease;
    let limit = fleet.time_limit(lease);
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(fleet.drain_limit()).await;
    };
    tokio::select! {
        worked = tokio::time::timeout(limit, fleet.work(lease)) => worked.map_err(|_| TimedOut(limit)),
        () = drained => {
            // What it has committed stays, and another worker goes on from there.
            tracing::warn!(ticket = %lease.ticket, fence = lease.fence, "gave a slice back, because the worker stops");
            Ok(Verdict::Requeue.into())
        }
    }
}

/// The root of a slice's trace. It has ids only.
fn ticket_span(task: &Task<Arc<ClaimedLease>>) -> Span {
    let lease = &task.args.lease;
    tracing::debug_span!(
        "ticket",
        tenant = %lease.ticket.tenant,
        connection = %lease.ticket.connection,
        stream = %lease.ticket.stream,
        fence = lease.fence,
    )
}

/// The worker ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("the worker ended: {0}")]
pub struct WorkerEnded(String);
