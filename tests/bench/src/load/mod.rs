//! `make load`: a whole fleet at the machine's limit. Two thousand tenants change their workspaces, four workers, a
//! scheduler and two APIs copy them, and fifty readers read. At the end each copy is compared with its workspace.
//!
//! - [`scene`] starts the servers and the fleet, and connects the tenants.
//! - [`people`] change the workspaces and read the copies.
//! - [`watch`] samples freshness and what each role uses.
//! - [`report`] writes `target/load/report.json` and a page with charts beside it.
//!
//! The interval is shorter than a round of all tenants takes, so the fleet is never done and the freshness says how fast
//! it can be. `LOAD_TENANTS`, `LOAD_SECONDS`, `LOAD_INTERVAL`, `LOAD_CHANGES`, `LOAD_READERS` and `LOAD_WORKERS` take
//! other sizes.

pub(crate) mod drain;
mod people;
mod report;
pub(crate) mod rollout;
mod scene;
mod watch;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use pathbound::exact;
use shared::shutdown::Shutdown;

use self::{
    people::Answers,
    scene::{Build, Scene},
    watch::Sample,
};
use crate::report::{Failure, size};

/// After the last change, every stream has begun and ended a walk within this time.
const PATIENCE: Duration = Duration::from_secs(600);
/// Examples of what is not exact.
const EXAMPLES: usize = 10;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    tenants: u32,
    seconds: u64,
    interval_seconds: u64,
    /// In all workspaces, each second.
    changes: u32,
    readers: usize,
    workers: usize,
}

impl Sizes {
    fn read() -> Result<Self, Failure> {
        Ok(Self {
            tenants: size("LOAD_TENANTS", 2_000)?,
            seconds: size("LOAD_SECONDS", 600)?,
            interval_seconds: size("LOAD_INTERVAL", 5)?,
            changes: size("LOAD_CHANGES", 20)?,
            readers: size("LOAD_READERS", 50)?,
            workers: size("LOAD_WORKERS", 4)?,
        })
    }
}

/// What came of it.
struct Outcome {
    /// Until every tenant's first sync was complete.
    first_seconds: f64,
    samples: Vec<Sample>,
    /// Objects that were changed, by kind of change.
    changed: u64,
    answers: Answers,
    /// To Intercom while it was watched.
    calls: u64,
    throttled: u64,
    /// From the last change until all had been read again.
    settled_seconds: f64,
    records: u64,
    missing: u64,
    different: u64,
    extra: u64,
    outside_read_list: u64,
    examples: Vec<String>,
}

/// Runs it.
pub(crate) fn main() -> ExitCode {
    in_a_runtime("load", run())
}

/// Runs a program in a runtime of its own. It says whether all is as it has to be.
fn in_a_runtime(name: &str, program: impl Future<Output = Result<bool, Failure>>) -> ExitCode {
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(program));
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost.
async fn run() -> Result<bool, Failure> {
    let sizes = Sizes::read()?;
    println!("{sizes:?}");
    let begun = Instant::now();
    let scene = Scene::start(sizes, &Build::Ours).await?;
    scene.connect_all().await?;
    println!(
        "{} tenants are connected after {:.0} s",
        sizes.tenants,
        begun.elapsed().as_secs_f64()
    );
    scene.until_read_since(None, PATIENCE).await?;
    let first_seconds = begun.elapsed().as_secs_f64();
    println!("all are complete after {first_seconds:.0} s");
    let outcome = play(&scene, first_seconds).await;
    scene.stop().await;
    report::write(sizes, &outcome?)
}

async fn play(scene: &Scene, first_seconds: f64) -> Result<Outcome, Failure> {
    let before = scene.simulator.ledger();
    let stop = Shutdown::new();
    let changing = tokio::spawn(people::change(
        scene.workspaces(),
        scene.sizes,
        stop.clone(),
    ));
    let reading = people::read(scene, stop.clone());
    let watching = async {
        let samples = watch::samples(scene, Duration::from_secs(scene.sizes.seconds)).await;
        stop.cancel();
        samples
    };
    let (answers, samples) = tokio::join!(reading, watching);
    let (samples, answers, changed) = (samples?, answers?, changing.await?);
    let after = scene.simulator.ledger();
    let stopped = Instant::now();
    scene
        .until_read_since(Some(scene.now().await?), PATIENCE)
        .await?;
    let mut outcome = Outcome {
        first_seconds,
        samples,
        changed,
        answers,
        calls: after.total - before.total,
        throttled: after.throttled - before.throttled,
        settled_seconds: stopped.elapsed().as_secs_f64(),
        records: 0,
        missing: 0,
        different: 0,
        extra: 0,
        outside_read_list: after.outside_read_list,
        examples: Vec::new(),
    };
    compare(scene, &mut outcome).await?;
    Ok(outcome)
}

/// Compares every record of every tenant.
async fn compare(scene: &Scene, outcome: &mut Outcome) -> Result<(), Failure> {
    for connected in scene.connected() {
        let truth = connected.workspace.truth();
        let report =
            exact::compare(&scene.store, connected.tenant, connected.connection, &truth).await?;
        outcome.records += report.records;
        outcome.missing += report.missing;
        outcome.different += report.different;
        outcome.extra += report.extra;
        let left = EXAMPLES.saturating_sub(outcome.examples.len());
        outcome
            .examples
            .extend(report.examples.into_iter().take(left));
    }
    Ok(())
}
