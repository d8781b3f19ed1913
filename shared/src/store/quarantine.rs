//! Quarantine: objects that could not be read, each with its bytes and the reason.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    StoreError, Tx,
    raw::{self, RawKind},
    roles::Worker,
    tx::Quarantined,
};
use crate::domain::{
    ConnectionId, Stream,
    masked::{masked_json, masked_reason},
    records::Poison,
};

/// An object in quarantine.
#[derive(Clone, Debug)]
pub struct QuarantinedObject {
    pub source_id: String,
    /// As it was sent.
    pub raw: Vec<u8>,
}

/// The stream that reads objects of this kind. Reference data has many kinds.
pub(super) fn stream_of(kind: &str) -> Stream {
    match kind {
        "contact" => Stream::Contacts,
        "company" => Stream::Companies,
        "conversation" => Stream::Conversations,
        "part" => Stream::Threads,
        _ => Stream::Reference,
    }
}

impl Tx<Worker> {
    /// Stores unreadable objects. Returns how many were not in quarantine before.
    #[tracing::instrument(name = "db.quarantine", level = "debug", skip_all)]
    pub async fn quarantine(
        &mut self,
        connection: ConnectionId,
        poisons: &[Poison],
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let mut opened = 0;
        let kept_out = self
            .kept_out_objects(
                connection,
                poisons
                    .iter()
                    .map(|poison| (poison.kind, &*poison.source_id)),
            )
            .await?;
        let stored = |poison: &&Poison| !kept_out.contains(&poison.source_id);
        // One statement each, because a page hardly ever has two.
        for poison in poisons.iter().filter(stored) {
            let seen_before = sqlx::query_scalar!(
                r#"WITH before AS (
                    SELECT FROM quarantine
                    WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = $4
                      AND resolved_at IS NULL AND retry IS NULL
                 )
                 INSERT INTO quarantine AS q (tenant_id, connection_id, kind, source_id, reason, raw, masked_reason, masked_raw)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''))
                 ON CONFLICT (tenant_id, connection_id, kind, source_id) DO UPDATE SET
                    reason = excluded.reason, raw = excluded.raw, masked_reason = excluded.masked_reason, masked_raw = excluded.masked_raw, seen = q.seen + 1, last_seen_at = now(), resolved_at = NULL,
                    retry = NULL, tries = 0, next_try_at = NULL, progress = NULL
                 RETURNING EXISTS (SELECT FROM before) AS "before!""#,
                tenant,
                connection.0,
                poison.kind,
                poison.source_id,
                poison.reason,
                raw::pack(RawKind::of_quarantined(poison.kind), &poison.raw),
                masked_reason(&poison.reason),
                masked_json(&poison.raw),
            )
            .fetch_one(self.session())
            .await?;
            // A known one counts in the proof already.
            opened += i64::from(!seen_before);
            self.count_quarantined(Quarantined {
                stream: stream_of(poison.kind),
                reason: poison.label(),
            });
            // Without the reason, because it may quote the customer's text.
            tracing::warn!(kind = poison.kind, source_id = %poison.source_id, "quarantined an object");
        }
        Ok(opened)
    }

    /// Of these objects, each given by its kind and its source id, those that an erasure keeps out.
    pub(super) async fn kept_out_objects(
        &mut self,
        connection: ConnectionId,
        objects: impl Iterator<Item = (&str, &str)>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let (mut contacts, mut conversations) = (BTreeSet::new(), BTreeSet::new());
        let mut parts = Vec::new();
        for (kind, source_id) in objects {
            match kind {
                "contact" => contacts.insert(source_id),
                "conversation" => conversations.insert(source_id),
                // A part's id begins with that of its conversation.
                "part" => {
                    let (owner, _) = source_id.split_once('/').unwrap_or((source_id, ""));
                    parts.push((owner, source_id));
                    conversations.insert(owner)
                }
                _ => false,
            };
        }
        let found = self.kept_out(connection, &contacts, &conversations).await?;
        let mut kept_out = found.people();
        kept_out.extend(found.conversations());
        for (owner, part) in parts {
            if kept_out.contains(owner) {
                kept_out.insert(part.to_owned());
            }
        }
        Ok(kept_out)
    }

    /// Closes the quarantine of objects that are readable now, and deletes their bytes, because the text may have been
    /// redacted since. Returns how many of them counted as unreadable, which a record that was set aside does not.
    #[tracing::instrument(name = "db.resolve_quarantine", level = "debug", skip_all)]
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
        let counted = sqlx::query_scalar!(
            r#"UPDATE quarantine SET resolved_at = now(), raw = '', masked_raw = NULL, masked_reason = NULL, progress = NULL
               WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = ANY ($4) AND resolved_at IS NULL
               RETURNING retry IS NULL AS "counted!""#,
            tenant,
            connection.0,
            kind,
            source_ids,
        )
        .fetch_all(self.session())
        .await?;
        Ok(counted.into_iter().filter(|counted| *counted).count() as i64)
    }

    /// Closes the quarantine of objects that a full walk did not meet again. They are gone, or readable under their real
    /// ids. A record that was set aside stays until its own question is answered, unless only a walk can answer it.
    #[tracing::instrument(name = "db.forget_quarantine", level = "debug", skip_all)]
    pub async fn forget_quarantine(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        before: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE quarantine SET resolved_at = now(), raw = '', masked_raw = NULL, masked_reason = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND last_seen_at < $4 AND resolved_at IS NULL
               AND (retry IS NULL OR retry = 'walk')",
            tenant,
            connection.0,
            kind,
            before,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Closes the quarantine of parts whose threads are readable as a whole now.
    #[tracing::instrument(name = "db.resolve_quarantined_parts", level = "debug", skip_all)]
    pub async fn resolve_quarantined_parts(
        &mut self,
        connection: ConnectionId,
        conversations: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE quarantine SET resolved_at = now(), raw = '', masked_raw = NULL, masked_reason = NULL
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

    /// Objects of a kind in quarantine that have their bytes, in the order of ids, after `after`.
    #[tracing::instrument(name = "db.quarantined", level = "debug", skip_all)]
    pub async fn quarantined(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<QuarantinedObject>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, raw FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND resolved_at IS NULL
               AND length(raw) > 0 AND source_id > $4
             ORDER BY source_id LIMIT $5",
            tenant,
            connection.0,
            kind,
            after,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(QuarantinedObject {
                    raw: raw::read("quarantine", &row.raw)?,
                    source_id: row.source_id,
                })
            })
            .collect()
    }
}
