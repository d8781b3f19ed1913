//! BullMQ as its users have it, from npm, where npm and node are there.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use super::{
    redis_server::Server,
    throughput::{JOBS, SLOTS},
};
use crate::report::Failure;

const VERSION: &str = "5";
const FOLDER: &str = "target/bench/bullmq";
const INSTALL: Duration = Duration::from_secs(120);
const RUN: Duration = Duration::from_secs(180);

/// Installs it into `target/`, and lets it drain as many jobs as the others do.
pub(super) async fn rate(redis: &Server) -> Result<f64, Failure> {
    redis.fresh().await?;
    std::fs::create_dir_all(FOLDER)?;
    let folder = Path::new(FOLDER).canonicalize()?;
    if !folder.join("node_modules/bullmq").exists() {
        let install = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--silent",
                "--prefix",
                ".",
                &format!("bullmq@{VERSION}"),
            ])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(INSTALL, install)
            .await
            .map_err(|_| "npm took too long")??;
        if !output.status.success() {
            return Err(format!(
                "npm could not install it: {}",
                String::from_utf8_lossy(&output.stderr)
            )
            .into());
        }
    }
    std::fs::write(folder.join("drain.mjs"), include_str!("bullmq.mjs"))?;
    let run = Command::new("node")
        .args([
            "drain.mjs",
            &redis.url,
            &JOBS.to_string(),
            &SLOTS.to_string(),
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(RUN, run)
        .await
        .map_err(|_| "node took too long")??;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into())
}
