//! The progress of each stream, in words that a customer understands.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    completeness::{StreamActivity, StreamStatus},
    domain::Stream,
    store::ConnectionState,
};

use super::{
    facts::ConnectionFacts,
    health::{Health, Tone},
};
use crate::pages::text::{ago, number, shown};

/// The streams in the order of the page.
const ORDER: [Stream; 5] = [
    Stream::Contacts,
    Stream::Companies,
    Stream::Conversations,
    Stream::Threads,
    Stream::Reference,
];
/// As much of a message as a row repeats.
const MESSAGE: usize = 400;
/// A rate is known after this time.
const RATE_TIME: TimeDelta = TimeDelta::minutes(1);

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamRow {
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    /// How many objects are here, and of how many.
    pub(super) count: String,
    /// Only where Intercom counts as well, and 100 only for a complete stream.
    pub(super) percent: Option<u8>,
    pub(super) tone: Tone,
    pub(super) sentence: String,
    /// What somebody has to do.
    pub(super) action: Option<String>,
    /// When it was last read to its end.
    pub(super) last_ok: Option<String>,
}

/// A row for each stream. None while the data is being deleted, and none if there is no data.
pub(super) fn rows(facts: &ConnectionFacts, health: Health, now: DateTime<Utc>) -> Vec<StreamRow> {
    let streams = &facts.status.streams;
    let is_empty = health == Health::Disconnected && streams.iter().all(|stream| stream.held == 0);
    if health == Health::Deleting || is_empty {
        return Vec::new();
    }
    ORDER
        .iter()
        .filter_map(|listed_stream| streams.iter().find(|of| of.stream == *listed_stream))
        .map(|stream| row(facts, stream, now))
        .collect()
}

fn row(facts: &ConnectionFacts, stream: &StreamStatus, now: DateTime<Utc>) -> StreamRow {
    let (label, about) = words(stream.stream);
    let (count, percent) = match stream.stream {
        Stream::Threads => threads(facts),
        // Its lists are replaced as a whole, so a count would say nothing about progress.
        Stream::Reference => ("Read as a whole".to_owned(), None),
        _ => objects(stream),
    };
    let (tone, sentence) = state(facts, stream, now);
    let blocked = stream.blocked.as_ref();
    StreamRow {
        label,
        about,
        count,
        percent,
        tone,
        sentence,
        action: blocked
            .and_then(|blocked| blocked.action.as_deref())
            .map(|action| shown(action, MESSAGE)),
        last_ok: stream.last_ok_at.map(|at| ago(at, now)),
    }
}

const fn words(stream: Stream) -> (&'static str, &'static str) {
    match stream {
        Stream::Contacts => ("Contacts", "The people and leads of the workspace."),
        Stream::Companies => ("Companies", "The companies that they belong to."),
        Stream::Conversations => (
            "Conversations",
            "They appear within minutes, at first without their messages.",
        ),
        Stream::Threads => (
            "Messages",
            "They fill in behind, the conversations with the newest changes first.",
        ),
        Stream::Reference => ("Lists", "Teammates, teams, tags, segments and attributes."),
    }
}

fn objects(stream: &StreamStatus) -> (String, Option<u8>) {
    let held = number(stream.held);
    match stream.expected {
        Some(expected) if expected > 0 => (
            format!("{held} of {}", number(expected)),
            Some(percent(stream.held, expected, stream.complete)),
        ),
        _ => (format!("{held} stored"), None),
    }
}

/// Of messages, the conversations are counted that have all of theirs. How many conversations there are is known once all
/// of them were listed.
fn threads(facts: &ConnectionFacts) -> (String, Option<u8>) {
    let threads = facts.status.threads;
    let done = threads.complete + threads.truncated + threads.gone + threads.blocked;
    let all = done + threads.pending;
    let mut streams = facts.status.streams.iter();
    let are_listed =
        streams.any(|of| of.stream == Stream::Conversations && of.last_ok_at.is_some());
    if !are_listed || all == 0 {
        return (format!("{} conversations done", number(done)), None);
    }
    let text = format!("{} of {} conversations done", number(done), number(all));
    (text, Some(percent(done, all, threads.pending == 0)))
}

fn percent(held: i64, expected: i64, is_complete: bool) -> u8 {
    let exact = (held.max(0).saturating_mul(100) / expected).min(100);
    let shown = if is_complete { exact } else { exact.min(99) };
    u8::try_from(shown).unwrap_or(99)
}

fn state(facts: &ConnectionFacts, stream: &StreamStatus, now: DateTime<Utc>) -> (Tone, String) {
    if facts.connection.state != ConnectionState::Active {
        return (Tone::Quiet, "Kept as it was.".to_owned());
    }
    let reason = || {
        let reason = stream.reason.as_deref().unwrap_or_default();
        shown(reason, MESSAGE)
    };
    // Without conversations there are no messages to be missed.
    if stream.stream == Stream::Threads && is_blocked(facts, Stream::Conversations) {
        return (Tone::Quiet, "They come with the conversations.".to_owned());
    }
    match stream.status {
        StreamActivity::Blocked => {
            let message = stream
                .blocked
                .as_ref()
                .map_or("", |why| why.message.as_str());
            (Tone::Warn, shown(message, MESSAGE))
        }
        StreamActivity::Failed => (Tone::Warn, reason()),
        StreamActivity::Waiting => (Tone::Quiet, "Waiting for its turn.".to_owned()),
        StreamActivity::Running if stream.last_ok_at.is_none() => {
            (Tone::Quiet, first_read(facts, stream, now))
        }
        StreamActivity::Running => (Tone::Quiet, "Being read again.".to_owned()),
        StreamActivity::Idle if stream.complete => (Tone::Good, "Complete.".to_owned()),
        StreamActivity::Idle => (Tone::Quiet, reason()),
    }
}

fn is_blocked(facts: &ConnectionFacts, stream: Stream) -> bool {
    let mut streams = facts.status.streams.iter();
    streams.any(|of| of.stream == stream && of.blocked.is_some())
}

/// A first read, with its rate. A connection that has ended before has objects of its earlier life, so its rate is not
/// known.
fn first_read(facts: &ConnectionFacts, stream: &StreamStatus, now: DateTime<Utc>) -> String {
    let begun = "Being read for the first time".to_owned();
    let took = now - facts.connection.connected_at;
    let is_new = facts.connection.generation == 1;
    if !is_new || took < RATE_TIME || stream.held == 0 || stream.stream == Stream::Threads {
        return format!("{begun}.");
    }
    let per_minute = stream.held.saturating_mul(60) / took.num_seconds();
    format!("{begun}, about {} a minute.", number(per_minute.max(1)))
}
