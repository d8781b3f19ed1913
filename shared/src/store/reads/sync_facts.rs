//! The facts by which `completeness` judges a connection. This module reads and decides nothing.

use chrono::{DateTime, Utc};

use super::super::{Connection, ConnectionState, StoreError, Tx, roles::ReadsStatus};
use crate::{
    completeness::{
        AuditFacts, Blocked, ConnectionFacts, Facts, OpenRun, QuarantineFacts, SetAsideFacts,
        StreamFacts, ThreadCounts, WaitingThreads,
    },
    domain::{ConnectionId, Stream},
};

impl<R: ReadsStatus> Tx<R> {
    /// The facts about one connection. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.sync_facts", level = "debug", skip_all)]
    pub async fn sync_facts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<Facts>, StoreError> {
        let Some(found) = self.connection(connection).await? else {
            return Ok(None);
        };
        // Each statement sees a moment of its own. The run comes first and the streams follow: what a stream adds before
        // its run ends, or a thread that is added in between, shows as pending. The judgement may say incomplete too
        // early, but never complete.
        let open_run = self.oldest_open_run(connection).await?;
        let mut streams = self.stream_facts(connection).await?;
        streams.sort_by_key(|facts| facts.stream);
        let (threads, failing, missing_parts) = self.thread_counts(connection).await?;
        let waiting = self.waiting_threads(connection, failing).await?;
        let pending_companies = self.pending_companies(connection).await?;
        let (quarantined, quarantined_parts) = self.quarantined_counts(connection).await?;
        Ok(Some(Facts {
            connection: connection_facts(found),
            streams,
            threads,
            waiting,
            open_run,
            pending_companies,
            quarantined,
            quarantined_parts,
            set_aside: self.set_aside_facts(connection).await?,
            missing_parts,
            absent: self.absent_counts(connection).await?,
            audit: self.audit_facts(connection).await?,
        }))
    }

    /// The walks of contacts and conversations under way, and when they began. Between their pages they poll.
    #[tracing::instrument(name = "db.walks", level = "debug", skip_all)]
    pub async fn walks(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<(Stream, DateTime<Utc>)>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            r#"SELECT stream, (cursor->>'begun_at')::timestamptz AS "begun_at!" FROM streams
               WHERE tenant_id = $1 AND connection_id = $2 AND stream IN ('contacts', 'conversations')
                 AND cursor->>'begun_at' IS NOT NULL"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?
        .into_iter()
        .map(|row| Ok((stream_of("streams", &row.stream)?, row.begun_at)))
        .collect()
    }

    async fn stream_facts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<StreamFacts>, StoreError> {
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
            Ok(StreamFacts {
                stream: stream_of("streams", &row.stream)?,
                is_due: row.due.unwrap_or(false),
                is_ticketed: row.ticketed,
                is_walking: row.walking,
                is_dead: row.dead,
                watermark: row.watermark,
                attempts: row.attempts,
                last_error: row.last_error,
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

    /// Threads by status, those of the pending ones that have failed, and parts of truncated ones that were never shown.
    async fn thread_counts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(ThreadCounts, i64, i64), StoreError> {
        let tenant = self.tenant().0;
        // Each transaction that changes a thread counts it on the row of the stream, however many there are.
        let row = sqlx::query!(
            "SELECT pending, complete, truncated, gone, blocked, failing, missing_parts FROM streams
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'threads'",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(row.map_or_else(Default::default, |row| {
            let counts = ThreadCounts {
                pending: row.pending,
                complete: row.complete,
                truncated: row.truncated,
                gone: row.gone,
                blocked: row.blocked,
            };
            (counts, row.failing, row.missing_parts)
        }))
    }

    /// Pending threads that could not be fetched, of which there are so many.
    async fn waiting_threads(
        &mut self,
        connection: ConnectionId,
        count: i64,
    ) -> Result<WaitingThreads, StoreError> {
        if count == 0 {
            return Ok(WaitingThreads::default());
        }
        let tenant = self.tenant().0;
        let next = sqlx::query!(
            r#"SELECT source_id, trouble AS "trouble!", due_at FROM threads
               WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND failure IS NOT NULL
               ORDER BY due_at LIMIT 1"#,
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(
            next.map_or_else(WaitingThreads::default, |next| WaitingThreads {
                count,
                example: next.source_id,
                error: next.trouble,
                next_at: next.due_at,
            }),
        )
    }

    /// Companies to be fetched by id.
    async fn pending_companies(&mut self, connection: ConnectionId) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "pending!" FROM company_fetches WHERE tenant_id = $1 AND connection_id = $2"#,
            tenant,
            connection.0,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// The oldest run that has not finished.
    async fn oldest_open_run(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<OpenRun>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT mode, requested_at FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL
             ORDER BY requested_at LIMIT 1",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?
        .map(|run| {
            let mode = run.mode.parse().map_err(|_| StoreError::Inconsistent {
                table: "sync_runs",
                what: run.mode,
            })?;
            Ok(OpenRun {
                mode,
                requested_at: run.requested_at,
            })
        })
        .transpose()
    }

    async fn absent_counts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<(Stream, i64)>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            r#"SELECT stream, count(*) AS "count!" FROM absences WHERE tenant_id = $1 AND connection_id = $2
               GROUP BY stream ORDER BY stream"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?
        .into_iter()
        // No absence is no row, so a stream that is missing here has none.
        .map(|row| Ok((stream_of("absences", &row.stream)?, row.count)))
        .collect()
    }

    /// Unreadable objects by kind, and the number of unreadable parts.
    async fn quarantined_counts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(Vec<QuarantineFacts>, i64), StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT kind, count(*) AS "count!", min(source_id) AS "example!" FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2 AND resolved_at IS NULL AND retry IS NULL
               GROUP BY kind ORDER BY kind"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?;
        // A part belongs to a thread, so it is a reason of its own and no missing object of a stream.
        let (parts, objects): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .map(|row| QuarantineFacts {
                kind: row.kind,
                count: row.count,
                example: row.example,
            })
            .partition(|quarantined| quarantined.kind == "part");
        Ok((objects, parts.iter().map(|parts| parts.count).sum()))
    }

    /// Records that Intercom does not give, by kind.
    async fn set_aside_facts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<SetAsideFacts>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            SetAsideFacts,
            r#"SELECT kind, count(*) AS "count!", min(source_id) AS "example!",
                      (array_agg(trouble ORDER BY source_id))[1] AS "reason!", min(next_try_at) AS next_try_at
               FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2 AND resolved_at IS NULL AND retry IS NOT NULL
               GROUP BY kind ORDER BY kind"#,
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?)
    }

    async fn audit_facts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<AuditFacts>, StoreError> {
        let audit = self.last_audit(connection).await?;
        Ok(audit.map(|(audited_at, found)| AuditFacts {
            audited_at,
            contacts_missing: found.contacts_missing,
            conversations_missing: found.conversations_missing,
            threads_read: found.threads_read,
            threads_differing: found.threads_differing,
        }))
    }
}

fn connection_facts(connection: Connection) -> ConnectionFacts {
    match (connection.state, connection.error) {
        (ConnectionState::Active, _) => ConnectionFacts::Active,
        (ConnectionState::ReauthRequired | ConnectionState::Error, Some(error)) => {
            ConnectionFacts::Stopped(Blocked {
                code: error.code,
                message: error.message,
                action: Some(error.action),
                until: None,
            })
        }
        _ => ConnectionFacts::Disconnected,
    }
}

fn stream_of(table: &'static str, stream: &str) -> Result<Stream, StoreError> {
    stream.parse().map_err(|_| StoreError::Inconsistent {
        table,
        what: format!("stream {stream:?}"),
    })
}
