//! The process: reads the command line, runs the command, and turns a failure into a line on stderr and an exit code.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::{cli::Cli, commands, failure::Failure};

/// Threads that wait for the system, for the look-up of a name for example, end with the process after this time.
const THREADS_END: Duration = Duration::from_millis(500);

/// What `main` is.
pub fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    let outcome = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("could not start the runtime", error))
        .and_then(|runtime| run(runtime, cli, started));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pathbound: {}", failure.line());
            ExitCode::from(failure.code())
        }
    }
}

fn run(runtime: Runtime, cli: Cli, started: Instant) -> Result<(), Failure> {
    let outcome = runtime.block_on(commands::run(cli, started));
    // Dropping the runtime would wait for such threads without a limit.
    runtime.shutdown_timeout(THREADS_END);
    outcome
}
