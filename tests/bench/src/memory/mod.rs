//! A worker's memory: where a workspace is large, where its threads are, where there are many workspaces, and where
//! nobody scrapes its metrics.

mod contacts;
mod giants;
pub(crate) mod tenants;
pub(crate) mod unscraped;

use crate::report::{Failure, Report};

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    if report.wants("memory.worker_peak_mib_beside") {
        giants::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_100k_tenants") {
        tenants::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_unscraped_hour") {
        unscraped::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_at") {
        contacts::measure(report).await?;
    }
    Ok(())
}
