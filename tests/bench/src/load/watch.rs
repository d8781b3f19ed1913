//! What is seen every few seconds: how fresh each tenant is, and what each role uses.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::scene::Scene;
use crate::{
    process,
    report::{Failure, percentile},
};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// One look.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    /// Since the first one.
    pub(super) seconds: f64,
    /// Of a tenant's contacts and conversations, by the one that was read to its end longest ago.
    pub(super) freshness_p50_seconds: f64,
    pub(super) freshness_p99_seconds: f64,
    pub(super) calls_per_second: f64,
    /// Of one core, since the last look, by role.
    pub(super) cpu_percent: BTreeMap<&'static str, f64>,
    /// The largest so far of one process, by role.
    pub(super) peak_mib: BTreeMap<&'static str, f64>,
}

/// Looks until this time has passed.
pub(super) async fn samples(scene: &Scene, time: Duration) -> Result<Vec<Sample>, Failure> {
    let begun = Instant::now();
    let (mut samples, mut last) = (Vec::new(), Accounts::read(scene));
    while begun.elapsed() < time {
        tokio::time::sleep(SAMPLE_INTERVAL).await;
        let ages = ages(scene).await?;
        let accounts = Accounts::read(scene);
        let seconds = accounts.at.duration_since(last.at).as_secs_f64();
        let cpu = accounts.cpu_seconds.iter().map(|(role, now)| {
            let before = last.cpu_seconds.get(role).copied().unwrap_or_default();
            (*role, (now - before) / seconds * 100.0)
        });
        samples.push(Sample {
            seconds: begun.elapsed().as_secs_f64(),
            freshness_p50_seconds: percentile(ages.iter().copied(), 50),
            freshness_p99_seconds: percentile(ages.iter().copied(), 99),
            calls_per_second: (accounts.calls - last.calls) as f64 / seconds,
            cpu_percent: cpu.collect(),
            peak_mib: peaks(scene),
        });
        last = accounts;
    }
    Ok(samples)
}

/// What only grows.
struct Accounts {
    at: Instant,
    calls: u64,
    cpu_seconds: BTreeMap<&'static str, f64>,
}

impl Accounts {
    fn read(scene: &Scene) -> Self {
        let mut cpu_seconds: BTreeMap<&'static str, f64> = BTreeMap::new();
        for process in &scene.processes {
            let used = process::usage(process.role.child.id()).cpu_seconds;
            *cpu_seconds.entry(process.name).or_default() += used;
        }
        let servers = [
            ("postgres", scene.servers.postgres().pid()),
            ("redis", scene.servers.redis().pid()),
        ];
        for (name, pid) in servers {
            cpu_seconds.insert(name, pid.map_or(0.0, process::tree_cpu_seconds));
        }
        let ours = process::usage(std::process::id()).cpu_seconds;
        cpu_seconds.insert("intercom and readers", ours);
        Self {
            at: Instant::now(),
            calls: scene.simulator.ledger().total,
            cpu_seconds,
        }
    }
}

fn peaks(scene: &Scene) -> BTreeMap<&'static str, f64> {
    let mut peaks: BTreeMap<&'static str, f64> = BTreeMap::new();
    for process in &scene.processes {
        let peak = process::usage(process.role.child.id()).peak_mib;
        let known = peaks.entry(process.name).or_default();
        *known = known.max(peak);
    }
    peaks
}

async fn ages(scene: &Scene) -> Result<Vec<f64>, Failure> {
    let ages = sqlx::query_scalar(
        "SELECT max(extract(epoch FROM clock_timestamp() - last_ok_at))::float8 FROM streams
         WHERE stream IN ('contacts', 'conversations') GROUP BY tenant_id",
    );
    Ok(ages.fetch_all(&scene.admin).await?)
}
