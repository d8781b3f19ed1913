//! `make drain`: how long a worker takes to end after SIGTERM while all of its slots are busy, and what that costs.
//!
//! One worker with 64 slots copies many workspaces of a slow Intercom: first syncs, pages and threads side by side. Once
//! every slot is taken it is told to end, and the next one goes on. A sample is the time from the signal to the exit, and
//! the baseline is the same time of a worker without work. At the end the last worker finishes the copies.
//!
//! *Lost* is a record that a copy lacks or has otherwise. *Done twice* is a page or a thread that Intercom served twice,
//! by its own record of all calls: none may be, not even one that was under way at the signal, because a worker stores
//! what it has asked for. A scroll of companies cannot be resumed, so it begins anew and is counted apart.
//!
//! `DRAIN_SAMPLES`, `DRAIN_SLOTS` and `DRAIN_WORKSPACES` take other sizes.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use intercom_simulator::{Latency, READ_ONCE, WorkspaceSpec};
use pathbound::exact;
use serde_json::json;
use shared::{domain::Secret, queue::Queue};

use super::{
    PATIENCE, Sizes, in_a_runtime,
    rollout::until_ready,
    scene::{Build, Intercom, Process, Scene},
};
use crate::{
    report::{Failure, SEED, machine, percentile, size},
    roles::NO_LIMIT,
};

const FOLDER: &str = "target/drain";
/// Of the issue that asks for it.
const ALLOWED: Duration = Duration::from_secs(5);
/// A worker that has not ended by itself after this will not.
const GIVEN_UP: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);
/// Workers without work whose end is the baseline.
const BASELINES: usize = 10;
/// Workspaces that connect with each sample, so that first syncs are under way in each.
const NEWCOMERS: usize = 4;

/// What one signal met.
struct Sample {
    /// Slots that were taken when it was sent.
    busy: u64,
    seconds: f64,
}

/// Runs it.
pub(crate) fn main() -> ExitCode {
    in_a_runtime("drain", run())
}

async fn run() -> Result<bool, Failure> {
    let (samples, slots) = (size("DRAIN_SAMPLES", 40)?, size("DRAIN_SLOTS", 64)?);
    let early: usize = size("DRAIN_WORKSPACES", 48)?;
    let sizes = Sizes {
        tenants: u32::try_from(early + samples * NEWCOMERS)?,
        seconds: 0,
        // Nothing changes, so nothing is read again by a poll.
        interval_seconds: 3_600,
        changes: 0,
        readers: 0,
        workers: 0,
    };
    let intercom = Intercom {
        latency: Latency::Between(100, 1_000),
        ledger_rows: true,
        spec,
    };
    let mut scene = Scene::start_with(sizes, &Build::Ours, &intercom).await?;
    let slot_count = slots.to_string();
    let own = [
        ("WORKER_SLOTS", slot_count.as_str()),
        // Each slot calls one at a time, as with many tenants whose budgets are small.
        ("CONVERSATION_CONCURRENCY", "1"),
        ("COMPANY_WALK_INTERVAL", "24h"),
    ];
    let own = own.map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()));
    scene.environment.extend(own);
    let outcome = play(&scene, early, samples, slots).await;
    let report = match &outcome {
        Ok(outcome) => Some(write(&scene, outcome, slots)?),
        Err(_) => None,
    };
    scene.stop().await;
    outcome?;
    Ok(report == Some(true))
}

/// All that was seen.
struct Outcome {
    idle: Vec<Sample>,
    busy: Vec<Sample>,
    report: exact::Report,
}

async fn play(scene: &Scene, early: usize, samples: usize, slots: u64) -> Result<Outcome, Failure> {
    let redis = Secret::new(scene.servers.redis_url());
    let queue = Queue::open(&redis, "pathbound")?;
    let mut idle = Vec::new();
    for _ in 0..BASELINES {
        let worker = start(scene).await?;
        idle.push(end(scene, worker, &queue).await?);
    }
    // They connect while no worker takes their tickets, so the first one finds all of them.
    scene.connect_some(0..early).await?;
    let mut busy = Vec::new();
    for number in 0..samples {
        let worker = start(scene).await?;
        let first = early + number * NEWCOMERS;
        scene.connect_some(first..first + NEWCOMERS).await?;
        until_busy(&queue, slots).await?;
        let sample = end(scene, worker, &queue).await?;
        println!(
            "{:>3}: {} slots were busy, and the worker ended after {:.2} s",
            number + 1,
            sample.busy,
            sample.seconds
        );
        busy.push(sample);
        // Intercom forgets a scroll that nobody reads after a minute.
        for workspace in scene.workspaces() {
            workspace.release_scroll();
        }
    }
    let worker = start(scene).await?;
    scene.until_read_since(None, PATIENCE).await?;
    let mut report = exact::Report::default();
    for connected in scene.connected() {
        let truth = connected.workspace.truth();
        let (tenant, connection) = (connected.tenant, connected.connection);
        report.add(&exact::compare(&scene.store, tenant, connection, &truth).await?);
    }
    end(scene, worker, &queue).await?;
    Ok(Outcome { idle, busy, report })
}

async fn start(scene: &Scene) -> Result<Process, Failure> {
    let worker = scene.process("worker", &Build::Ours, None)?;
    until_ready(&worker.ops_url).await?;
    Ok(worker)
}

async fn until_busy(queue: &Queue, slots: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let leased = queue.stats().await?.leased;
        if leased >= slots {
            return Ok(());
        }
        if begun.elapsed() > GIVEN_UP {
            let why = format!(
                "only {leased} of {slots} slots are busy, so there is too little work: DRAIN_WORKSPACES asks for more"
            );
            return Err(why.into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Tells a worker to end, and waits for it.
///
/// # Errors
/// If it does not end well by itself, leaves a lease behind, or has counted a failure.
async fn end(scene: &Scene, mut worker: Process, queue: &Queue) -> Result<Sample, Failure> {
    let busy = queue.stats().await?.leased;
    let begun = Instant::now();
    if !worker.role.terminate(GIVEN_UP).await? {
        return Err("a worker did not end well by itself".into());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let left = queue.stats().await?.leased;
    if left > 0 {
        return Err(format!("a worker that ended has left {left} leases").into());
    }
    let failed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM streams WHERE attempts + restarts > 0")
            .fetch_one(&scene.admin)
            .await?;
    if failed > 0 {
        return Err(format!("{failed} streams have failed").into());
    }
    Ok(Sample { busy, seconds })
}

/// Writes `target/drain/report.json`, and returns whether all is as it has to be.
fn write(scene: &Scene, outcome: &Outcome, slots: u64) -> Result<bool, Failure> {
    let ledger = scene.simulator.ledger();
    let twice = ledger.repeated(&READ_ONCE);
    let workspaces = scene.connected().len() as u64;
    let rows = ledger.rows();
    let scrolls = rows
        .iter()
        .filter(|row| row.path == "/companies/scroll")
        .count() as u64;
    let seconds = |samples: &[Sample], of_hundred| {
        percentile(samples.iter().map(|sample| sample.seconds), of_hundred)
    };
    let p99 = seconds(&outcome.busy, 99);
    let lost = outcome.report.missing + outcome.report.different;
    let calls: BTreeMap<_, _> = READ_ONCE
        .iter()
        .map(|name| (*name, ledger.calls(name)))
        .collect();
    let least_busy = outcome.busy.iter().map(|sample| sample.busy).min();
    let figures = json!({
        "samples": outcome.busy.len(),
        "slots": slots,
        "busy_least": least_busy,
        "exit_p50_seconds": seconds(&outcome.busy, 50),
        "exit_p99_seconds": p99,
        "exit_most_seconds": seconds(&outcome.busy, 100),
        "idle_exit_p50_seconds": seconds(&outcome.idle, 50),
        "idle_exit_p99_seconds": seconds(&outcome.idle, 99),
        "workspaces": workspaces,
        "records": outcome.report.records,
        "lost": lost,
        "doubled": outcome.report.extra,
        "done_twice": twice.len(),
        "read_once": calls,
        "scrolls_begun_anew": scrolls.saturating_sub(workspaces),
        "throttled": ledger.throttled,
        "outside_read_list": ledger.outside_read_list,
        "machine": machine(),
        "seed": SEED,
        "examples": outcome.report.examples.iter().chain(&twice).take(10).collect::<Vec<_>>(),
    });
    std::fs::create_dir_all(FOLDER)?;
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(format!("{FOLDER}/report.json"), &text)?;
    println!("{text}");
    Ok(p99 < ALLOWED.as_secs_f64()
        && lost + outcome.report.extra == 0
        && twice.is_empty()
        && ledger.outside_read_list == 0)
}

/// A customer whose first sync takes a slot some seconds for each stream.
fn spec(number: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        name: format!("drain {number}"),
        seed: SEED + u64::from(number),
        contacts: 400,
        companies: 120,
        conversations: 70,
        parts: 3.0,
        contacts_over_10_companies: 0.01,
        limit_per_window: NO_LIMIT,
        ..WorkspaceSpec::default()
    }
}
