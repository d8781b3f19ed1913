//! How complete a connection is, and why not: what is held against what Intercom says exists.
//! A green answer without that proof would be a bug, so the judgement is a pure function with tests.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    domain::{ConnectionId, Stream},
    store::{ConnectionState, StoreError, TenantTx},
};

/// The state of a connection's mirror.
#[derive(Clone, Debug, Serialize)]
pub struct SyncStatus {
    /// Everything that Intercom shows is held, and nothing is in flight that could change that answer.
    pub complete: bool,
    /// Up to when that was proven: the oldest of the streams' last good runs. `None` when not complete.
    pub proven_at: Option<DateTime<Utc>>,
    pub streams: Vec<StreamStatus>,
    pub threads: ThreadCounts,
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

impl TenantTx {
    /// The state of one connection's mirror. `None` for an unknown or foreign id.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn sync_status(&mut self, connection: ConnectionId) -> Result<Option<SyncStatus>, StoreError> {
        let Some(found) = self.connection(connection).await? else { return Ok(None) };
        let mut streams = self.stream_rows(connection).await?;
        streams.sort_by_key(|row| row.stream);
        let threads = self.thread_counts(connection).await?;
        let in_flight = self.in_flight(connection).await?;
        Ok(Some(judge(&streams, threads, in_flight || found.state != ConnectionState::Active)))
    }

    async fn stream_rows(&mut self, connection: ConnectionId) -> Result<Vec<StreamRow>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            r#"SELECT stream, due_at <= now() AS due, ticketed_at IS NOT NULL AS "ticketed!",
                      cursor IS NOT NULL AS "walking!", watermark, attempts, last_error IS NOT NULL AS "erred!",
                      last_ok_at, held, expected, blocked_code, blocked_message, blocked_action, blocked_until
               FROM streams WHERE tenant_id = $1 AND connection_id = $2"#,
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
                erred: row.erred,
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

    async fn thread_counts(&mut self, connection: ConnectionId) -> Result<ThreadCounts, StoreError> {
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
                    return Err(StoreError::Inconsistent { table: "threads", what: format!("status {other:?}") });
                }
            }
        }
        Ok(counts)
    }

    /// Whether a run is open, a company is still to be fetched or an object is in quarantine. A part in
    /// quarantine does not count here: its thread is counted as blocked.
    async fn in_flight(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM sync_runs
                              WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL)
                   OR EXISTS (SELECT FROM company_wants WHERE tenant_id = $1 AND connection_id = $2)
                   OR EXISTS (SELECT FROM quarantine
                              WHERE tenant_id = $1 AND connection_id = $2 AND kind <> 'part' AND resolved_at IS NULL)
                   AS "in_flight!""#,
            tenant,
            connection.0,
        )
        .fetch_one(self.session())
        .await?)
    }
}

/// What a stream's row says, as far as the judgement needs it.
#[derive(Clone, Debug)]
struct StreamRow {
    stream: Stream,
    due: bool,
    ticketed: bool,
    walking: bool,
    watermark: Option<DateTime<Utc>>,
    attempts: i32,
    erred: bool,
    last_ok_at: Option<DateTime<Utc>>,
    held: i64,
    expected: Option<i64>,
    blocked: Option<Blocked>,
}

/// `unsettled`: a run is open, a company is wanted, an object is in quarantine, or the connection does not sync.
fn judge(rows: &[StreamRow], threads: ThreadCounts, unsettled: bool) -> SyncStatus {
    let streams: Vec<StreamStatus> = rows.iter().map(|row| row.status(threads)).collect();
    let complete = !unsettled && streams.len() == Stream::ALL.len() && streams.iter().all(|stream| stream.complete);
    SyncStatus {
        complete,
        proven_at: streams.iter().filter_map(|stream| stream.last_ok_at).min().filter(|_| complete),
        streams,
        threads,
    }
}

impl StreamRow {
    fn status(&self, threads: ThreadCounts) -> StreamStatus {
        StreamStatus {
            stream: self.stream,
            status: self.state(),
            watermark: self.watermark,
            last_ok_at: self.last_ok_at,
            held: self.held,
            expected: self.expected,
            complete: self.is_complete() && (self.stream != Stream::Threads || threads.pending == 0),
            blocked: self.blocked.clone(),
        }
    }

    fn state(&self) -> StreamState {
        if self.blocked.is_some() {
            StreamState::Blocked
        } else if self.attempts > 0 && self.erred {
            StreamState::Failed
        } else if self.walking || (self.due && self.ticketed) {
            StreamState::Running
        } else if self.due && self.last_ok_at.is_none() {
            StreamState::Waiting
        } else {
            StreamState::Idle
        }
    }

    /// Its last walk ended well, and what it holds is what there is.
    fn is_complete(&self) -> bool {
        !self.walking
            && self.last_ok_at.is_some()
            && self.attempts == 0
            && self.blocked.is_none()
            && self.expected.is_none_or(|expected| expected == self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> Vec<StreamRow> {
        Stream::ALL
            .iter()
            .enumerate()
            .map(|(age, stream)| StreamRow {
                stream: *stream,
                due: false,
                ticketed: false,
                walking: false,
                watermark: None,
                attempts: 0,
                erred: false,
                last_ok_at: DateTime::from_timestamp(1_000 + i64::try_from(age).unwrap(), 0),
                held: 5,
                expected: Some(5),
                blocked: None,
            })
            .collect()
    }

    #[test]
    fn a_settled_connection_is_proven_as_of_its_oldest_stream() {
        let status = judge(&settled(), ThreadCounts { complete: 5, truncated: 1, ..ThreadCounts::default() }, false);
        assert!(status.complete);
        assert_eq!(status.proven_at, DateTime::from_timestamp(1_000, 0));
    }

    #[test]
    fn anything_that_could_change_the_answer_makes_it_incomplete() {
        let changes: [fn(&mut StreamRow); 6] = [
            |row| row.walking = true,
            |row| row.last_ok_at = None,
            |row| row.attempts = 1,
            |row| row.expected = Some(6),
            |row| row.expected = Some(4),
            |row| {
                row.blocked = Some(Blocked { code: "c".into(), message: "m".into(), action: None, until: None });
            },
        ];
        for (which, change) in changes.iter().enumerate() {
            for stream in 0..Stream::ALL.len() {
                let mut rows = settled();
                change(&mut rows[stream]);
                let status = judge(&rows, ThreadCounts::default(), false);
                assert!(!status.complete && status.proven_at.is_none(), "change {which} of stream {stream}");
            }
        }
        assert!(!judge(&settled(), ThreadCounts { pending: 1, ..ThreadCounts::default() }, false).complete);
        assert!(!judge(&settled(), ThreadCounts::default(), true).complete);
        assert!(!judge(&settled()[1..], ThreadCounts::default(), false).complete);
        assert!(!judge(&[], ThreadCounts::default(), false).complete);
    }

    #[test]
    fn a_stream_says_what_it_does() {
        let state = |change: fn(&mut StreamRow)| {
            let mut row = settled().remove(0);
            change(&mut row);
            row.state()
        };
        assert_eq!(state(|_| {}), StreamState::Idle);
        assert_eq!(state(|row| (row.due, row.last_ok_at) = (true, None)), StreamState::Waiting);
        assert_eq!(state(|row| (row.due, row.ticketed) = (true, true)), StreamState::Running);
        assert_eq!(state(|row| row.walking = true), StreamState::Running);
        assert_eq!(state(|row| (row.attempts, row.erred, row.walking) = (2, true, true)), StreamState::Failed);
    }
}
