//! Tombstones: objects that Intercom has deleted or merged. Their rows stay, with a mark.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    ProofDelta, SliceKey, StoreError, Tx,
    contacts::EndedContacts,
    identities::{Linked, Unlinked},
    noted_changes::{ChangeOp, ObjectFate},
    roles::Worker,
};
use crate::domain::{ConnectionId, Stream, ids, profile::RecordKey};

impl Tx<Worker> {
    /// Marks contacts that Intercom no longer has, and points merged ones to their survivors.
    #[tracing::instrument(name = "db.mark_contacts_deleted", level = "debug", skip_all)]
    pub async fn mark_contacts_deleted(
        &mut self,
        key: SliceKey,
        deleted: &[String],
        merged: &[(String, String)],
    ) -> Result<(), StoreError> {
        self.lock_links(Linked::Contacts).await?;
        let mut ended = self.note_merges(key.connection, merged).await?;
        let deleted_now = self.mark_deleted(key.connection, deleted).await?;
        ended.alive += deleted_now.alive;
        ended.records.extend(deleted_now.records);
        let unlinked = Unlinked {
            seeds: ended.records,
            ..Unlinked::default()
        };
        self.unify(Linked::Contacts, unlinked).await?;
        let both: Vec<String> = merged
            .iter()
            .map(|(gone, _)| gone.clone())
            .chain(deleted.iter().cloned())
            .collect();
        // The absences go in the same transaction, or the next walk would count them once more.
        self.forget_absences(key, &both).await?;
        self.add_to_proof(
            key.connection,
            key.stream,
            ProofDelta::ended(ended.alive.unsigned_abs()),
        )
        .await
    }

    /// Marks contacts as deleted. The caller unifies what it gets.
    async fn mark_deleted(
        &mut self,
        connection: ConnectionId,
        deleted: &[String],
    ) -> Result<EndedContacts, StoreError> {
        if deleted.is_empty() {
            return Ok(EndedContacts::default());
        }
        let tenant = self.tenant().0;
        // Each row is found by its key, whatever the planner believes of the table. An upsert of rows that exist.
        let marked = sqlx::query!(
            r#"WITH before AS MATERIALIZED (
                SELECT s.* FROM unnest($3::text[]) AS i(source_id)
                CROSS JOIN LATERAL (SELECT source_id, contact_id, source_updated_at, merged_into IS NULL AS was_alive
                                    FROM contact_sources
                                    WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id
                                      AND deleted_at IS NULL FOR UPDATE) s
             ), marked AS (
                INSERT INTO contact_sources
                    (tenant_id, connection_id, source_id, record_id, contact_id, source_created_at, source_updated_at, raw_hash, raw)
                SELECT $1, $2, source_id, contact_id, contact_id, source_updated_at, source_updated_at, 0, '' FROM before
                ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET deleted_at = now()
             )
             SELECT source_id, was_alive AS "was_alive!" FROM before"#,
            tenant,
            connection.0,
            deleted,
        )
        .fetch_all(self.session())
        .await?;
        let alive = marked.iter().filter(|row| row.was_alive).count();
        let records = marked
            .into_iter()
            .map(|row| RecordKey::new(connection, row.source_id));
        Ok(EndedContacts {
            records: records.collect(),
            alive: alive as i64,
        })
    }

    /// Marks those of the given companies that were absent from two complete walks. A 404 alone is not believed, because
    /// a page may have named a company that was just being created or moved.
    #[tracing::instrument(name = "db.mark_companies_deleted", level = "debug", skip_all)]
    pub async fn mark_companies_deleted(
        &mut self,
        key: SliceKey,
        not_found: &[String],
    ) -> Result<(), StoreError> {
        self.lock_links(Linked::Companies).await?;
        let tenant = self.tenant().0;
        let marked = sqlx::query_scalar!(
            "WITH gone AS (
                DELETE FROM absences
                WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'companies' AND walks >= 2
                  AND source_id = ANY ($3::text[])
                RETURNING source_id
             )
             UPDATE company_sources s SET deleted_at = now() FROM gone
             WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = gone.source_id AND s.deleted_at IS NULL
             RETURNING s.source_id",
            tenant,
            key.connection.0,
            not_found,
        )
        .fetch_all(self.session())
        .await?;
        let ended = ProofDelta::ended(marked.len() as u64);
        let records = marked.into_iter();
        let unlinked = Unlinked {
            seeds: records
                .map(|id| RecordKey::new(key.connection, id))
                .collect(),
            ..Unlinked::default()
        };
        self.unify(Linked::Companies, unlinked).await?;
        self.add_to_proof(key.connection, key.stream, ended).await
    }

    /// Marks conversations that Intercom lists as deleted, with their times. Returns how many were not marked before. The
    /// row of their stream is locked, before those of the conversations.
    #[tracing::instrument(name = "db.mark_conversations_deleted", level = "debug", skip_all)]
    pub async fn mark_conversations_deleted(
        &mut self,
        connection: ConnectionId,
        deleted: &[(String, DateTime<Utc>)],
    ) -> Result<u64, StoreError> {
        if deleted.is_empty() {
            return Ok(0);
        }
        let tenant = self.tenant().0;
        let times: BTreeMap<Uuid, DateTime<Utc>> = deleted
            .iter()
            .map(|(id, at)| (ids::conversation_id(connection, id), *at))
            .collect();
        let ids: Vec<Uuid> = times.keys().copied().collect();
        let times: Vec<DateTime<Utc>> = times.into_values().collect();
        // Conversations before their threads, both in the order of ids, as every other writer does.
        let marked = sqlx::query_scalar!(
            "INSERT INTO conversations (tenant_id, id, connection_id, source_id, source_created_at, source_updated_at, open, raw_hash,
                                        raw, deleted_at)
             SELECT $1, c.id, c.connection_id, '', c.source_updated_at, c.source_updated_at, false, 0, '', i.at
             FROM unnest($2::uuid[], $3::timestamptz[]) AS i(id, at)
             CROSS JOIN LATERAL (SELECT id, connection_id, source_updated_at FROM conversations
                                 WHERE tenant_id = $1 AND id = i.id AND deleted_at IS NULL FOR UPDATE) c
             ON CONFLICT (tenant_id, id) DO UPDATE SET deleted_at = excluded.deleted_at
             RETURNING id",
            tenant,
            &ids,
            &times,
        )
        .fetch_all(self.session())
        .await?;
        let count = marked.len() as u64;
        self.note_ends(ChangeOp::Delete, ObjectFate::Deleted, marked);
        self.end_threads(connection, &ids).await?;
        self.add_to_proof(connection, Stream::Conversations, ProofDelta::ended(count))
            .await?;
        Ok(count)
    }
}
