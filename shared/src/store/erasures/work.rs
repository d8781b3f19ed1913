//! What an erasure has left after its first transaction, removed in short transactions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::conversations::Removed;
use crate::{
    domain::{
        ConnectionId, Stream, TenantId,
        audit_event::{Actor, AuditAction, NewAuditEvent},
    },
    store::{Store, StoreError, Tx, roles::Api},
};

/// Events that one transaction deletes.
const EVENTS: i64 = 10_000;

/// The source ids of the person's records, by connection.
type People = BTreeMap<ConnectionId, BTreeSet<String>>;

impl Store<Api> {
    /// Pending erasures of all tenants: the oldest 100.
    #[tracing::instrument(name = "db.pending_erasures", level = "debug", skip_all)]
    pub async fn pending_erasures(&self) -> Result<Vec<(TenantId, Uuid)>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", erasure_id AS "erasure_id!" FROM pending_erasures(100)"#
        )
        .fetch_all(tx.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), row.erasure_id))
            .collect())
    }

    /// Carries out a pending erasure. Finished batches stay removed if the process dies. Returns at once if another
    /// process works on the same one.
    ///
    /// # Errors
    /// When Postgres fails. The erasure stays pending.
    #[tracing::instrument(name = "db.erase", level = "debug", skip_all)]
    pub async fn erase(&self, tenant: TenantId, erasure: Uuid) -> Result<(), StoreError> {
        while self.erase_batch(tenant, erasure).await? {}
        Ok(())
    }

    /// Removes one batch. `false` if the erasure is finished, or another process works on it.
    ///
    /// # Errors
    /// When Postgres fails. Nothing of the batch was removed then.
    #[tracing::instrument(name = "db.erase_batch", level = "debug", skip_all)]
    pub async fn erase_batch(&self, tenant: TenantId, erasure: Uuid) -> Result<bool, StoreError> {
        let mut tx = self.begin(tenant).await?;
        if !tx.lock_erasure(erasure).await? {
            return Ok(false);
        }
        let people = tx.people(erasure).await?;
        let mut is_done = true;
        for (connection, people) in &people {
            let removed = tx.erase_conversations(erasure, *connection, people).await?;
            let events = if removed.any {
                0
            } else {
                tx.delete_events_of(*connection, people).await?
            };
            if removed.any || events > 0 {
                tx.note_removed(erasure, &removed, events).await?;
                is_done = false;
                break;
            }
        }
        let is_finished = is_done && tx.finish_erasure(erasure, &people).await?;
        tx.commit().await?;
        Ok(!is_done && !is_finished)
    }
}

impl Tx<Api> {
    /// Whether there is anything to do, and it is ours.
    async fn lock_erasure(&mut self, erasure: Uuid) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let locked = sqlx::query_scalar!(
            "SELECT id FROM erasures WHERE tenant_id = $1 AND id = $2 AND finished_at IS NULL FOR UPDATE SKIP LOCKED",
            tenant,
            erasure,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(locked.is_some())
    }

    async fn people(&mut self, erasure: Uuid) -> Result<People, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT connection_id, source_id FROM erasure_records WHERE tenant_id = $1 AND erasure_id = $2",
            tenant,
            erasure,
        )
        .fetch_all(self.session())
        .await?;
        let mut people = People::new();
        for row in rows {
            let of = people.entry(ConnectionId(row.connection_id)).or_default();
            of.insert(row.source_id);
        }
        Ok(people)
    }

    async fn delete_events_of(
        &mut self,
        connection: ConnectionId,
        people: &BTreeSet<String>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let ids = sqlx::query_scalar!(
            r#"SELECT e.source_id AS "source_id!" FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (
                   (SELECT source_id FROM events WHERE tenant_id = $1 AND connection_id = $2
                       AND contact_source_id = i.source_id AND deleted_at IS NULL LIMIT $4)
                   UNION ALL
                   (SELECT source_id FROM events WHERE tenant_id = $1 AND connection_id = $2
                       AND contact_source_id = i.source_id AND deleted_at IS NOT NULL LIMIT $4)
               ) e LIMIT $4"#,
            tenant,
            connection.0,
            &people as &[&str],
            EVENTS,
        )
        .fetch_all(self.session())
        .await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let deleted = sqlx::query!(
            "DELETE FROM events e USING unnest($3::text[]) AS i(source_id)
             WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.source_id = i.source_id",
            tenant,
            connection.0,
            &ids,
        )
        .execute(self.session())
        .await?;
        Ok(deleted.rows_affected().cast_signed())
    }

    async fn note_removed(
        &mut self,
        erasure: Uuid,
        removed: &Removed,
        events: i64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE erasures SET started_at = coalesce(started_at, now()), conversations = conversations + $3,
                    participations = participations + $4, parts = parts + $5, events = events + $6,
                    quarantined = quarantined + $7
             WHERE tenant_id = $1 AND id = $2",
            tenant,
            erasure,
            removed.conversations,
            removed.participations,
            removed.parts,
            events,
            removed.quarantined,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Ends an erasure that has nothing left to remove, and keeps what a last look finds. `false` if it finds anything,
    /// and then the erasure stays pending.
    async fn finish_erasure(&mut self, erasure: Uuid, people: &People) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let mut quarantined = 0;
        for (connection, people) in people {
            quarantined += self
                .delete_quarantined_contacts(*connection, people)
                .await?;
        }
        let left = self.left_over(people).await?;
        let is_clean = left
            .as_object()
            .is_some_and(|left| left.values().all(|count| *count == json!(0)));
        if !is_clean {
            tracing::error!(%erasure, %left, "an erasure has left something, so it stays pending");
            return Ok(false);
        }
        let contact = sqlx::query_scalar!(
            "UPDATE erasures SET started_at = coalesce(started_at, now()), finished_at = now(), left_over = $3,
                    quarantined = quarantined + $4
             WHERE tenant_id = $1 AND id = $2 RETURNING contact_id",
            tenant,
            erasure,
            left,
            quarantined,
        )
        .fetch_one(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM erasure_records WHERE tenant_id = $1 AND erasure_id = $2",
            tenant,
            erasure,
        )
        .execute(self.session())
        .await?;
        let event = NewAuditEvent::new(Actor::System, AuditAction::ErasureFinished, contact);
        self.add_audit_event(event.with(json!({"erasure_id": erasure})))
            .await?;
        Ok(true)
    }

    /// Deletes what could not be read of the records themselves, and what a walk has noted of them.
    async fn delete_quarantined_contacts(
        &mut self,
        connection: ConnectionId,
        people: &BTreeSet<String>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        sqlx::query!(
            "DELETE FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'contacts' AND source_id = ANY ($3)",
            tenant,
            connection.0,
            &people as &[&str],
        )
        .execute(self.session())
        .await?;
        let counted = sqlx::query_scalar!(
            r#"DELETE FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2 AND kind = 'contact' AND source_id = ANY ($3)
               RETURNING resolved_at IS NULL AND retry IS NULL AS "counted!""#,
            tenant,
            connection.0,
            &people as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let open = counted.iter().filter(|counted| **counted).count() as i64;
        self.forget_quarantined(connection, Stream::Contacts, open)
            .await?;
        Ok(counted.len() as i64)
    }

    /// Looks for the person's records in every table that names them.
    async fn left_over(&mut self, people: &People) -> Result<Value, StoreError> {
        let tenant = self.tenant().0;
        let records = people
            .iter()
            .flat_map(|(connection, ids)| ids.iter().map(|id| (connection.0, id.as_str())));
        let (connections, ids): (Vec<Uuid>, Vec<&str>) = records.unzip();
        let left = sqlx::query!(
            r#"SELECT
                count(*) FILTER (WHERE EXISTS (SELECT FROM contact_sources
                    WHERE tenant_id = $1 AND connection_id = i.connection AND source_id = i.id OFFSET 0)) AS "records!",
                count(*) FILTER (WHERE EXISTS (SELECT FROM contact_companies
                    WHERE tenant_id = $1 AND connection_id = i.connection AND contact_source_id = i.id OFFSET 0)) AS "links!",
                count(*) FILTER (WHERE EXISTS (SELECT FROM conversation_contacts
                    WHERE tenant_id = $1 AND connection_id = i.connection AND contact_source_id = i.id OFFSET 0)) AS "participations!",
                count(*) FILTER (WHERE EXISTS (SELECT FROM events WHERE tenant_id = $1 AND connection_id = i.connection
                    AND contact_source_id = i.id AND deleted_at IS NULL OFFSET 0)
                  OR EXISTS (SELECT FROM events WHERE tenant_id = $1 AND connection_id = i.connection
                    AND contact_source_id = i.id AND deleted_at IS NOT NULL OFFSET 0)) AS "events!",
                count(*) FILTER (WHERE EXISTS (SELECT FROM split_records
                    WHERE tenant_id = $1 AND connection_id = i.connection AND source_id = i.id OFFSET 0)) AS "splits!",
                count(*) FILTER (WHERE EXISTS (SELECT FROM quarantine WHERE tenant_id = $1 AND connection_id = i.connection
                    AND kind = 'contact' AND source_id = i.id OFFSET 0)) AS "quarantined!"
               FROM unnest($2::uuid[], $3::text[]) AS i(connection, id)"#,
            tenant,
            &connections,
            &ids as &[&str],
        )
        .fetch_one(self.session())
        .await?;
        Ok(json!({
            "records": left.records,
            "links": left.links,
            "participations": left.participations,
            "events": left.events,
            "splits": left.splits,
            "quarantined": left.quarantined,
        }))
    }
}
