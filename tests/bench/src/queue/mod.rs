//! The queue, beside the raw server and its rivals, all on one private Redis in one run.
//!
//! Our figures are with everything on that production has: leases, fences, renewal, sweeps, metrics.
//! What is measured is the public API, so a change of scripts changes figures and not this code.

mod bullmq_npm;
mod dispatch;
mod fairness;
mod fleets;
mod herd;
mod latency;
mod orphans;
mod rebuild;
mod redis_server;
#[cfg(feature = "rivals")]
mod rivals;
mod throughput;

use std::{sync::Arc, time::Duration};

use servers::Servers;

use crate::report::{Failure, Report};

pub(crate) use orphans::run_hostage as run_worker_role;

/// Measures what is asked for.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let servers = Arc::new(
        tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??,
    );
    println!(
        "queue: {} on loopback, no persistence; slices that do nothing",
        servers.redis().version()
    );
    // Metrics are recorded, and folded in as a scrape would.
    let upkeep = tokio::spawn(async {
        loop {
            shared::telemetry::metrics().run_upkeep();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let redis = redis_server::Server::connect(&servers).await?;
    // One that fails does not take the others' figures with it.
    let mut failed = Vec::new();
    let mut note = |group: &str, outcome: Result<(), Failure>| {
        if let Err(error) = outcome {
            eprintln!("bench: FAILED {group}: {error}");
            failed.push(group.to_owned());
        }
    };
    if report.wants("queue.noop_slices_per_second") {
        note(
            "noop_slices_per_second",
            throughput::measure(report, &redis).await,
        );
    }
    if report.wants("queue.redis_calls_per_slice") {
        note(
            "redis_calls_per_slice",
            throughput::calls(report, &redis).await,
        );
    }
    if report.wants("queue.start_latency") {
        note("start_latency", latency::measure(report, &redis).await);
    }
    if report.wants("queue.dispatch_cost") {
        note("dispatch_cost", dispatch::measure(report, &redis).await);
    }
    if report.wants("queue.small_tenant") {
        note("small_tenant", fairness::measure(report, &redis).await);
    }
    if report.wants("queue.million_due") {
        note("million_due", herd::measure(report, &redis).await);
    }
    if report.wants("queue.orphan") {
        note("orphan_recovery", orphans::measure(report, &redis).await);
    }
    if report.wants("queue.rebuild") || report.wants("queue.idle") {
        note("rebuild", rebuild::measure(report, &redis, &servers).await);
    }
    upkeep.abort();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("no figures of {}", failed.join(", ")).into())
    }
}
