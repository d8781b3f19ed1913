//! After a fault: one more sync of each workspace, and the comparison of every record.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use super::people::Connected;
use crate::{
    demo::{
        tenant_run::{expected, is_synced, status, unfinished},
        world::World,
    },
    exact::{self, Report},
    failure::Failure,
};

/// A copy that is not exact by then is not.
const LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Waits until each copy is complete and exact, and returns the sum of their comparisons.
///
/// # Errors
/// If a copy is not complete in time.
pub(super) async fn compare(world: &World, connected: &[Connected]) -> Result<Report, Failure> {
    let deadline = Instant::now() + LIMIT;
    let compared = connected
        .iter()
        .map(|one| compare_one(world, one, deadline));
    let mut sum = Report::default();
    for report in join_all(compared).await {
        sum.add(&report?);
    }
    Ok(sum)
}

async fn compare_one(
    world: &World,
    connected: &Connected,
    deadline: Instant,
) -> Result<Report, Failure> {
    let late = |what: &str| Failure::because(format!("{}: {what}", connected.name));
    // A run that was asked for before the last change may have passed it, so only a new one counts.
    while !sync(world, connected).await? {
        if Instant::now() > deadline {
            return Err(late("the API took no new sync in time"));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    loop {
        let now = status(&world.store, connected.tenant, connected.connection).await?;
        let is_late = Instant::now() > deadline;
        if is_synced(&now, connected.scenario) {
            let truth = connected.workspace.truth();
            let truth = expected(&truth, connected.scenario);
            let (tenant, connection) = (connected.tenant, connected.connection);
            let report = exact::compare(&world.store, tenant, connection, &truth).await?;
            // What was asked for last may have begun just before the last change.
            if report.is_exact() || is_late {
                return Ok(report);
            }
        } else if is_late {
            return Err(late(&format!(
                "was not complete in time: {}",
                unfinished(&now)
            )));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Asks for a sync. `false` while an equal one is under way.
async fn sync(world: &World, connected: &Connected) -> Result<bool, Failure> {
    let path = format!("/v1/connections/{}/syncs", connected.connection);
    let body = json!({"mode": "incremental"});
    let answer = world
        .rest
        .post(Some(connected.tenant), &path, &body)
        .await?;
    if answer.status == 409 {
        return Ok(false);
    }
    answer.success().map(|_| true)
}
