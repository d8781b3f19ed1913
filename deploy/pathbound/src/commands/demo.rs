//! `pathbound demo`: the whole product in one process, against a simulated Intercom, and the command that breaks it.

use std::time::Instant;

use crate::{
    cli::{DemoArgs, DemoCommand},
    demo::{self, chaos},
    failure::Failure,
    output::Format,
};

/// # Errors
/// When something could not start, or is not as expected at the end.
pub async fn run(format: Format, args: DemoArgs, started: Instant) -> Result<(), Failure> {
    match args.command {
        None => demo::run(args, started).await,
        Some(DemoCommand::Chaos(args)) => chaos::ask(format, args).await,
        Some(DemoCommand::Env(choice)) => chaos::print_settings(format, choice).await,
        Some(DemoCommand::Worker) => chaos::run_victim().await,
    }
}
