//! Quarantine and reference data: the small tables.

use chrono::{DateTime, Utc};

use super::{StoreError, Tx, roles::Worker};
use crate::domain::{
    ConnectionId,
    records::{Poison, ReferenceItem},
};

impl Tx<Worker> {
    /// Keeps objects that could not be read, each with its bytes and the reason. Returns how many were
    /// not in quarantine before.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn quarantine(
        &mut self,
        connection: ConnectionId,
        poisons: &[Poison],
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let mut opened = 0;
        for poison in poisons {
            let seen_before = sqlx::query_scalar!(
                r#"WITH before AS (
                    SELECT FROM quarantine
                    WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = $4 AND resolved_at IS NULL
                 )
                 INSERT INTO quarantine AS q (tenant_id, connection_id, kind, source_id, reason, raw)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (tenant_id, connection_id, kind, source_id) DO UPDATE SET
                    reason = excluded.reason, raw = excluded.raw, seen = q.seen + 1, last_seen_at = now(), resolved_at = NULL
                 RETURNING EXISTS (SELECT FROM before) AS "before!""#,
                tenant,
                connection.0,
                poison.kind,
                poison.source_id,
                poison.reason,
                poison.raw,
            )
            .fetch_one(self.session())
            .await?;
            opened += i64::from(!seen_before);
            metrics::counter!("pathbound_quarantined_total", "stream" => poison.kind, "reason" => "unreadable")
                .increment(1);
            // Not the reason: it quotes what the customer wrote.
            tracing::warn!(kind = poison.kind, source_id = %poison.source_id, "quarantined an object");
        }
        Ok(opened)
    }

    /// Closes the quarantine of objects that were read well now, and drops their bytes: what they say may
    /// have been redacted since. Returns how many there were.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn resolve_quarantine(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        source_ids: &[String],
    ) -> Result<i64, StoreError> {
        if source_ids.is_empty() {
            return Ok(0);
        }
        let tenant = self.tenant().0;
        let healed = sqlx::query!(
            "UPDATE quarantine SET resolved_at = now(), raw = ''
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = ANY ($4) AND resolved_at IS NULL",
            tenant,
            connection.0,
            kind,
            source_ids,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        Ok(healed as i64)
    }

    /// Closes what a full walk did not meet again: it has gone, or is read well under its real id.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn forget_quarantine(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        before: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE quarantine SET resolved_at = now(), raw = ''
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND last_seen_at < $4 AND resolved_at IS NULL",
            tenant,
            connection.0,
            kind,
            before,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Closes the quarantine of parts of threads that were read whole now.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn resolve_quarantined_parts(
        &mut self,
        connection: ConnectionId,
        conversations: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE quarantine SET resolved_at = now(), raw = ''
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = 'part'
               AND split_part(source_id, '/', 1) = ANY ($3) AND resolved_at IS NULL",
            tenant,
            connection.0,
            conversations,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes the reference items of a kind the given ones; those no longer listed stay, marked.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_reference(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        items: &[ReferenceItem],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let ids: Vec<&str> = items.iter().map(|item| item.source_id.as_str()).collect();
        sqlx::query!(
            "UPDATE reference_items SET removed_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND removed_at IS NULL AND source_id <> ALL ($4::text[])",
            tenant,
            connection.0,
            kind,
            &ids as &[&str],
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "INSERT INTO reference_items AS r (tenant_id, connection_id, kind, source_id, name, doc, sanitised)
             SELECT DISTINCT ON (source_id) $1::uuid, $2::uuid, $3, source_id, name, doc::jsonb, sanitised
             FROM unnest($4::text[], $5::text[], $6::text[], $7::bool[]) AS i(source_id, name, doc, sanitised)
             ON CONFLICT (tenant_id, connection_id, kind, source_id) DO UPDATE SET
                name = excluded.name, doc = excluded.doc, sanitised = excluded.sanitised, removed_at = NULL
             WHERE r.doc <> excluded.doc OR r.name IS DISTINCT FROM excluded.name
                OR r.sanitised <> excluded.sanitised OR r.removed_at IS NOT NULL",
            tenant,
            connection.0,
            kind,
            &ids as &[&str],
            &items.iter().map(|item| item.name.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
            &items.iter().map(|item| item.doc.as_str()).collect::<Vec<_>>() as &[&str],
            &items.iter().map(|item| item.sanitised).collect::<Vec<_>>(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
