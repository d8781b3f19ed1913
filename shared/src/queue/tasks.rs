//! The tasks of a worker process, beside apalis' own loop.
//!
//! - The dispatcher settles leases and claims new ones, in one call of Redis. It polls at least once a second,
//!   which also reaps the leases of dead workers.
//! - The renewer renews the leases of running slices.
//! - The listener waits for a wake-up while the worker has free slots.
//! - The reporter tells operators of the worker.
//!
//! An error of Redis ends none of them. They back off and go on.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::Retryable;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Queue, Slots,
    dispatcher::{DispatchState, Dispatcher},
    fleet_workers::{forget, report},
    lease_table::{LeaseTable, ReadyReceiver},
    listener::{PendingWakeups, WakeInterest, listen},
    poll::{LEASE, REDIS_BACKOFF},
};
use crate::{shutdown::Shutdown, telemetry::Repeats};

/// A third of a lease, so that a lease survives two renewals that fail.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
const GAUGE_INTERVAL: Duration = Duration::from_secs(10);

/// The running tasks of a worker. They end when this is dropped.
#[derive(Debug)]
pub(super) struct WorkerTasks {
    pub leases: LeaseTable,
    pub ready: ReadyReceiver,
    dispatcher: AbortOnDropHandle<()>,
    _renewer: AbortOnDropHandle<()>,
    _listener: AbortOnDropHandle<()>,
    reporter: AbortOnDropHandle<()>,
    close: Shutdown,
}

impl WorkerTasks {
    /// Starts the tasks. After `stop` nothing is claimed, and leases whose slices have not begun are released.
    /// `stop` is cancelled when one of the tasks ends by itself.
    pub(super) fn start(queue: Queue, name: &str, slots: Slots, stop: &Shutdown) -> Self {
        let (leases, settlements) = LeaseTable::new(queue.clone());
        let (ready_sender, ready) = mpsc::channel(slots.count);
        let ready = Arc::new(Mutex::new(ready));
        let (interest, interest_receiver) = watch::channel(WakeInterest::None);
        let wakeups = Arc::new(PendingWakeups::default());
        let close = Shutdown::new();
        let dispatcher = Dispatcher {
            leases: leases.clone(),
            slots,
            settlements,
            ready_sender,
            ready: ready.clone(),
            interest,
            wakeups: wakeups.clone(),
            stop: stop.clone(),
            close: close.clone(),
            state: DispatchState::new(),
        };
        let reporter = report(name.to_owned(), slots, leases.clone(), stop.clone());
        Self {
            reporter: spawn_guarded(Box::pin(reporter), stop),
            dispatcher: spawn_guarded(Box::pin(dispatcher.run()), stop),
            _renewer: spawn_guarded(Box::pin(renew(leases.clone())), stop),
            _listener: spawn_guarded(Box::pin(listen(queue, interest_receiver, wakeups)), stop),
            leases,
            ready,
            close,
        }
    }

    /// Waits until Redis knows how every lease ended, for the length of one lease at most. After that another
    /// worker's reap has the same effect.
    pub(super) async fn close(self, name: &str) {
        self.close.cancel();
        if tokio::time::timeout(LEASE, self.dispatcher).await.is_err() {
            tracing::warn!("could not settle the last leases, leaving them to expire");
        }
        // Its reports end first, so that none of them comes after this.
        drop(self.reporter);
        forget(self.leases.queue(), name).await;
    }
}

/// Spawns a task that cancels `stop` when it ends, also by a panic.
fn spawn_guarded(
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    stop: &Shutdown,
) -> AbortOnDropHandle<()> {
    let stop = stop.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        // Dropped on a panic too. Without it a worker would go on with a task missing.
        let _guard = stop.drop_guard();
        task.await;
    }))
}

/// The renewer.
async fn renew(leases: LeaseTable) {
    let mut gauges_at = Instant::now();
    let failures = Repeats::new();
    loop {
        tokio::time::sleep(RENEW_INTERVAL).await;
        renew_leases(&leases, &failures).await;
        if gauges_at.elapsed() >= GAUGE_INTERVAL {
            gauges_at = Instant::now();
            if let Err(error) = leases.queue().publish_gauges().await {
                tracing::debug!(%error, "could not publish the queue's gauges");
            }
        }
    }
}

/// Retries until Redis has answered, because a lease lasts only a few seconds.
async fn renew_leases(leases: &LeaseTable, failures: &Repeats) {
    let renewed = (|| leases.renew())
        .retry(REDIS_BACKOFF)
        .notify(|error, _| {
            crate::log_failure!(failures.failed(error), warn, { %error }, "could not renew leases, trying again");
        })
        .await;
    let Ok(lost) = renewed else { return };
    crate::log_end!(failures.ended(), "renews leases again");
    if !lost.is_empty() {
        // They were settled while the call ran, or another worker has them. In the second case their slices end
        // by themselves, because Postgres refuses their writes.
        tracing::debug!(?lost, "lost some leases");
    }
}
