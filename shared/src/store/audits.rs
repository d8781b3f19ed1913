//! Audits: what the walks stored, compared with Intercom by another way.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    SliceKey, StoreError, Tx,
    roles::{ReadsStatus, Worker},
};
use crate::domain::{ConnectionId, records::FIRST_MESSAGE};

/// A thread that is called complete, and the version of its conversation at that time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SampledThread {
    pub conversation_id: Uuid,
    pub source_id: String,
    /// `updated_at` of the stored answer.
    pub version: Option<DateTime<Utc>>,
}

/// The fields of a stored part that an audit compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldPart {
    pub updated_at: DateTime<Utc>,
    pub redacted: bool,
}

/// The findings of an audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditResult {
    /// Contacts that Intercom counts beyond the stored ones. `None` if it gave no count.
    pub contacts_missing: Option<i64>,
    pub conversations_missing: Option<i64>,
    /// Threads that were read again, and how many of them differed from the stored ones.
    pub threads_read: i32,
    pub threads_differing: i32,
}

impl Tx<Worker> {
    /// Whether the last audit, or the day of connecting, is longer ago than `every`, and all walks have ended. During a
    /// walk there is nothing yet that calls itself complete.
    #[tracing::instrument(name = "db.is_audit_due", level = "debug", skip_all)]
    pub async fn is_audit_due(
        &mut self,
        connection: ConnectionId,
        every: Duration,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // A new connection waits for one interval, because its first walks have to end before there is a copy to audit.
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

    /// Complete threads with parts, beginning at the id `from`. Ids are digests, so a random id gives a random sample.
    #[tracing::instrument(name = "db.sample_threads", level = "debug", skip_all)]
    pub async fn sample_threads(
        &mut self,
        connection: ConnectionId,
        from: Uuid,
        limit: i64,
    ) -> Result<Vec<SampledThread>, StoreError> {
        let tenant = self.tenant().0;
        // A range of the primary key, so that a sample of a million threads costs as much as one of ten.
        Ok(sqlx::query_as!(
            SampledThread,
            "SELECT conversation_id, source_id, fetched_version AS version FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id >= $3 AND status = 'complete' AND held > 0
             ORDER BY conversation_id LIMIT $4",
            tenant,
            connection.0,
            from,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// The stored parts of a conversation by their ids, without the first message.
    #[tracing::instrument(name = "db.held_parts", level = "debug", skip_all)]
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

    /// Stores the findings of an audit, in place of the last one.
    #[tracing::instrument(name = "db.write_audit", level = "debug", skip_all)]
    pub async fn write_audit(
        &mut self,
        key: SliceKey,
        audit: AuditResult,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO audits (tenant_id, connection_id, contacts_missing, conversations_missing, threads_read, threads_differing)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
                audited_at = now(), contacts_missing = excluded.contacts_missing,
                conversations_missing = excluded.conversations_missing, threads_read = excluded.threads_read,
                threads_differing = excluded.threads_differing",
            tenant,
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
    /// The findings of the last audit, and its time.
    #[tracing::instrument(name = "db.last_audit", level = "debug", skip_all)]
    pub async fn last_audit(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<(DateTime<Utc>, AuditResult)>, StoreError> {
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
            let found = AuditResult {
                contacts_missing: row.contacts_missing,
                conversations_missing: row.conversations_missing,
                threads_read: row.threads_read,
                threads_differing: row.threads_differing,
            };
            (row.audited_at, found)
        }))
    }
}
