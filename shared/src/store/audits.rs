//! Audits: what the walks call complete, compared with Intercom by another way.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    SliceKey, StoreError, Tx,
    roles::{ReadsStatus, Worker},
};
use crate::domain::{ConnectionId, Mode, Stream, records::FIRST_MESSAGE};

/// A thread that is called complete, and what its conversation was when that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SampledThread {
    pub conversation_id: Uuid,
    pub source_id: String,
    /// `updated_at` of the answer that was stored.
    pub version: Option<DateTime<Utc>>,
}

/// What a part is held as, as far as an audit compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldPart {
    pub updated_at: DateTime<Utc>,
    pub redacted: bool,
}

/// What an audit found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Contacts that Intercom counts beyond those that are held; `None`: it did not say.
    pub contacts_missing: Option<i64>,
    pub conversations_missing: Option<i64>,
    /// Threads read anew, and how many of them were not what is held.
    pub threads_read: i32,
    pub threads_differing: i32,
}

impl Tx<Worker> {
    /// Whether the last audit, or the day of connecting, is longer ago than `every`, and all walks have ended: in the
    /// middle of a walk there is nothing yet that calls itself complete.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn is_audit_due(
        &mut self,
        connection: ConnectionId,
        every: Duration,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT coalesce((SELECT audited_at FROM audits WHERE tenant_id = $1 AND connection_id = $2), c.connected_at)
                      < now() - make_interval(secs => $3)
                  AND NOT EXISTS (SELECT FROM streams s WHERE s.tenant_id = $1 AND s.connection_id = $2
                                     AND s.stream IN ('contacts', 'conversations')
                                     AND (s.cursor IS NOT NULL OR s.last_ok_at IS NULL)) AS "due!"
               FROM connections c WHERE c.tenant_id = $1 AND c.id = $2"#,
            tenant,
            connection.0,
            every.as_secs_f64(),
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or(false))
    }

    /// Threads with parts that are called complete, from `place` on in the order of their ids, which are digests.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn sample_threads(
        &mut self,
        connection: ConnectionId,
        place: Uuid,
        most: i64,
    ) -> Result<Vec<SampledThread>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            SampledThread,
            "SELECT conversation_id, source_id, fetched_version AS version FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id >= $3 AND status = 'complete' AND held > 0
             ORDER BY conversation_id LIMIT $4",
            tenant,
            connection.0,
            place,
            most,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// The parts held of a conversation by their ids, the first message not among them.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn held_parts(
        &mut self,
        conversation: Uuid,
    ) -> Result<HashMap<String, HeldPart>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, source_updated_at, redacted FROM parts
             WHERE tenant_id = $1 AND conversation_id = $2 AND source_id <> $3",
            tenant,
            conversation,
            FIRST_MESSAGE,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    row.source_id,
                    HeldPart {
                        updated_at: row.source_updated_at,
                        redacted: row.redacted,
                    },
                )
            })
            .collect())
    }

    /// How many objects of a stream are held and alive, counted row by row.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn count_alive(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM alive WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"#,
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Up to when every change of a stream is held.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn watermark(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT watermark FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?
        .flatten())
    }

    /// Keeps what an audit found.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_audit(&mut self, key: SliceKey, audit: Audit) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO audits (tenant_id, connection_id, contacts_missing, conversations_missing, threads_read, threads_differing)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
                audited_at = now(), contacts_missing = excluded.contacts_missing,
                conversations_missing = excluded.conversations_missing, threads_read = excluded.threads_read,
                threads_differing = excluded.threads_differing",
            key.tenant.0,
            key.connection.0,
            audit.contacts_missing,
            audit.conversations_missing,
            audit.threads_read,
            audit.threads_differing,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl<R: ReadsStatus> Tx<R> {
    /// What the last audit found.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn last_audit(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<(DateTime<Utc>, Audit)>, StoreError> {
        let tenant = self.tenant().0;
        let row = sqlx::query!(
            "SELECT audited_at, contacts_missing, conversations_missing, threads_read, threads_differing FROM audits
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(row.map(|row| {
            let found = Audit {
                contacts_missing: row.contacts_missing,
                conversations_missing: row.conversations_missing,
                threads_read: row.threads_read,
                threads_differing: row.threads_differing,
            };
            (row.audited_at, found)
        }))
    }
}

impl Tx<Worker> {
    /// Makes a stream due for a walk of at least this mode, and says that so many objects are missing. False where
    /// a walk is under way or the stream is blocked.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn widen(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        mode: Mode,
        missing: i64,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let widened = sqlx::query!(
            "UPDATE streams SET mode = CASE WHEN mode = 'reconcile' THEN mode ELSE $4 END, due_at = least(due_at, now()),
                    expected = greatest(expected, held + $5)
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND cursor IS NULL AND blocked_code IS NULL",
            tenant,
            connection.0,
            stream.as_str(),
            mode.as_str(),
            missing,
        )
        .execute(self.session())
        .await?;
        Ok(widened.rows_affected() > 0)
    }
}
