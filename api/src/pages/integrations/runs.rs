//! The recent runs of a connection.

use chrono::{DateTime, Utc};
use shared::{
    domain::{RunId, Stream},
    store::reads::Run,
};

use super::health::{Tone, listed};
use crate::pages::text::{shown, span, time};

const MESSAGE: usize = 300;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunRow {
    pub(super) id: RunId,
    pub(super) tone: Tone,
    pub(super) status: &'static str,
    pub(super) what: String,
    pub(super) requested_at: DateTime<Utc>,
    pub(super) sentence: String,
}

pub(super) fn row(run: &Run) -> RunRow {
    let (tone, status) = match run.status.as_str() {
        "queued" => (Tone::Quiet, "Queued"),
        "running" => (Tone::Quiet, "Under way"),
        "succeeded" => (Tone::Good, "Done"),
        "partial" => (Tone::Warn, "Done in part"),
        "failed" => (Tone::Bad, "Failed"),
        _ => (Tone::Quiet, "Cancelled"),
    };
    RunRow {
        id: run.id,
        tone,
        status,
        what: what(run),
        requested_at: run.requested_at,
        sentence: sentence(run),
    }
}

fn what(run: &Run) -> String {
    let mode = match run.mode.as_str() {
        "incremental" => "Changes",
        "full" => "Everything",
        _ => "Everything, and every message again",
    };
    if run.streams.len() == Stream::ALL.len() {
        return mode.to_owned();
    }
    let streams: Vec<&str> = run
        .streams
        .iter()
        .filter_map(|name| name.parse::<Stream>().ok())
        .map(Stream::objects)
        .collect();
    format!("{mode} of {}", listed(&streams))
}

fn sentence(run: &Run) -> String {
    let error = run
        .error
        .as_ref()
        .and_then(|error| error.message.as_deref());
    let error = error.map_or_else(String::new, |message| {
        format!(" {}", shown(message, MESSAGE))
    });
    match (run.started_at, run.finished_at) {
        (None, None) => "It begins in a moment.".to_owned(),
        (Some(started), None) => format!("It began at {}.", time(started)),
        (started, Some(finished)) => {
            let begun = started.unwrap_or(run.requested_at);
            let took = match (finished - begun).num_seconds() {
                ..60 => "less than a minute".to_owned(),
                seconds => format!("up to {}", span(seconds)),
            };
            format!("It took {took}.{error}")
        }
    }
}
