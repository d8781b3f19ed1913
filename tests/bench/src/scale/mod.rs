//! What grows with a fleet: a heap of ten million parts, a tenant with millions of pending threads, and a workspace that
//! is looked at while its first sync runs.

mod first_look;
mod reads;
mod whale;

use std::time::{Duration, Instant};

use shared::domain::TenantId;

use crate::{
    fleet::Fleet,
    report::{Failure, Report, p99},
};

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    if report.wants("scale.hot_read_p99_ms") {
        reads::measure(report).await?;
    }
    if report.wants("scale.pending_") {
        whale::measure(report).await?;
    }
    if report.wants("scale.first_look_p99_ms") {
        first_look::measure(report).await?;
    }
    Ok(())
}

/// How long the API took for one read.
async fn read(fleet: &Fleet, tenant: TenantId, path: &str) -> Result<Duration, Failure> {
    let begun = Instant::now();
    fleet.rest.get(tenant, path).await?;
    Ok(begun.elapsed())
}

/// The id of the first item of a list.
async fn first_id(fleet: &Fleet, tenant: TenantId, path: &str) -> Result<String, Failure> {
    let list = fleet.rest.get(tenant, path).await?;
    let id = list["items"][0]["id"].as_str();
    Ok(id.ok_or_else(|| format!("{path} is empty"))?.to_owned())
}

/// The time that 99 of 100 did not exceed, in milliseconds.
fn p99_ms(times: &[Duration]) -> f64 {
    p99(times.iter().map(|time| time.as_secs_f64() * 1e3))
}
