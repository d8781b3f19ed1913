//! `pathbound`: the one binary. It reads the command line, runs the command, and turns a failure into a
//! line on stderr and an exit code.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use pathbound::{cli::Cli, commands, failure::Failure};

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("could not start the runtime", error))
        .and_then(|runtime| runtime.block_on(commands::run(cli, started)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pathbound: {}", failure.line());
            ExitCode::from(failure.code())
        }
    }
}
