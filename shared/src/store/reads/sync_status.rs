//! How complete a connection is, and why not: what is held against what Intercom says exists. Read here, judged in
//! `judgement.rs`.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    judgement::{Connected, Facts, StreamRow, judge},
    reasons::{OpenRun, Reason},
};
use crate::{
    domain::{ConnectionId, Stream},
    store::{Audit, Connection, ConnectionState, StoreError, Tx, roles::ReadsStatus},
};

/// The state of a connection's mirror.
#[derive(Clone, Debug, Serialize)]
pub struct SyncStatus {
    /// Everything that Intercom shows is held, and nothing is in flight that could change that answer.
    pub complete: bool,
    /// Up to when that was proven: the oldest of the streams' last good runs. `None` when not complete.
    pub proven_at: Option<DateTime<Utc>>,
    /// The whole answer, for a person.
    pub sentence: String,
    /// Why it is not complete, most telling first; empty exactly when it is.
    pub reasons: Vec<Reason>,
    /// What is not held and will not come, or may not stay: beside completeness, which it does not change.
    pub notes: Vec<Reason>,
    pub streams: Vec<StreamStatus>,
    pub threads: ThreadCounts,
    /// The last audit of what is called complete; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditStatus>,
}

/// What the last audit found when it compared what is held with Intercom by another way than the walks'.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AuditStatus {
    pub audited_at: DateTime<Utc>,
    #[serde(flatten)]
    pub found: Audit,
}

/// One stream's part in it.
#[derive(Clone, Debug, Serialize)]
pub struct StreamStatus {
    pub stream: Stream,
    pub status: StreamState,
    /// Every change up to this time is held.
    pub watermark: Option<DateTime<Utc>>,
    pub last_ok_at: Option<DateTime<Utc>>,
    pub held: i64,
    /// Absent where Intercom does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<i64>,
    pub complete: bool,
    /// Why it is not complete, or not known to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Due for the first time, not begun.
    Waiting,
    /// A walk is under way, or a ticket is out for it.
    Running,
    /// Nothing is owed now.
    Idle,
    /// It cannot go on; `blocked` says why and what to do.
    Blocked,
    /// The last try failed; it is tried again.
    Failed,
}

/// Why a stream does not go on, as a sentence, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocked {
    pub code: String,
    pub message: String,
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// Threads by state. Only `pending` ones are owed; the others are final until something changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ThreadCounts {
    pub pending: i64,
    pub complete: i64,
    pub truncated: i64,
    pub gone: i64,
    pub blocked: i64,
}

impl<R: ReadsStatus> Tx<R> {
    /// The state of one connection's mirror. `None` for an unknown or foreign id.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn sync_status(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<SyncStatus>, StoreError> {
        let Some(found) = self.connection(connection).await? else {
            return Ok(None);
        };
        let mut streams = self.stream_rows(connection).await?;
        streams.sort_by_key(|row| row.stream);
        let threads = self.thread_counts(connection).await?;
        let facts = self.facts(found).await?;
        Ok(Some(judge(&streams, threads, &facts)))
    }

    async fn stream_rows(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<StreamRow>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            r#"SELECT stream, due_at <= now() AS due, ticketed_at IS NOT NULL AS "ticketed!",
                      cursor IS NOT NULL AS "walking!", watermark, attempts, last_error, due_at, walked_at,
                      last_ok_at, held, expected, blocked_code, blocked_message, blocked_action, blocked_until,
                      EXISTS (SELECT FROM dead_letters d WHERE d.tenant_id = $1 AND d.connection_id = $2
                                 AND d.stream = s.stream AND d.resolved_at IS NULL) AS "dead!"
               FROM streams s WHERE tenant_id = $1 AND connection_id = $2"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?
        .into_iter()
        .map(|row| {
            let stream = row
                .stream
                .parse()
                .map_err(|_| StoreError::Inconsistent { table: "streams", what: format!("stream {:?}", row.stream) })?;
            Ok(StreamRow {
                stream,
                due: row.due.unwrap_or(false),
                ticketed: row.ticketed,
                walking: row.walking,
                watermark: row.watermark,
                attempts: row.attempts,
                last_error: row.last_error,
                dead: row.dead,
                due_at: row.due_at,
                walked_at: row.walked_at,
                last_ok_at: row.last_ok_at,
                held: row.held,
                expected: row.expected,
                blocked: row.blocked_code.zip(row.blocked_message).map(|(code, message)| Blocked {
                    code,
                    message,
                    action: row.blocked_action,
                    until: row.blocked_until,
                }),
            })
        })
        .collect()
    }

    async fn thread_counts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<ThreadCounts, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT status, count(*) AS "count!" FROM threads
               WHERE tenant_id = $1 AND connection_id = $2 GROUP BY status"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?;
        let mut counts = ThreadCounts::default();
        for row in rows {
            match row.status.as_str() {
                "pending" => counts.pending = row.count,
                "complete" => counts.complete = row.count,
                "truncated" => counts.truncated = row.count,
                "gone" => counts.gone = row.count,
                "blocked" => counts.blocked = row.count,
                other => {
                    return Err(StoreError::Inconsistent {
                        table: "threads",
                        what: format!("status {other:?}"),
                    });
                }
            }
        }
        Ok(counts)
    }

    /// What else could change the answer, or has to be told beside it. A part in quarantine is a note: its thread is
    /// counted as blocked.
    async fn facts(&mut self, connection: Connection) -> Result<Facts, StoreError> {
        let (tenant, id) = (self.tenant().0, connection.id.0);
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM company_wants WHERE tenant_id = $1 AND connection_id = $2) AS "wanted!",
                      (SELECT coalesce(sum(expected - held), 0) FROM threads
                       WHERE tenant_id = $1 AND connection_id = $2 AND status = 'truncated') AS "parts_missing!""#,
            tenant,
            id,
        )
        .fetch_one(self.session())
        .await?;
        let open_run = sqlx::query!(
            "SELECT mode, requested_at FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL
             ORDER BY requested_at LIMIT 1",
            tenant,
            id,
        )
        .fetch_optional(self.session())
        .await?;
        let absent = sqlx::query!(
            r#"SELECT stream, count(*) AS "count!" FROM absences WHERE tenant_id = $1 AND connection_id = $2
               GROUP BY stream ORDER BY stream"#,
            tenant,
            id,
        )
        .fetch_all(self.session())
        .await?;
        let mut quarantined: Vec<(String, i64, String)> = sqlx::query!(
            r#"SELECT kind, count(*) AS "count!", min(source_id) AS "example!" FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2 AND resolved_at IS NULL GROUP BY kind ORDER BY kind"#,
            tenant,
            id,
        )
        .fetch_all(self.session())
        .await?
        .into_iter()
        .map(|row| (row.kind, row.count, row.example))
        .collect();
        let parts_quarantined = quarantined
            .iter()
            .find(|(kind, ..)| kind == "part")
            .map_or(0, |(_, count, _)| *count);
        quarantined.retain(|(kind, ..)| kind != "part");
        let audit = self.last_audit(connection.id).await?;
        let unknown = |table, what: &str| StoreError::Inconsistent {
            table,
            what: what.to_owned(),
        };
        Ok(Facts {
            connected: match (connection.state, connection.error) {
                (ConnectionState::Active, _) => Connected::Yes,
                (ConnectionState::ReauthRequired | ConnectionState::Error, Some(error)) => {
                    Connected::No(error)
                }
                _ => Connected::Ended,
            },
            open_run: open_run
                .map(|run| {
                    let mode = run
                        .mode
                        .parse()
                        .map_err(|_| unknown("sync_runs", &run.mode))?;
                    Ok::<_, StoreError>(OpenRun {
                        mode,
                        requested_at: run.requested_at,
                    })
                })
                .transpose()?,
            wanted_companies: row.wanted,
            quarantined,
            parts_quarantined,
            parts_missing: row.parts_missing,
            absent: absent
                .into_iter()
                .map(|row| {
                    Ok((
                        row.stream
                            .parse()
                            .map_err(|_| unknown("absences", &row.stream))?,
                        row.count,
                    ))
                })
                .collect::<Result<_, StoreError>>()?,
            audit: audit.map(|(audited_at, found)| AuditStatus { audited_at, found }),
        })
    }
}
