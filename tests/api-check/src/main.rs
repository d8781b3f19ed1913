//! `make api-check`: schemathesis sends requests of every kind to the running API and compares its answers with the
//! description.
//!
//! - [`world`] starts servers and roles, and syncs two tenants.
//! - [`passes`] runs schemathesis over them, with `schemathesis.toml` and `hooks.py` beside this package.
//! - [`official_clients`] call the tools of the MCP server, and the protocol's conformance suite looks at it.
//! - [`judge`] counts what was answered: a check that only ever meets refusals proves nothing.

mod judge;
mod official_clients;
mod passes;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{judge::Seen, world::Synced};

/// Whatever stops the harness itself.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Lets schemathesis look for answers that the description does not allow.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many cases are sent, roughly
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(200..))]
    cases: u32,
    /// The seed of all choices
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let program = program();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(&arguments, program)));
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("api-check: seed {}: {error}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

/// Whether the API is as it is described.
async fn run(arguments: &Arguments, program: PathBuf) -> Result<bool, Failure> {
    let stop = shared::shutdown::on_signals()?;
    let synced = Synced::start().await?;
    let outcome = tokio::select! {
        outcome = check(&synced, arguments, program) => outcome,
        () = stop.cancelled() => Err("stopped before the end".into()),
    };
    synced.world.stop().await;
    outcome
}

async fn check(synced: &Synced, arguments: &Arguments, program: PathBuf) -> Result<bool, Failure> {
    let mut seen = Seen::default();
    // Before the passes, which part people and end a connection.
    let mut is_good = official_clients::check(synced).await?;
    if !program.exists() {
        println!(
            "SKIPPED: the API is NOT compared with its description, schemathesis could not be had"
        );
        return Ok(is_good);
    }
    for pass in passes::all(synced, arguments.cases) {
        println!("--- {}", pass.name);
        is_good &= pass.run(&program, arguments.seed, &mut seen).await?;
    }
    let faults = judge::faults(&seen, &api::openapi::document())?;
    println!("{} cases, {} operations", seen.cases(), seen.operations());
    for fault in &faults {
        println!("{fault}");
    }
    Ok(is_good && faults.is_empty())
}

/// Where `deploy/setup/python_tool.sh` puts it.
fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    PathBuf::from(target).join("tools/schemathesis/bin/schemathesis")
}
