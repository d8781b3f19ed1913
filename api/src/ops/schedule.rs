//! What becomes due when, for the question "what will happen at 14:00?".

use axum::{Json, extract::State};
use chrono::{DateTime, NaiveTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::{ConnectionId, TenantId},
    store::{SchedulePosition, ScheduledStream},
};
use uuid::Uuid;

use super::{
    bounded::bounded,
    fleet_views::{ScheduleView, ScheduledView},
    operator::Operator,
    paging::{decoded, encoded, limit},
    tenant_names::name_tenants,
};
use crate::{error::ApiError, extract::Params};

/// The query of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleQuery {
    /// A time such as `2026-01-02T14:00:00Z`, or the next time that clocks show `14:00` in UTC. Now, if it is missing.
    pub(super) from: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<i32>,
}

/// The last stream of a page, as a cursor holds it.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(DateTime<Utc>, Uuid, Uuid, String);

/// `GET /ops/schedule`: streams by the time at which they become due, soonest first.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<ScheduleQuery>,
) -> Result<Json<ScheduleView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of the schedule.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(
    operator: &Operator,
    query: &ScheduleQuery,
) -> Result<ScheduleView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let now = Utc::now();
        let from = query.from.as_deref().map(str::trim).unwrap_or_default();
        let from = time_of(from, now).ok_or_else(|| {
            let detail = "must be a time such as 14:00 (UTC) or 2026-01-02T14:00:00Z";
            ApiError::invalid("from", detail)
        })?;
        let after = match &query.cursor {
            Some(cursor) => position(cursor)?,
            None => SchedulePosition::from(from),
        };
        let found = operator.store.streams_due_from(&after, limit).await?;
        let is_full = found.len() == limit as usize;
        let next_cursor = found.last().filter(|_| is_full).map(cursor);
        let mut items: Vec<_> = found.into_iter().map(view).collect();
        name_tenants(&operator.store, &mut items).await;
        Ok(ScheduleView {
            from: after.due_at.trunc_subsecs(3),
            next_cursor,
            items,
        })
    })
    .await
}

/// The time that a person or a program has written. Nothing means now.
fn time_of(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if text.is_empty() {
        return Some(now);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let at = at.with_timezone(&Utc);
        return is_storable(at).then_some(at);
    }
    let clock = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    let today = now.date_naive().and_time(clock).and_utc();
    Some(if today < now {
        today + TimeDelta::days(1)
    } else {
        today
    })
}

/// Whether Postgres can compare it with what it has. This ends in the year 3058.
fn is_storable(at: DateTime<Utc>) -> bool {
    at.timestamp().unsigned_abs() < 1 << 35
}

fn cursor(last: &ScheduledStream) -> String {
    let cursor = Cursor(
        last.due_at,
        last.tenant_id,
        last.connection_id,
        last.stream.clone(),
    );
    encoded(&cursor)
}

fn position(cursor: &str) -> Result<SchedulePosition, ApiError> {
    let is_ours = |Cursor(at, _, _, stream): &Cursor| is_storable(*at) && !stream.contains('\0');
    let Cursor(due_at, tenant, connection, stream) = decoded(cursor, is_ours)?;
    Ok(SchedulePosition {
        due_at,
        tenant,
        connection,
        stream,
    })
}

fn view(stream: ScheduledStream) -> ScheduledView {
    let (what, sentence) = what(&stream);
    ScheduledView {
        due_at: stream.due_at,
        tenant_id: TenantId(stream.tenant_id),
        tenant_name: None,
        connection_id: ConnectionId(stream.connection_id),
        what: what.to_owned(),
        sentence,
        paused: stream.is_paused,
        stream: stream.stream,
        attempts: stream.attempts,
        last_error: stream.last_error,
    }
}

/// A word for programs, and a sentence.
fn what(stream: &ScheduledStream) -> (&'static str, String) {
    let name = match stream.stream.as_str() {
        "reference" => "reference data",
        name => name,
    };
    if !stream.is_active {
        let sentence = "Asks whether Intercom accepts the connection's token again.";
        return ("probe", sentence.to_owned());
    }
    if let Some(code) = &stream.blocked_code {
        let sentence = format!("Checks whether Intercom still refuses {name} ({code}).");
        return ("recheck", sentence);
    }
    match stream.attempts {
        0 => {}
        1 => return ("retry", format!("Tries {name} again, which failed once.")),
        n => {
            let sentence = format!("Tries {name} again, which failed {n} times in a row.");
            return ("retry", sentence);
        }
    }
    if stream.is_walking {
        return ("continue", format!("Goes on reading {name}."));
    }
    match stream.mode.as_str() {
        _ if stream.is_first => (
            "first_sync",
            format!("Reads all {name} for the first time."),
        ),
        "full" => ("full", format!("Reads all {name} again.")),
        "reconcile" => (
            "reconcile",
            format!("Reads all {name} again, and repairs what differs."),
        ),
        _ => ("poll", format!("Reads what has changed of {name}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn a_time_is_an_instant_or_what_the_next_clock_shows() {
        let now = at("2026-01-02T13:30:00Z");
        for (text, meant) in [
            ("", "2026-01-02T13:30:00Z"),
            ("14:00", "2026-01-02T14:00:00Z"),
            ("13:29", "2026-01-03T13:29:00Z"),
            ("2026-01-02T15:00:00+01:00", "2026-01-02T14:00:00Z"),
        ] {
            assert_eq!(time_of(text, now), Some(at(meant)), "{text}");
        }
        for text in ["14", "25:00", "now", "9999-01-01T00:00:00Z", "-1:00", "\0"] {
            assert_eq!(time_of(text, now), None, "{text}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_garbage_is_refused() {
        let stream = ScheduledStream {
            tenant_id: Uuid::from_u128(1),
            connection_id: Uuid::from_u128(2),
            stream: "contacts".to_owned(),
            due_at: at("2026-01-02T13:30:00.123456Z"),
            mode: "incremental".to_owned(),
            is_walking: false,
            attempts: 0,
            last_error: None,
            blocked_code: None,
            is_first: false,
            is_active: true,
            is_paused: false,
        };
        let read = position(&cursor(&stream)).unwrap();
        assert_eq!(
            (read.due_at, read.tenant, read.stream.as_str()),
            (stream.due_at, stream.tenant_id, "contacts")
        );
        let far = Cursor(
            DateTime::<Utc>::MAX_UTC,
            Uuid::nil(),
            Uuid::nil(),
            String::new(),
        );
        let far = encoded(&far);
        for text in ["", "e30", "%", &far] {
            assert!(position(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_of_work_reads_well() {
        let stream =
            |mode: &str, attempts, blocked: Option<&str>, is_walking, is_first| ScheduledStream {
                tenant_id: Uuid::nil(),
                connection_id: Uuid::nil(),
                stream: "companies".to_owned(),
                due_at: DateTime::UNIX_EPOCH,
                mode: mode.to_owned(),
                is_walking,
                attempts,
                last_error: None,
                blocked_code: blocked.map(str::to_owned),
                is_first,
                is_active: true,
                is_paused: false,
            };
        let all = [
            stream("full", 0, Some("plan_restricted"), false, true),
            stream("full", 1, None, true, true),
            stream("incremental", 3, None, false, false),
            stream("full", 0, None, true, false),
            stream("full", 0, None, false, true),
            stream("full", 0, None, false, false),
            stream("reconcile", 0, None, false, false),
            stream("incremental", 0, None, false, false),
            ScheduledStream {
                is_active: false,
                ..stream("full", 3, None, false, false)
            },
            ScheduledStream {
                stream: "reference".to_owned(),
                ..stream("incremental", 0, None, false, false)
            },
        ];
        let said = all.iter().map(|stream| {
            let (what, sentence) = what(stream);
            format!("{what}: {sentence}\n")
        });
        insta::assert_snapshot!(said.collect::<String>());
    }
}
