//! The workers of the fleet, as each of them says what it does.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Queue, QueueError, Slots, lease_table::LeaseTable};
use crate::{domain::WorkerPool, shutdown::Shutdown};

/// Between two reports of a worker.
const REPORT_INTERVAL: Duration = Duration::from_secs(4);

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The machine or the pod, if the process knows it.
    pub host: String,
    pub process: u32,
    /// Of Pathbound.
    pub version: String,
    /// The classes that it takes tickets of. A worker of an earlier version takes all.
    #[serde(default = "all_classes")]
    pub pool: WorkerPool,
    /// Slices that it runs at once.
    pub slots: usize,
    /// Slots that are taken.
    pub busy: usize,
    /// It takes no more work, and finishes what it has.
    pub draining: bool,
    pub uptime_seconds: u64,
}

const fn all_classes() -> WorkerPool {
    WorkerPool::All
}

/// A worker that has reported within the last minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetWorker {
    /// Of one start of the worker.
    pub name: String,
    /// How long ago its last report came.
    pub silence: Duration,
    pub report: WorkerReport,
}

impl Queue {
    /// The workers that have reported within the last minute, 500 at most.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn workers(&self) -> Result<Vec<FleetWorker>, QueueError> {
        let replies: Vec<(String, u64, String)> = self.call_workers(&["list"]).await?;
        let worker = |(name, silence, text): (String, u64, String)| {
            Some(FleetWorker {
                name,
                silence: Duration::from_millis(silence),
                // A report of another version may say something else.
                report: serde_json::from_str(&text).ok()?,
            })
        };
        Ok(replies.into_iter().filter_map(worker).collect())
    }

    async fn report_worker(&self, name: &str, report: &WorkerReport) -> Result<(), QueueError> {
        let text = serde_json::to_string(report).unwrap_or_default();
        let _: Vec<(String, u64, String)> = self.call_workers(&["report", name, &text]).await?;
        Ok(())
    }

    async fn forget_worker(&self, name: &str) -> Result<(), QueueError> {
        let _: Vec<(String, u64, String)> = self.call_workers(&["forget", name]).await?;
        Ok(())
    }

    async fn call_workers(
        &self,
        arguments: &[&str],
    ) -> Result<Vec<(String, u64, String)>, QueueError> {
        self.timed("workers", |mut redis| async move {
            let mut call = self.scripts().workers.key(self.prefix());
            for argument in arguments {
                call.arg(*argument);
            }
            call.invoke_async(&mut redis).await
        })
        .await
    }
}

/// Reports a worker until its task is dropped.
pub(super) async fn report(name: String, slots: Slots, leases: LeaseTable, stop: Shutdown) {
    let started_at = Instant::now();
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let mut draining = false;
    loop {
        let report = WorkerReport {
            host: host.clone(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pool: slots.pool,
            slots: slots.count,
            busy: leases.leases().len().min(slots.count),
            draining,
            uptime_seconds: started_at.elapsed().as_secs(),
        };
        if let Err(error) = leases.queue().report_worker(&name, &report).await {
            tracing::debug!(%error, "could not report the worker, trying again with the next report");
        }
        tokio::select! {
            () = tokio::time::sleep(REPORT_INTERVAL) => {}
            () = stop.cancelled(), if !draining => draining = true,
        }
    }
}

/// Takes a worker off the list when it ends, so that only a killed one stays on it for a minute.
pub(super) async fn forget(queue: &Queue, name: &str) {
    if let Err(error) = queue.forget_worker(name).await {
        tracing::debug!(%error, "could not take the worker off the list, leaving it to its silence");
    }
}
