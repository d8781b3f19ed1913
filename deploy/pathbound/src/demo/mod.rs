//! The whole product in one process: private servers, a simulated Intercom with many workspaces, the API,
//! a scheduler and two workers. The demo connects every tenant through the OAuth pages, syncs it, and compares
//! every record with the simulator's truth. CI runs it with `--smoke`, which prints one JSON object.

pub mod browser;
pub mod chaos;
pub mod floor;
mod links;
mod other_sources;
pub mod progress;
pub mod scenarios;
mod searching;
mod sign_in;
pub mod summary;
mod summary_box;
pub mod tenant_run;
pub mod world;

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use futures::future::join_all;
use shared::{shutdown, telemetry};

use self::{
    browser::Browser,
    floor::Sizes,
    progress::DemoProgress,
    summary::Summary,
    tenant_run::{TenantOutcome, TenantRun},
    world::World,
};
use crate::{cli::DemoArgs, failure::Failure, output};

/// A tenant that is not complete by then has failed.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the demo. Times count from `started`.
///
/// # Errors
/// A part cannot start, or the result is not as expected.
pub async fn run(args: DemoArgs, started: Instant) -> Result<(), Failure> {
    // A revoked token and a restricted plan belong to the demo, but their warnings would look like faults.
    let filter = std::env::var("PATHBOUND_LOG").unwrap_or_else(|_| "error".to_owned());
    telemetry::start_logs(&filter, false).map_err(|error| Failure::Setting(error.to_string()))?;
    let signals = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    let demo_tenants = scenarios::demo_tenants(args.tenants);
    // A fault that is asked for before the first sync has ended waits in the socket until it has.
    let door = (args.keep || !args.smoke).then(chaos::open_door).flatten();
    if !args.smoke {
        summary_box::heed_no_color();
        progress::introduce(demo_tenants.len());
    }
    let world = World::start(&demo_tenants).await?;
    if let Some(door) = &door {
        door.publish(&world.environment);
    }
    // Ctrl-C must stop the servers too, so the run is given up instead of the process.
    let outcome = tokio::select! {
        outcome = run_demo(&world, &demo_tenants, args, started) => outcome,
        () = signals.cancelled() => Err(Failure::because("stopped before the end")),
    };
    // A person keeps the demo to try the API. With `--keep` it also stays after a failure.
    match &outcome {
        Ok(outcomes) if args.keep || !args.smoke => tokio::select! {
            () = signals.cancelled() => {}
            () = chaos::serve(door, &world, outcomes) => {} // never ends by itself
        },
        Err(_) if args.keep => {
            // There is no copy that a fault could be compared with.
            drop(door);
            signals.cancelled().await;
        }
        _ => {}
    }
    world.stop().await;
    outcome.map(drop)
}

/// Runs all tenants at once and prints the summary. A failure is returned after everything was printed.
async fn run_demo(
    world: &World,
    demo_tenants: &[scenarios::DemoTenant],
    args: DemoArgs,
    started: Instant,
) -> Result<Vec<TenantOutcome>, Failure> {
    let progress = DemoProgress::new(started, demo_tenants.len());
    let outcomes = {
        let goal = goal(world, demo_tenants);
        let shown = progress::show(progress.clone(), goal, world.simulator.clone(), !args.smoke);
        tokio::select! {
            outcomes = sync_tenants(world, demo_tenants, &progress, started) => outcomes?,
            () = shown => Vec::new(), // never ends by itself
        }
    };
    // The bars have left the terminal here, so that the table is not printed between them.
    let summary = Summary::of(&outcomes, world, started.elapsed(), progress.first_row());
    if args.smoke {
        output::line(&summary)?;
    } else if std::io::stdout().is_terminal() {
        show_to_a_person(&outcomes, &summary, world).await?;
    } else {
        output::text(&summary::table(&outcomes, &summary))?;
        output::text(&summary::things_to_try(&outcomes, world).await?)?;
    }
    summary.judge()?;
    Ok(outcomes)
}

/// A box on a terminal. What does not fit into it is behind its links.
async fn show_to_a_person(
    outcomes: &[TenantOutcome],
    summary: &Summary,
    world: &World,
) -> Result<(), Failure> {
    if summary.judge().is_err() {
        return output::text(&summary::table(outcomes, summary));
    }
    let commands = summary::things_to_try(outcomes, world).await?;
    let links = links::serve(outcomes, world, commands).await?;
    output::text(&summary_box::text(outcomes, summary, &links))
}

/// Connects, syncs and compares every tenant that `world` was started with, all at once.
///
/// # Errors
/// The HTTP client cannot be made. Later failures are part of the outcomes.
pub async fn sync_tenants(
    world: &World,
    demo_tenants: &[scenarios::DemoTenant],
    progress: &DemoProgress,
    started: Instant,
) -> Result<Vec<TenantOutcome>, Failure> {
    let browser = Browser::new()?;
    let runs: Vec<TenantRun<'_>> = demo_tenants
        .iter()
        .enumerate()
        .map(|(number, demo_tenant)| TenantRun {
            number,
            demo_tenant,
            world,
            browser: &browser,
            progress,
            started,
            deadline: started + LIMIT,
        })
        .collect();
    Ok(join_all(runs.iter().map(TenantRun::run)).await)
}

/// The objects of all workspaces that a sync can fetch.
fn goal(world: &World, demo_tenants: &[scenarios::DemoTenant]) -> Sizes {
    let mut goal = Sizes::default();
    for ((_, truth), demo_tenant) in world.workspaces.iter().zip(demo_tenants) {
        let sizes = Sizes::of(truth);
        goal.contacts += sizes.contacts;
        goal.companies += sizes.companies;
        if demo_tenant.spec.conversations_plan {
            goal.conversations += sizes.conversations;
            goal.threads += sizes.threads;
        }
    }
    goal
}
