//! Faults in a demo that runs: another terminal asks for one, sees what happens, and gets a comparison of every record.
//!
//! [`Door`] is the demo's side of a unix socket, and [`ask`] is the command's. While a fault is under way, simulated
//! people write in their workspaces, so that there is work that could be lost.

mod ask;
mod door;
mod ending;
mod faults;
mod people;
mod report;
mod victim;
mod watcher;

use std::time::{Duration, Instant};

pub use ask::{ask, print_settings};
pub use door::{Door, Settings};
pub use report::ChaosReport;
pub use victim::run_victim;

use door::Caller;
use people::{Connected, People};
use watcher::Watcher;

use super::{tenant_run::TenantOutcome, world::World};
use crate::failure::Failure;

/// A demo that shows no progress for so long will not.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Opens the socket of this demo, or says why no fault can be asked for.
pub(super) fn open_door() -> Option<Door> {
    let opened = Door::open();
    let reason = |failure: Failure| {
        eprintln!("pathbound: no fault can be asked for: {}", failure.line());
    };
    opened.map_err(reason).ok()
}

/// Plays the faults that callers ask for, one after the other. Never returns.
pub(super) async fn serve(door: Option<Door>, world: &World, outcomes: &[TenantOutcome]) {
    let Some(mut door) = door else {
        return std::future::pending().await;
    };
    let connected = people::connected(world, outcomes);
    loop {
        let mut caller = door.caller().await;
        let fault = caller.fault;
        caller.begin();
        eprintln!("pathbound: chaos {} begins", fault.as_str());
        let played = play(&mut caller, world, &connected).await;
        match &played {
            Ok(report) => eprintln!("pathbound: chaos {}: {}", fault.as_str(), report.verdict()),
            Err(failure) => eprintln!("pathbound: chaos {}: {}", fault.as_str(), failure.line()),
        }
        caller.end(played).await;
    }
}

/// One fault, from the first change of a simulated person to the comparison.
async fn play(
    caller: &mut Caller,
    world: &World,
    connected: &[Connected],
) -> Result<ChaosReport, Failure> {
    let begun = Instant::now();
    let watcher = Watcher::of(world)?;
    let people = People::begin(world, connected);
    caller
        .say(format!(
            "simulated people write in {} workspaces, and syncs are asked for all the time",
            people.workspaces
        ))
        .await;
    watcher.until_written(&watcher.counts().await?).await?;
    let struck = faults::strike(caller, world, &watcher).await;
    // Ends in any case, so that nothing goes on after a fault that did not work.
    let changes = people.stop().await;
    let healthy = struck?;
    caller
        .say(format!(
            "people have stopped after {changes} changes. Each workspace is synced once more, and every record compared"
        ))
        .await;
    let copies = ending::compare(world, connected).await?;
    Ok(ChaosReport {
        fault: caller.fault.as_str().to_owned(),
        exact: copies.is_exact() && copies.records > 0,
        records: copies.records,
        missing: copies.missing,
        extra: copies.extra,
        different: copies.different,
        changes,
        healthy_seconds: rounded(healthy),
        seconds: rounded(begun.elapsed()),
        examples: copies.examples,
    })
}

/// Seconds with three decimals.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
