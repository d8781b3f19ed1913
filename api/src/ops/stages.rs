//! Where the streams of a tenant stand on their way from "due" to "done": each at one stage, so that the counts add up.
//!
//! A stream becomes due, the scheduler makes its ticket, the ticket waits for the rate limit and for a worker, and a slice
//! runs. What keeps a stream from the start of this way comes first, because it hides everything behind it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::{
    domain::{ConnectionId, Stream},
    store::{ConnectionState, Pause, StreamWork},
};

use super::{fleet_views::JobView, views::StageView};

/// The stages in the order in which an operator looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Stopped,
    Blocked,
    Paused,
    Unticketed,
    Ready,
    Parked,
    Retrying,
    Running,
    Scheduled,
    Idle,
}

/// The streams of one connection.
pub(super) struct ConnectionWork<'a> {
    pub(super) id: ConnectionId,
    pub(super) state: ConnectionState,
    pub(super) streams: &'a [StreamWork],
}

/// What is known of one stream.
struct StreamState<'a> {
    connection: ConnectionState,
    work: &'a StreamWork,
    /// Its ticket, if it has one.
    job: Option<&'a JobView>,
}

/// The streams at each stage that has some. Streams of a connection that has ended are left out.
pub(super) fn stages(
    connections: &[ConnectionWork<'_>],
    jobs: &[JobView],
    pauses: &[Pause],
    now: DateTime<Utc>,
) -> Vec<StageView> {
    let mut found: BTreeMap<Stage, Vec<StreamState<'_>>> = BTreeMap::new();
    for connection in connections {
        for work in connection.streams {
            let is_its =
                |job: &&JobView| job.connection_id == connection.id && job.stream == work.stream;
            let stream = StreamState {
                connection: connection.state,
                work,
                job: jobs.iter().find(is_its),
            };
            if let Some(stage) = stage_of(&stream, pauses, now) {
                found.entry(stage).or_default().push(stream);
            }
        }
    }
    found
        .into_iter()
        .map(|(stage, streams)| StageView {
            stage: stage.name().to_owned(),
            count: streams.len(),
            sentence: stage.sentence(&streams, now),
        })
        .collect()
}

/// The stage of one stream of a connection, by its name. `None` if the connection has ended.
pub(super) fn stage_name(
    connection: ConnectionId,
    state: ConnectionState,
    work: &StreamWork,
    jobs: &[JobView],
    pauses: &[Pause],
    now: DateTime<Utc>,
) -> Option<&'static str> {
    let is_its = |job: &&JobView| job.connection_id == connection && job.stream == work.stream;
    let stream = StreamState {
        connection: state,
        work,
        job: jobs.iter().find(is_its),
    };
    stage_of(&stream, pauses, now).map(Stage::name)
}

fn stage_of(stream: &StreamState<'_>, pauses: &[Pause], now: DateTime<Utc>) -> Option<Stage> {
    let work = stream.work;
    let is_due = work.due_at.is_some_and(|at| at <= now);
    Some(match stream.connection {
        ConnectionState::Disconnected => return None,
        ConnectionState::Active => match stream.job.map(|job| job.state.as_str()) {
            Some("leased") => Stage::Running,
            _ if work.blocked_code.is_some() => Stage::Blocked,
            ticket if (ticket.is_some() || is_due) && is_paused(work, pauses) => Stage::Paused,
            // A failed attempt keeps its ticket until the next one.
            Some("parked") if work.attempts > 0 => Stage::Retrying,
            Some("parked") => Stage::Parked,
            Some(_) => Stage::Ready,
            None if is_due => Stage::Unticketed,
            None if work.attempts > 0 => Stage::Retrying,
            None if work.due_at.is_some() => Stage::Scheduled,
            None => Stage::Idle,
        },
        _ => Stage::Stopped,
    })
}

/// Whether a pause of the tenant, of the stream's class or of the fleet is in force. `pauses` are those of the tenant.
fn is_paused(work: &StreamWork, pauses: &[Pause]) -> bool {
    let class = work.stream.parse::<Stream>().map(Stream::class);
    pauses.iter().any(|pause| match pause.scope.as_str() {
        scope @ ("fresh" | "backfill") => class.as_ref().is_ok_and(|class| class.as_str() == scope),
        _ => true,
    })
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Unticketed => "unticketed",
            Self::Ready => "ready",
            Self::Parked => "parked",
            Self::Retrying => "retrying",
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Idle => "idle",
        }
    }

    fn sentence(self, streams: &[StreamState<'_>], now: DateTime<Utc>) -> String {
        let due = || streams.iter().filter_map(|stream| stream.work.due_at).min();
        let until = || {
            let ends = streams.iter().filter_map(|stream| stream.job?.until);
            ends.min().or_else(due)
        };
        let next = |what: &str, at: Option<DateTime<Utc>>| match at {
            Some(at) => format!("{what} {}.", in_time(at, now)),
            None => format!("{what} is not set."),
        };
        match self {
            Self::Stopped => {
                let why =
                    "There is no further try, because the workspace has to be connected again";
                match due() {
                    Some(at) => format!(
                        "{why}. One call asks {} whether its token works again.",
                        in_time(at, now)
                    ),
                    None => format!("{why}."),
                }
            }
            Self::Blocked => {
                let why = streams
                    .iter()
                    .find_map(|stream| stream.work.blocked_code.as_deref());
                let until = streams
                    .iter()
                    .filter_map(|stream| stream.work.blocked_until)
                    .min();
                let why = why.unwrap_or_default();
                next(
                    &format!("Intercom refuses it ({why}). The next check is"),
                    until,
                )
            }
            Self::Paused => "The work starts when an operator ends the pause.".to_owned(),
            Self::Unticketed => match due().and_then(|at| (now - at).to_std().ok()) {
                Some(ago) => format!(
                    "The scheduler has to make a ticket. The first is due since {} s.",
                    ago.as_secs()
                ),
                None => "The scheduler has to make a ticket.".to_owned(),
            },
            Self::Ready => match streams
                .iter()
                .filter_map(|stream| stream.job?.ready_since)
                .min()
            {
                Some(since) => format!(
                    "A worker needs a free slot. The first ticket waits since {} s.",
                    (now - since).num_seconds().max(0)
                ),
                None => "A worker needs a free slot, and other tickets of the tenant come first."
                    .to_owned(),
            },
            Self::Parked => next(
                "The workspace's rate limit has no calls left. The first goes on",
                until(),
            ),
            Self::Retrying => next("The last attempt failed. The next one is", until()),
            Self::Running => "A worker reads now.".to_owned(),
            Self::Scheduled => next("The next read is", due()),
            Self::Idle => "There is nothing to do.".to_owned(),
        }
    }
}

/// A time with the seconds until then, because nobody on call likes to subtract.
fn in_time(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (at - now).num_seconds().max(0);
    format!("at {} (in {seconds} s)", at.format("%H:%M:%S UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn at(seconds: i64) -> DateTime<Utc> {
        NOW + chrono::TimeDelta::seconds(seconds)
    }

    fn work(stream: Stream, due: Option<i64>) -> StreamWork {
        StreamWork {
            stream: stream.to_string(),
            due_at: due.map(at),
            ticketed_at: None,
            fence: 0,
            attempts: 0,
            restarts: 0,
            mode: "incremental".to_owned(),
            last_ok_at: None,
            progress_at: None,
            last_error: None,
            failing_since: None,
            failed_at: None,
            blocked_code: None,
            blocked_until: None,
        }
    }

    fn job(stream: Stream, state: &str) -> JobView {
        JobView {
            id: String::new(),
            state: state.to_owned(),
            tenant_id: shared::domain::TenantId(uuid::Uuid::nil()),
            tenant_name: None,
            connection_id: ConnectionId(uuid::Uuid::nil()),
            stream: stream.to_string(),
            class: stream.class().to_string(),
            ready_since: (state == "ready").then(|| at(-7)),
            until: (state != "ready").then(|| at(9)),
            fence: None,
            crashes: None,
            behind: None,
            work: None,
        }
    }

    fn said(
        state: ConnectionState,
        streams: &[StreamWork],
        jobs: &[JobView],
        paused: Option<&str>,
    ) -> String {
        let pauses: Vec<Pause> = paused
            .map(|scope| Pause {
                scope: scope.to_owned(),
                reason: None,
                paused_at: NOW,
                operator: None,
            })
            .into_iter()
            .collect();
        let connection = ConnectionWork {
            id: ConnectionId(uuid::Uuid::nil()),
            state,
            streams,
        };
        let found = stages(&[connection], jobs, &pauses, NOW);
        let lines = found
            .iter()
            .map(|stage| format!("{} {}: {}\n", stage.count, stage.stage, stage.sentence));
        lines.collect()
    }

    #[test]
    fn every_stream_stands_at_one_stage() {
        use Stream::{Companies, Contacts, Conversations, Reference, Threads};
        let streams = [
            work(Contacts, Some(-7)),
            work(Companies, Some(-8)),
            work(Conversations, Some(-9)),
            work(Threads, None),
            StreamWork {
                attempts: 2,
                ..work(Reference, Some(60))
            },
        ];
        let jobs = [
            job(Contacts, "leased"),
            job(Companies, "ready"),
            job(Conversations, "parked"),
            job(Reference, "parked"),
        ];
        let blocked = StreamWork {
            blocked_code: Some("plan_restricted".to_owned()),
            blocked_until: Some(at(3600)),
            ..work(Contacts, Some(3600))
        };
        let alone =
            |stream: StreamWork, paused| said(ConnectionState::Active, &[stream], &[], paused);
        insta::assert_snapshot!(
            [
                said(ConnectionState::Active, &streams, &jobs, None),
                said(ConnectionState::Active, &streams, &jobs, Some("fresh")),
                said(ConnectionState::ReauthRequired, &streams, &jobs, None),
                alone(blocked, None),
                alone(work(Threads, Some(-5)), Some("fresh")),
                alone(work(Threads, Some(-5)), Some("fleet")),
                alone(work(Contacts, Some(30)), Some("fleet")),
            ]
            .join("--\n")
        );
        assert_eq!(
            said(ConnectionState::Disconnected, &streams, &jobs, None),
            ""
        );
    }
}
