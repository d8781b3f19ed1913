//! One file per command. The commands that run a role share one function.

pub mod actions;
pub mod config;
pub mod dead;
pub mod dead_bulk;
#[cfg(feature = "demo")]
pub mod demo;
pub mod doctor;
pub mod events;
pub mod identity_rules;
pub mod jobs;
mod json_input;
pub mod keys;
pub mod man;
pub mod merge_rules;
pub mod migrate;
pub mod overview;
pub mod pauses;
pub mod queues;
pub mod replay;
pub mod resync;
pub mod schedule;
pub mod tenants;
pub mod top;
pub mod unpack;
pub mod why;

use std::{path::Path, time::Instant};

use clap::CommandFactory;

use shared::{
    config::{Config, Environment, ProcessRole},
    shutdown,
    telemetry::{self, Traces},
};

use crate::{
    cli::{Cli, Command},
    failure::Failure,
    output, roles,
};

/// Runs a command. `started` is the start of the process.
///
/// # Errors
/// If the command could not do its work.
#[cfg_attr(
    not(feature = "demo"),
    expect(
        unused_variables,
        reason = "only the demo counts from the start of the process"
    )
)]
pub async fn run(cli: Cli, started: Instant) -> Result<(), Failure> {
    let (file, format) = (cli.config.as_deref(), cli.output);
    match cli.command {
        Command::Api => serve(file, ProcessRole::Api).await,
        Command::Scheduler => serve(file, ProcessRole::Scheduler).await,
        Command::Worker => serve(file, ProcessRole::Worker).await,
        Command::All => serve(file, ProcessRole::All).await,
        Command::Migrate(args) => migrate::run(file, format, args).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(format, args, started).await,
        Command::Doctor { role } => doctor::run(file, format, role).await,
        Command::Queues(args) => queues::run(file, format, args).await,
        Command::Top(args) => top::run(file, format, args).await,
        Command::Why { tenant } => why::run(file, format, &tenant).await,
        Command::Resync(args) => resync::run(file, format, args).await,
        Command::Replay(args) => replay::run(file, format, args).await,
        Command::Dead(command) => dead::run(file, format, command).await,
        Command::Events(args) => events::run(file, format, args).await,
        Command::Schedule(args) => schedule::run(file, format, args).await,
        Command::Actions(args) => actions::run(file, format, args).await,
        Command::Overview => overview::run(file, format).await,
        Command::Jobs(command) => jobs::run(file, format, command).await,
        Command::Pause { scope, reason } => pauses::pause(file, format, scope, reason).await,
        Command::Resume { scope } => pauses::resume(file, format, scope).await,
        Command::Tenants(command) => tenants::run(file, format, command).await,
        Command::Keys(command) => keys::run(file, format, command).await,
        Command::MergeRules(command) => merge_rules::run(file, format, command).await,
        Command::IdentityRules(command) => identity_rules::run(file, format, command).await,
        Command::Unpack => unpack::run(),
        Command::Config(command) => config::run(file, format, command),
        // JSON whatever the format, because the description is for programs.
        Command::Openapi => output::text(&api::openapi::text()),
        Command::Man { directory } => man::run(&directory),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pathbound", &mut script);
    output::text(&String::from_utf8_lossy(&script))
}

fn load(file: Option<&Path>, role: ProcessRole) -> Result<Config, Failure> {
    Ok(Config::load(file, &Environment::of_process(), role)?)
}

/// The configuration of a command that only calls a running process. The loader requires a database
/// URL although such a command opens no database, so an unused one stands in if none is set.
fn client_config(file: Option<&Path>) -> Result<Config, Failure> {
    let mut environment = Environment::of_process();
    if file.is_none() {
        let unused = "postgres://unused.invalid/unused";
        environment = environment.or("PATHBOUND_DATABASE_URL", unused);
    }
    Ok(Config::load(file, &environment, ProcessRole::Migrate)?)
}

/// The configuration of a command that calls the API: with its URL and key.
fn api_config(file: Option<&Path>) -> Result<Config, Failure> {
    let config = client_config(file)?;
    let unset = if config.public_url.is_empty() {
        "PATHBOUND_PUBLIC_URL is not set, so set it to the URL of the API"
    } else if config.service_key.expose().is_empty() {
        "PATHBOUND_SERVICE_KEY is not set, but the API needs it"
    } else {
        return Ok(config);
    };
    Err(Failure::Setting(unset.to_owned()))
}

/// Starts logs and runs roles until SIGTERM or Ctrl-C.
async fn serve(file: Option<&Path>, role: ProcessRole) -> Result<(), Failure> {
    let config = load(file, role)?;
    let traces = Traces::start(&config, role).map_err(Failure::Setting)?;
    telemetry::start_logs_of(&config, &traces)
        .map_err(|error| Failure::Setting(error.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let shutdown = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    let outcome = roles::run(config, role, shutdown).await;
    // Last, so that the spans of the drain are sent too.
    traces.close().await;
    outcome
}
