//! The whole product in one process: private servers, a simulated Intercom with many workspaces, the API,
//! a scheduler and two workers. Every tenant is connected as a customer would, synced, and compared record
//! by record with the simulator's own truth. `--smoke` is the same without a person: the spine of CI.

pub mod browser;
pub mod cast;
pub mod floor;
pub mod journey;
pub mod progress;
pub mod summary;
pub mod world;

use std::time::{Duration, Instant};

use futures::future::join_all;
use shared::{shutdown, telemetry};

use self::{
    browser::Browser,
    floor::Sizes,
    journey::{Journey, Traveller},
    progress::Progress,
    summary::Summary,
    world::World,
};
use crate::{cli::DemoArgs, failure::Failure, output};

/// What is not complete by then is given up.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the demo. Times count from `started`.
///
/// # Errors
/// When something could not start, or is not as expected at the end.
pub async fn run(args: DemoArgs, started: Instant) -> Result<(), Failure> {
    // A revoked token and a restricted plan are part of the play: their warnings would look like trouble.
    let filter = std::env::var("PATHBOUND_LOG").unwrap_or_else(|_| "error".to_owned());
    telemetry::start_logs(&filter, false).map_err(|error| Failure::Setting(error.to_string()))?;
    let signals = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    let cast = cast::cast(args.tenants);
    let world = World::start(&cast).await?;
    let outcome = tokio::select! {
        outcome = play(&world, &cast, args, started) => outcome,
        () = signals.cancelled() => Err(Failure::because("stopped before the end")),
    };
    if outcome.is_ok() && (args.keep || !args.smoke) || args.keep && !signals.is_cancelled() {
        signals.cancelled().await;
    }
    world.stop().await;
    outcome
}

/// All tenants at once, then the summary. A failure is returned after everything was shown.
async fn play(
    world: &World,
    cast: &[cast::Member],
    args: DemoArgs,
    started: Instant,
) -> Result<(), Failure> {
    let progress = Progress::new(started, cast.len());
    let journeys = {
        let goal = goal(world, cast);
        let shown = progress::show(progress.clone(), goal, world.simulator.clone(), !args.smoke);
        tokio::select! {
            journeys = travel(world, cast, &progress, started) => journeys?,
            () = shown => Vec::new(), // never ends by itself
        }
    };
    let summary = Summary::of(&journeys, world, started.elapsed(), progress.first_row());
    if args.smoke {
        output::line(&summary)?;
    } else {
        output::text(&summary::table(&journeys, &summary))?;
        output::text(&summary::things_to_try(&journeys, world).await?)?;
    }
    summary.judge()
}

/// Connects, syncs and compares every tenant of the cast that `world` was started with, all at once.
///
/// # Errors
/// When no HTTP client can be made; what goes wrong on the way is in the journeys.
pub async fn travel(
    world: &World,
    cast: &[cast::Member],
    progress: &Progress,
    started: Instant,
) -> Result<Vec<Journey>, Failure> {
    let browser = Browser::new()?;
    let travellers: Vec<Traveller<'_>> = cast
        .iter()
        .enumerate()
        .map(|(number, member)| Traveller {
            number,
            member,
            world,
            browser: &browser,
            progress,
            started,
            deadline: started + LIMIT,
        })
        .collect();
    Ok(join_all(travellers.iter().map(Traveller::travel)).await)
}

/// What there is to fetch in all.
fn goal(world: &World, cast: &[cast::Member]) -> Sizes {
    let mut goal = Sizes::default();
    for ((_, truth), member) in world.workspaces.iter().zip(cast) {
        let sizes = Sizes::of(truth);
        goal.contacts += sizes.contacts;
        goal.companies += sizes.companies;
        if member.spec.conversations_plan {
            goal.conversations += sizes.conversations;
            goal.threads += sizes.threads;
        }
    }
    goal
}
