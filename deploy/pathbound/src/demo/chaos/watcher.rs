//! What a fault's author can see of the demo's fleet: its metrics and the operators' calls.

use std::time::Instant;

use api::ops::fleet_views::{OverviewView, WorkerView};
use reqwest::Client;

use super::{PATIENCE, POLL_INTERVAL};
use crate::{api_client, demo::world::World, failure::Failure, ops_client::OpsClient};

/// Looks at the demo's fleet over its ops listener.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    ops: OpsClient,
    http: Client,
    listener: String,
}

/// Counters of the demo's process. Its two workers are in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Records written to Postgres.
    pub(super) written: u64,
    /// Tickets whose lease ran out.
    pub(super) orphans: u64,
}

impl Watcher {
    pub(super) fn of(world: &World) -> Result<Self, Failure> {
        Ok(Self {
            ops: OpsClient::of(&world.config)?,
            http: api_client::http_client()?,
            listener: format!("http://{}", world.config.ops_listen),
        })
    }

    pub(super) async fn counts(&self) -> Result<Counts, Failure> {
        let (_, text) = self.get("/metrics").await?;
        Ok(Counts {
            written: sum(&text, "pathbound_records_written_total"),
            orphans: sum(&text, "pathbound_orphans_recovered_total"),
        })
    }

    /// Whether the process can do its work, and the reasons if it cannot.
    pub(super) async fn ready(&self) -> Result<(bool, String), Failure> {
        self.get("/readyz").await
    }

    /// Live tickets in Redis. `None` while they cannot be read.
    pub(super) async fn tickets(&self) -> Result<Option<u64>, Failure> {
        let queue = self.overview().await?.queue;
        let is_now = queue.fault.is_none();
        Ok(queue.data.filter(|_| is_now).map(|data| data.tickets))
    }

    /// What a worker with this process id has reported last.
    pub(super) async fn worker(&self, process: u32) -> Result<Option<WorkerView>, Failure> {
        let workers = self.overview().await?.queue.data.map(|data| data.workers);
        let mut workers = workers.into_iter().flatten();
        Ok(workers.find(|worker| worker.process == process))
    }

    /// Waits until more records are written than these.
    pub(super) async fn until_written(&self, before: &Counts) -> Result<(), Failure> {
        until("no record was written", async || {
            Ok(self.counts().await?.written > before.written)
        })
        .await
    }

    async fn overview(&self) -> Result<OverviewView, Failure> {
        self.ops.get("/ops/overview").await
    }

    async fn get(&self, path: &str) -> Result<(bool, String), Failure> {
        let unreachable = |error: reqwest::Error| Failure::Unreachable {
            server: "the ops listener",
            cause: error.without_url().into(),
        };
        let answer = self.http.get(format!("{}{path}", self.listener));
        let answer = answer.send().await.map_err(unreachable)?;
        let is_success = answer.status().is_success();
        Ok((is_success, answer.text().await.map_err(unreachable)?))
    }
}

/// Looks until it is so.
///
/// # Errors
/// If it is not so for a minute. The failure says `otherwise`.
pub(super) async fn until(
    otherwise: &str,
    mut is_so: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    while !is_so().await? {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::because(format!(
                "{otherwise} for {} s",
                PATIENCE.as_secs()
            )));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// All series of a counter.
fn sum(metrics: &str, name: &str) -> u64 {
    let series = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| line.rsplit(' ').next())?
    });
    series.filter_map(|value| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_the_sum_of_its_series_alone() {
        let metrics = "# TYPE a_total counter\na_total{x=\"1\"} 3\na_total{x=\"2\"} 4\na_total_more 9\nb_total 5\n";
        assert_eq!(sum(metrics, "a_total"), 7);
        assert_eq!(sum(metrics, "b_total"), 5);
        assert_eq!(sum(metrics, "c_total"), 0);
    }
}
