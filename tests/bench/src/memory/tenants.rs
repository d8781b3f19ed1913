//! A process's memory while it meets a hundred thousand workspaces, with one call to each: the reading half of a worker,
//! with its rate budgets and its metrics, which nobody scrapes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use intercom_simulator::{Options, Simulator, WorkspaceSpec};
use servers::Servers;
use shared::{
    config::{Config, Environment, ProcessRole},
    domain::{Class, Region, Secret},
    intercom::{Endpoint, Intercom},
};
use tokio::task::JoinSet;

use crate::{
    process,
    report::{Failure, Report},
    roles::{self, NO_LIMIT},
    sync,
};

/// The baseline: the process after this many workspaces.
const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// As many as the slots of a worker.
const AT_ONCE: usize = 32;

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    println!("one process that calls {MANY} workspaces once each, beside its first {FEW}");
    let servers =
        tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??;
    let simulator = Simulator::start(Options {
        ledger_rows: false,
        ..Options::default()
    })
    .await?;
    let workspace = simulator.add_workspace(WorkspaceSpec {
        contacts: 0,
        companies: 0,
        conversations: 0,
        limit_per_window: NO_LIMIT,
        ..WorkspaceSpec::default()
    });
    let environment = sync::environment(&servers, &simulator.url(), "http://127.0.0.1:1");
    let mut reader = roles::reader(&environment, &workspace.token())?;
    let pid = reader.role.child.id();
    let mut peaks = Vec::new();
    for _ in [FEW, MANY] {
        let line;
        (reader, line) = tokio::task::spawn_blocking(move || {
            let line = reader.line();
            (reader, line)
        })
        .await?;
        println!("{}", line?);
        peaks.push(process::usage(pid).peak_mib);
    }
    report.add(
        "memory.worker_peak_mib_100k_tenants",
        peaks[1],
        "MiB",
        Some(peaks[0]),
    );
    drop(reader);
    simulator.stop().await;
    Ok(())
}

/// Runs the process that is measured. It prints a line after few workspaces and one after all.
pub(crate) async fn run_reader(token: String) -> Result<(), Failure> {
    let config = Config::load(None, &Environment::of_process(), ProcessRole::Worker)?;
    shared::telemetry::metrics();
    let intercom = Intercom::new(&config)?;
    let next = Arc::new(AtomicUsize::new(0));
    for until in [FEW, MANY] {
        next.store(next.load(Ordering::Relaxed).min(FEW), Ordering::Relaxed);
        let mut callers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (intercom, next, token) = (intercom.clone(), Arc::clone(&next), token.clone());
            callers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= until {
                        return Ok::<(), Failure>(());
                    }
                    call(&intercom, number, &token).await?;
                }
            });
        }
        while let Some(called) = callers.join_next().await {
            called??;
        }
        println!(
            "{until} workspaces were met, and {} budgets are kept",
            intercom.kept_budgets()
        );
    }
    std::future::pending().await
}

/// The workspace's budget is its own, and the answer is always the same.
async fn call(intercom: &Intercom, number: usize, token: &str) -> Result<(), Failure> {
    let workspace = intercom.workspace(
        &format!("workspace{number}"),
        Region::Us,
        "2.16",
        Secret::new(token),
        Class::Fresh,
    );
    workspace.read(&Endpoint::Admins).await?;
    Ok(())
}
