//! `make chaos`: real processes, real faults, an exact copy at the end, or exit code 1.
//!
//! - [`world`] starts private servers, the simulator and the fleet. [`fleet`] keeps the processes.
//! - [`faults`] breaks them, on three tracks at once, while [`mutations`] changes the workspaces.
//! - [`history`] writes down every commit from inside Postgres, and judges it.
//! - [`ending`] waits for rest and compares. [`report`] prints what was wanted, done and hit.

mod ending;
mod faults;
mod fleet;
mod history;
mod judge;
mod mutations;
mod report;
mod roles;
mod scrape;
mod world;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Parser;

use crate::{
    faults::{Faults, Recoveries},
    report::Report,
    world::World,
};

/// Whatever stops the harness itself.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Breaks workers, Redis, Postgres, connections and Intercom while workspaces change, then compares
/// every record and every commit.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long faults are injected. The number of each kind follows from it
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: u64,
    /// The seed of all choices. By default it comes from the clock
    #[arg(long)]
    seed: Option<u64>,
    /// How much is broken
    #[arg(long, value_enum, default_value_t)]
    faults: Faults,
    /// Print one JSON line on stdout instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // This program is also what it starts: the fleet's processes are copies of it.
    if let Some(code) = roles::dispatch() {
        return code;
    }
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_millis() as u64 % 1_000_000)
    });
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            runtime.block_on(run(
                Duration::from_secs(arguments.seconds),
                seed,
                arguments.faults,
            ))
        });
    let report = match ran {
        Ok(report) => report,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.json {
        report.print_json();
    } else {
        report.print_table();
    }
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(time: Duration, seed: u64, faults: Faults) -> Result<Report, Failure> {
    eprintln!(
        "chaos: seed {seed}, {} s of faults; logs of the fleet in {}",
        time.as_secs(),
        fleet::LOGS
    );
    let stop = shared::shutdown::on_signals()?;
    let world = World::start(seed, faults).await?;
    let outcome = tokio::select! {
        outcome = play(&world, time, seed, faults) => outcome,
        () = stop.cancelled() => Err("stopped before the end".into()),
    };
    world.stop().await;
    outcome
}

async fn play(world: &World, time: Duration, seed: u64, faults: Faults) -> Result<Report, Failure> {
    let supervisor = world.fleet.supervise();
    let recoveries = Recoveries::default();
    let played = async {
        let mutations = mutations::begin(world, seed);
        let broken = faults::inject(world, time, seed, faults, &recoveries).await?;
        let changes = mutations.stop().await;
        Ok::<_, Failure>((broken, changes, ending::wait_and_compare(world).await?))
    };
    let (mut broken, changes, ending) = tokio::select! {
        played = played => played?,
        never = recoveries.watch(world) => never,
    };
    recoveries.conclude(&mut broken, ending.exact_seconds.is_some());
    supervisor.stop().await;
    let rest = ending::rest(world).await?;
    let verdict = judge::judge(world, &broken.storms).await?;
    Ok(Report::new(
        seed, time, &broken, changes, ending, rest, verdict, world,
    ))
}
