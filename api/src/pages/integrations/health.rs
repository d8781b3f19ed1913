//! The two signs of a connection: its health, which is the last proven truth, and its activity, which is what happens now.
//!
//! Activity never changes health. A sync that has begun makes nothing well, and one that is not running makes nothing bad.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    completeness::{Reason, StreamActivity, StreamStatus},
    domain::Stream,
    store::ConnectionState,
};

use super::facts::ConnectionFacts;
use crate::pages::text::{shown, time};

/// As much of a reason as a sign repeats.
const REASON: usize = 400;
/// Reasons that stand for a delay.
const DELAYS: [&str; 3] = ["retrying", "dead_letter", "not_planned"];
/// Reasons that stand for objects which are not here, or not in full.
const GAPS: [&str; 6] = [
    "waiting_threads",
    "quarantined",
    "set_aside",
    "short",
    "surplus",
    "audit_differs",
];

/// The last proven truth about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Some stream has never been read to its end.
    FirstSync,
    UpToDate,
    /// Everything was read, and some objects are missing.
    Gaps,
    /// A stream fails, or was last read too long ago.
    Behind,
    /// Intercom does not allow some stream.
    Limited,
    /// The customer has to connect again.
    ReconnectNeeded,
    /// Another cause has stopped it.
    Stopped,
    Disconnected,
    Deleting,
}

/// How a sign is coloured. Its words say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    /// The class in the style.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// A sign: a few words, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) tone: Tone,
    pub(super) label: &'static str,
    pub(super) sentence: String,
}

/// `interval` is the time between two looks for changes.
pub(super) fn health(facts: &ConnectionFacts, now: DateTime<Utc>, interval: TimeDelta) -> Health {
    match facts.connection.state {
        ConnectionState::Disconnected if facts.is_being_purged => return Health::Deleting,
        ConnectionState::Disconnected => return Health::Disconnected,
        ConnectionState::ReauthRequired => return Health::ReconnectNeeded,
        ConnectionState::Error => return Health::Stopped,
        ConnectionState::Active => {}
    }
    let status = &facts.status;
    let has = |codes: &[&str]| {
        let mut reasons = status.reasons.iter();
        reasons.any(|reason| codes.contains(&reason.code.as_str()))
    };
    let mut streams = status.streams.iter();
    if streams.clone().any(|stream| stream.blocked.is_some()) {
        Health::Limited
    } else if has(&DELAYS) {
        Health::Behind
    } else if streams.clone().any(|stream| stream.last_ok_at.is_none()) {
        Health::FirstSync
    } else if streams.any(|stream| is_late(facts, stream, now, interval)) {
        Health::Behind
    } else if has(&GAPS) {
        Health::Gaps
    } else {
        Health::UpToDate
    }
}

/// Whether a stream that is polled was last read longer ago than two intervals and some minutes. A walk polls between its
/// pages however long it takes, so the time until it began counts.
fn is_late(
    facts: &ConnectionFacts,
    stream: &StreamStatus,
    now: DateTime<Utc>,
    interval: TimeDelta,
) -> bool {
    let is_polled = matches!(stream.stream, Stream::Contacts | Stream::Conversations);
    let mut walks = facts.walks.iter();
    let walk = walks.find(|(of, _)| *of == stream.stream);
    let until = walk.map_or(now, |(_, begun_at)| *begun_at);
    let late = interval * 2 + TimeDelta::minutes(5);
    is_polled && stream.last_ok_at.is_some_and(|at| until - at > late)
}

/// The sign of a health.
pub(super) fn health_sign(health: Health, facts: &ConnectionFacts) -> Sign {
    let (tone, label) = match health {
        Health::FirstSync => (Tone::Quiet, "First sync"),
        Health::UpToDate => (Tone::Good, "Up to date"),
        Health::Gaps => (Tone::Warn, "Up to date, with gaps"),
        Health::Behind => (Tone::Warn, "Behind"),
        Health::Limited => (Tone::Warn, "Connected, with limits"),
        Health::ReconnectNeeded => (Tone::Bad, "Reconnect needed"),
        Health::Stopped => (Tone::Bad, "Stopped"),
        Health::Disconnected => (Tone::Quiet, "Disconnected"),
        Health::Deleting => (Tone::Quiet, "Deleting the data"),
    };
    let sentence = match health {
        Health::FirstSync => {
            "The first copy is being made. You can leave this page, because it goes on by itself."
                .to_owned()
        }
        Health::UpToDate => match facts.status.proven_at {
            Some(at) => format!(
                "Everything that Intercom shows is stored, as proven at {}.",
                time(at)
            ),
            None => "Everything was stored, and newer changes are on their way.".to_owned(),
        },
        Health::Gaps => reason(facts, &GAPS),
        Health::Behind if reason_of(facts, &DELAYS).is_none() => {
            "Changes in Intercom arrive later than they should.".to_owned()
        }
        Health::Behind => reason(facts, &DELAYS),
        Health::Limited => {
            "Intercom does not allow everything. Below is what, and what to do.".to_owned()
        }
        Health::ReconnectNeeded | Health::Stopped => {
            facts.connection.error.as_ref().map_or_else(
                || "Nothing is synced at the moment.".to_owned(),
                |error| shown(&error.message, REASON),
            )
        }
        Health::Disconnected => "Nothing is synced any more.".to_owned(),
        Health::Deleting => {
            "What was copied from this workspace is being deleted. It takes minutes, and cannot be undone.".to_owned()
        }
    };
    Sign {
        tone,
        label,
        sentence,
    }
}

fn reason_of<'a>(facts: &'a ConnectionFacts, codes: &[&str]) -> Option<&'a Reason> {
    let mut reasons = facts.status.reasons.iter();
    reasons.find(|reason| codes.contains(&reason.code.as_str()))
}

fn reason(facts: &ConnectionFacts, codes: &[&str]) -> String {
    reason_of(facts, codes).map_or_else(String::new, |reason| shown(&reason.message, REASON))
}

/// What happens now.
pub(super) fn activity_sign(facts: &ConnectionFacts, interval: TimeDelta) -> Sign {
    let quiet = |label, sentence: String| Sign {
        tone: Tone::Quiet,
        label,
        sentence,
    };
    if facts.connection.state != ConnectionState::Active {
        return quiet("Not syncing", "No call to Intercom is made.".to_owned());
    }
    let streams = &facts.status.streams;
    let running: Vec<&str> = streams
        .iter()
        .filter(|stream| stream.status == StreamActivity::Running)
        .map(|stream| stream.stream.objects())
        .collect();
    if !running.is_empty() {
        return quiet("Syncing now", format!("Reading {}.", listed(&running)));
    }
    if streams
        .iter()
        .any(|stream| stream.status == StreamActivity::Failed)
    {
        let next = reason_of(facts, &DELAYS).and_then(|reason| reason.until);
        let sentence = next.map_or_else(
            || "The last try failed, and the next one follows by itself.".to_owned(),
            |next| format!("The last try failed. The next one is at {}.", time(next)),
        );
        return quiet("Waiting for the next try", sentence);
    }
    let is_queued = facts.runs.iter().any(|run| run.finished_at.is_none());
    if is_queued
        || streams
            .iter()
            .any(|stream| stream.status == StreamActivity::Waiting)
    {
        return quiet("Queued", "The sync begins in a moment.".to_owned());
    }
    let every = crate::pages::text::span(interval.num_seconds());
    quiet(
        "Idle",
        format!("The next look for changes comes within {every}."),
    )
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
