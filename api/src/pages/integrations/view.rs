//! What the page shows: a pure function of the facts and the time.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    completeness::StreamActivity,
    domain::{ConnectionId, Region, RunId, Stream},
    store::{Connection, ConnectionState},
};

use super::{
    facts::{ConnectionFacts, PageFacts},
    health::{Health, Sign, activity_sign, health, health_sign},
    runs::{self, RunRow},
    streams::{self, StreamRow},
};
use crate::pages::text::{ago, number, shown, span, time};

/// As much of a workspace's name as is shown.
const NAME: usize = 100;
const MESSAGE: usize = 400;

/// The page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageView {
    /// Connections that have not ended.
    pub(super) current: Vec<ConnectionView>,
    /// Connections that have, the last one first.
    pub(super) ended: Vec<ConnectionView>,
    /// When anything was last stored.
    pub(super) last_change: Option<String>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectionView {
    pub(super) id: ConnectionId,
    pub(super) workspace: String,
    pub(super) workspace_id: String,
    pub(super) region: &'static str,
    pub(super) kind: Health,
    pub(super) health: Sign,
    pub(super) activity: Sign,
    /// How old the copy is.
    pub(super) data_as_of: String,
    pub(super) connected: String,
    /// What somebody has to do about a connection that is stopped.
    pub(super) action: Option<String>,
    pub(super) streams: Vec<StreamRow>,
    pub(super) forecast: Option<String>,
    /// Facts that change nothing and that a reader should know.
    pub(super) notes: Vec<String>,
    pub(super) runs: Vec<RunRow>,
    /// The newest run that has not finished.
    pub(super) open_run: Option<RunId>,
}

/// `interval` is the time between two looks for changes.
pub(super) fn page(facts: &PageFacts, now: DateTime<Utc>, interval: TimeDelta) -> PageView {
    let views = facts
        .connections
        .iter()
        .map(|facts| connection(facts, now, interval));
    let (current, mut ended): (Vec<_>, Vec<_>) =
        views.partition(|view| !matches!(view.kind, Health::Disconnected | Health::Deleting));
    ended.reverse();
    PageView {
        current,
        ended,
        last_change: facts.last_change_at.map(|at| ago(at, now)),
    }
}

pub(super) fn connection(
    facts: &ConnectionFacts,
    now: DateTime<Utc>,
    interval: TimeDelta,
) -> ConnectionView {
    let kind = health(facts, now, interval);
    let connection = &facts.connection;
    let open_run = facts.runs.iter().find(|run| run.finished_at.is_none());
    let error = connection.error.as_ref();
    ConnectionView {
        id: connection.id,
        workspace: workspace_name(connection),
        workspace_id: shown(&connection.workspace_id, NAME),
        region: region_name(connection.region),
        kind,
        health: health_sign(kind, facts),
        activity: activity_sign(facts, interval),
        data_as_of: data_as_of(facts, kind, now),
        connected: connected(connection),
        action: error.map(|error| shown(&error.action, MESSAGE)),
        streams: streams::rows(facts, kind, now),
        forecast: forecast(facts),
        notes: notes(facts),
        runs: facts.runs.iter().map(runs::row).collect(),
        open_run: open_run.map(|run| run.id),
    }
}

/// The workspace's name, or its id if the name cannot be seen.
pub(super) fn workspace_name(connection: &Connection) -> String {
    let name = shown(connection.workspace_name.trim(), NAME);
    if name.trim().is_empty() {
        shown(&connection.workspace_id, NAME)
    } else {
        name
    }
}

pub(super) const fn region_name(region: Region) -> &'static str {
    match region {
        Region::Us => "United States",
        Region::Eu => "Europe",
        Region::Au => "Australia",
    }
}

/// The copy is as old as what was read to its end first. A stream that Intercom does not allow has no copy.
fn data_as_of(facts: &ConnectionFacts, kind: Health, now: DateTime<Utc>) -> String {
    let status = &facts.status;
    match kind {
        Health::Deleting => return "No data of this workspace is shown any more.".to_owned(),
        Health::Disconnected if status.streams.iter().all(|stream| stream.held == 0) => {
            return "Nothing of this workspace is stored here.".to_owned();
        }
        _ => {}
    }
    let mut ends = status
        .streams
        .iter()
        .filter(|stream| stream.blocked.is_none() && stream.stream != Stream::Reference)
        .map(|stream| stream.last_ok_at);
    let oldest = ends.try_fold(None::<DateTime<Utc>>, |oldest, end| {
        let end = end?;
        Some(Some(oldest.map_or(end, |oldest| oldest.min(end))))
    });
    match oldest.flatten() {
        Some(at) => format!("Data as of {} ({}).", time(at), ago(at, now)),
        None => "There is no complete copy yet. What has arrived can be read already.".to_owned(),
    }
}

fn connected(connection: &Connection) -> String {
    let name = connection.connected_by.as_deref().unwrap_or_default();
    let name = shown(name.trim(), NAME);
    let admin = if name.trim().is_empty() {
        "an admin of the workspace".to_owned()
    } else {
        name
    };
    let at = time(connection.connected_at);
    format!("Connected on {at} by {admin}, in a browser.")
}

/// When all messages are here. Nothing is said if it depends on more than the rate limit.
fn forecast(facts: &ConnectionFacts) -> Option<String> {
    if facts.connection.state != ConnectionState::Active {
        return None;
    }
    let mut streams = facts.status.streams.iter();
    let lists = streams.find(|stream| stream.stream == Stream::Conversations)?;
    let is_listing = lists.last_ok_at.is_none() && lists.status == StreamActivity::Running;
    let seconds = i64::try_from(facts.eta_seconds?).ok()?;
    let left = span(seconds);
    let rate = facts.rate.as_ref()?;
    let basis = format!(
        "Intercom allows this workspace {} calls in {} seconds, and each conversation takes one.",
        number(rate.limit.into()),
        rate.window_seconds
    );
    Some(if is_listing {
        format!(
            "About {left} for the messages of the conversations that are known so far, and more are being found. {basis}"
        )
    } else {
        format!("About {left} until all messages are here. {basis}")
    })
}

fn notes(facts: &ConnectionFacts) -> Vec<String> {
    if facts.connection.state == ConnectionState::Disconnected {
        return Vec::new();
    }
    let notes = facts.status.notes.iter();
    notes
        .map(|note| {
            format!(
                "{} {}",
                shown(&note.message, MESSAGE),
                shown(&note.action, MESSAGE)
            )
        })
        .collect()
}
