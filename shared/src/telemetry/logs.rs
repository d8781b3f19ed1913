//! Logs. They go to stderr, because stdout is for data.
//!
//! No secret, parameter of a DSN or value of a customer may be in a log. Our own lines carry ids only. A dependency may
//! print anything at its lower levels, so a filter of its own lets only warnings of dependencies through, whatever
//! `log` asks for, and the writer blanks the configured secrets out of every line.

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::Arc,
};

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::Traces;
use crate::{config::Config, domain::Secret};

/// The crates whose lines are ours. The last ones are the tools around the product.
const OURS: [&str; 11] = [
    "api",
    "pathbound",
    "scheduler",
    "shared",
    "worker",
    "bench",
    "chaos",
    "intercom_simulator",
    "it",
    "servers",
    "simulation",
];

/// Shorter texts are no secrets, and they would blank out ordinary words.
const SHORTEST_SECRET: usize = 6;

/// Starts logging for a tool that has no configuration.
///
/// # Errors
/// When the filter cannot be read.
pub fn start_logs(filter: &str, json: bool) -> Result<(), BadFilter> {
    start(filter, json, Vec::new(), &Traces::off())
}

/// Starts logging as the configuration says, and traces beside it. Its secrets are blanked out of every line.
///
/// # Errors
/// When the filter cannot be read.
pub fn start_logs_of(config: &Config, traces: &Traces) -> Result<(), BadFilter> {
    start(&config.log, config.log_json, config.secrets(), traces)?;
    log_panics();
    Ok(())
}

fn start(filter: &str, json: bool, secrets: Vec<Secret>, traces: &Traces) -> Result<(), BadFilter> {
    let asked = EnvFilter::try_new(filter).map_err(|error| BadFilter(error.to_string()))?;
    let stderr = Blanking::of(secrets);
    let lines = fmt::layer().with_writer(stderr);
    let lines = if json {
        lines.json().boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal()).boxed()
    };
    // The filter is that of the lines alone, so that spans are traced although no line shows them. Its hint keeps what
    // no one asks for as cheap as before.
    let printed = filter_fn(may_be_printed).with_max_level_hint(LevelFilter::TRACE);
    let registry = tracing_subscriber::registry()
        .with(lines.with_filter(asked.and(printed)))
        .with(traces.layer());
    // A second start in one process (tests) keeps the first.
    let _ = registry.try_init();
    Ok(())
}

/// A line of a dependency is printed only if it is a warning. Those of sqlx must be errors, because it warns of each
/// parameter of a DSN that it does not know, with its value, and of slow statements.
fn may_be_printed(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let crate_of = target.split("::").next().unwrap_or(target);
    let ceiling = match crate_of {
        ours if OURS.contains(&ours) => LevelFilter::TRACE,
        // It warns of every request that it refuses, with what the request says.
        "rmcp" => LevelFilter::ERROR,
        "sqlx" | "sqlx_core" | "sqlx_postgres" => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    *metadata.level() <= ceiling
}

/// Logs a panic with its place. A formatted message is left out, because it may quote what could not be handled, such
/// as an error with a customer's value.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic
            .payload()
            .downcast_ref::<&'static str>()
            .unwrap_or(&"its message is left out, because it is not a constant");
        tracing::event!(
            Level::ERROR,
            place,
            "a part of this process panicked: {message}"
        );
    }));
}

/// Standard error without the secrets.
#[derive(Clone, Debug)]
struct Blanking(Arc<[Secret]>);

impl Blanking {
    fn of(mut secrets: Vec<Secret>) -> Self {
        secrets.retain(|secret| secret.expose().len() >= SHORTEST_SECRET);
        Self(secrets.into())
    }

    /// A line as it may be printed.
    fn blank(&self, line: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        let found = |secret: &&Secret| text.contains(secret.expose());
        let mut blanked = self
            .0
            .iter()
            .any(|secret| found(&secret))
            .then(|| text.to_string())?;
        for secret in self.0.iter() {
            blanked = blanked.replace(secret.expose(), "[secret]");
        }
        Some(blanked)
    }
}

impl<'a> MakeWriter<'a> for Blanking {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Blanking {
    /// The formatter writes one whole line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.blank(line) {
            Some(blanked) => io::stderr().lock().write_all(blanked.as_bytes())?,
            None => io::stderr().lock().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the log filter cannot be read ({0}): write it like info,shared=debug")]
pub struct BadFilter(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_secrets_are_blanked_out_of_a_line() {
        let blanking = Blanking::of(vec![Secret::new("hunter2"), Secret::new("a")]);
        assert_eq!(
            blanking.blank(b"password=hunter2&x=hunter2").as_deref(),
            Some("password=[secret]&x=[secret]")
        );
        // Too short to be a secret, so ordinary words stay whole.
        assert_eq!(blanking.blank(b"a line"), None);
    }
}
