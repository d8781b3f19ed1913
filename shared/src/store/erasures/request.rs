//! The first transaction of an erasure: the person's records go, and nothing of the person may come back.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Erasure;
use crate::{
    domain::{ConnectionId, Stream, audit_event::Effect, profile::RecordKey},
    store::{
        ProofDelta, StoreError, Tx,
        identities::{Linked, Unlinked},
        noted_changes::{ChangeOp, ObjectFate, ObjectKind},
        roles::Api,
    },
};

/// A record that was deleted.
struct ErasedRecord {
    key: RecordKey,
    id: Uuid,
    /// Its source had it.
    was_alive: bool,
}

impl Tx<Api> {
    /// Erases a contact: deletes its records and what is kept beside them, and leaves its conversations and events to
    /// [`Store::erase`](crate::store::Store::erase). A contact that was erased before keeps its erasure. `None` for an
    /// unknown or foreign id.
    ///
    /// # Errors
    /// When Postgres fails. Nothing of it was done then.
    #[tracing::instrument(name = "db.request_erasure", level = "debug", skip_all)]
    pub async fn request_erasure(
        &mut self,
        contact: Uuid,
    ) -> Result<Option<(Erasure, Effect)>, StoreError> {
        // A slice locks its stream before its first statement, and what another source sends locks its connection. So
        // none of them writes a record of the person that it has read before.
        self.lock_contact_streams().await?;
        self.lock_connections().await?;
        self.lock_links(Linked::Contacts).await?;
        let Some(own) = self.resolve_contact(contact).await? else {
            let known = self.erasure_of(contact).await?;
            return Ok(known.map(|erasure| (erasure, Effect::Unchanged)));
        };
        let keys: BTreeSet<RecordKey> = self
            .records_of(Linked::Contacts, &[own])
            .await?
            .into_iter()
            .collect();
        let mut values = Vec::new();
        for identity in self.identities_of(Linked::Contacts, &keys).await? {
            values.extend(identity.values().iter().cloned());
        }
        let id = self.add_erasure(own, &keys).await?;
        let records = self.delete_records(&keys).await?;
        self.delete_identity_values(&keys, &values).await?;
        let links = self.delete_company_links(&keys).await?;
        self.delete_splits(&keys).await?;
        let answers = self.delete_answers().await?;
        let mut ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
        ids.push(own);
        let aliases = self.delete_aliases(&ids).await?;
        ids.extend(aliases);
        ids.sort_unstable();
        ids.dedup();
        for id in &ids {
            let (op, fate) = (ChangeOp::Erase, ObjectFate::Removed);
            self.note_state(*id, op, ObjectKind::Contact, fate);
        }
        let mut unlinked = Unlinked::default();
        values.sort_unstable();
        values.dedup();
        for value in &values {
            unlinked.touched.lost(value);
        }
        // What others hold as well names somebody else too, so it keeps nobody out.
        let held = self.held_by_others(&values).await?;
        values.retain(|value| !held.contains(value));
        // What the tenant blocks names nobody, so it keeps nobody out either.
        let blocked = self.delete_blocked_values(&values).await?;
        values.retain(|value| !blocked.contains(value));
        self.keep_out(id, &keys, &values, &ids).await?;
        self.unify(Linked::Contacts, unlinked).await?;
        self.count_erased(&records).await?;
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE erasures SET records = $3, links = $4, answers = $5 WHERE tenant_id = $1 AND id = $2",
            tenant,
            id,
            records.len() as i64,
            links,
            answers,
        )
        .execute(self.session())
        .await?;
        let erasure = self.erasure(id).await?;
        Ok(erasure.map(|erasure| (erasure, Effect::Changed)))
    }

    /// Keeps other sources from writing records. They hold their connection's row until they have committed.
    async fn lock_connections(&mut self) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT id FROM connections WHERE tenant_id = $1 ORDER BY id FOR NO KEY UPDATE",
            tenant
        )
        .fetch_all(self.session())
        .await?;
        Ok(())
    }

    /// The erasure of a contact that had this id.
    async fn erasure_of(&mut self, contact: Uuid) -> Result<Option<Erasure>, StoreError> {
        let tenant = self.tenant().0;
        let id = sqlx::query_scalar!(
            "SELECT e.erasure_id FROM erasure_salts s
             CROSS JOIN LATERAL (SELECT erasure_id FROM erased
                                 WHERE tenant_id = $1 AND digest = erased_digest(s.salt, 'id:' || $2::uuid::text) OFFSET 0) e
             WHERE s.tenant_id = $1",
            tenant,
            contact,
        )
        .fetch_optional(self.session())
        .await?;
        match id {
            Some(id) => self.erasure(id).await,
            None => Ok(None),
        }
    }

    async fn add_erasure(
        &mut self,
        contact: Uuid,
        keys: &BTreeSet<RecordKey>,
    ) -> Result<Uuid, StoreError> {
        let tenant = self.tenant().0;
        let id = Uuid::now_v7();
        sqlx::query!(
            "INSERT INTO erasures (tenant_id, id, contact_id) VALUES ($1, $2, $3)",
            tenant,
            id,
            contact,
        )
        .execute(self.session())
        .await?;
        let (connections, source_ids) = columns(keys);
        sqlx::query!(
            "INSERT INTO erasure_records (tenant_id, erasure_id, connection_id, source_id)
             SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[])",
            tenant,
            id,
            &connections,
            &source_ids as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(id)
    }

    async fn delete_records(
        &mut self,
        keys: &BTreeSet<RecordKey>,
    ) -> Result<Vec<ErasedRecord>, StoreError> {
        let tenant = self.tenant().0;
        let mut records = Vec::new();
        // One at a time, because few records make a person, and each is found by its key.
        for key in keys {
            let row = sqlx::query!(
                r#"DELETE FROM contact_sources WHERE tenant_id = $1 AND connection_id = $2 AND source_id = $3
                   RETURNING record_id, deleted_at IS NULL AND merged_into IS NULL AS "was_alive!""#,
                tenant,
                key.connection.0,
                key.source_id,
            )
            .fetch_optional(self.session())
            .await?;
            records.extend(row.map(|row| ErasedRecord {
                key: key.clone(),
                id: row.record_id,
                was_alive: row.was_alive,
            }));
        }
        Ok(records)
    }

    async fn delete_identity_values(
        &mut self,
        keys: &BTreeSet<RecordKey>,
        values: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        for key in keys {
            for value in values {
                sqlx::query!(
                    "DELETE FROM identity_values
                     WHERE tenant_id = $1 AND value = $2 AND connection_id = $3 AND source_id = $4",
                    tenant,
                    value,
                    key.connection.0,
                    key.source_id,
                )
                .execute(self.session())
                .await?;
            }
        }
        Ok(())
    }

    async fn held_by_others(&mut self, values: &[String]) -> Result<BTreeSet<String>, StoreError> {
        let tenant = self.tenant().0;
        let held = sqlx::query_scalar!(
            r#"SELECT i.value AS "value!" FROM unnest($2::text[]) AS i(value)
               WHERE EXISTS (SELECT FROM identity_values WHERE tenant_id = $1 AND value = i.value OFFSET 0)"#,
            tenant,
            values,
        )
        .fetch_all(self.session())
        .await?;
        Ok(held.into_iter().collect())
    }

    async fn delete_company_links(
        &mut self,
        keys: &BTreeSet<RecordKey>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let mut links = 0;
        for key in keys {
            let deleted = sqlx::query!(
                "DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = $3",
                tenant,
                key.connection.0,
                key.source_id,
            )
            .execute(self.session())
            .await?;
            links += deleted.rows_affected().cast_signed();
        }
        Ok(links)
    }

    /// Takes the records out of every split. A split that has lost a side parts nothing, so it goes too.
    async fn delete_splits(&mut self, keys: &BTreeSet<RecordKey>) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let mut splits = BTreeSet::new();
        for key in keys {
            let of_record = sqlx::query_scalar!(
                "DELETE FROM split_records WHERE tenant_id = $1 AND connection_id = $2 AND source_id = $3 RETURNING split_id",
                tenant,
                key.connection.0,
                key.source_id,
            )
            .fetch_all(self.session())
            .await?;
            splits.extend(of_record);
        }
        for split in splits {
            sqlx::query!(
                "DELETE FROM split_records s WHERE s.tenant_id = $1 AND s.split_id = $2
                    AND (SELECT count(DISTINCT o.is_left) FROM split_records o WHERE o.tenant_id = $1 AND o.split_id = $2) < 2",
                tenant,
                split,
            )
            .execute(self.session())
            .await?;
        }
        Ok(())
    }

    /// Deletes the stored answers that may show a person: those of calls about contacts, of records and of searches.
    /// They are sealed, so which of them do is not known. What has no answer yet is a call under way.
    async fn delete_answers(&mut self) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let deleted = sqlx::query!(
            "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND answer IS NOT NULL
                AND (route LIKE 'POST /v1/contacts/%' OR route LIKE 'POST /v1/sources/%' OR route LIKE 'POST /v1/search%')",
            tenant,
        )
        .execute(self.session())
        .await?;
        Ok(deleted.rows_affected().cast_signed())
    }

    /// Deletes the ids that these records answer for, and those that such an id answers for. Returns them.
    async fn delete_aliases(&mut self, records: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let (mut all, mut next) = (Vec::new(), records.to_vec());
        while !next.is_empty() {
            next = sqlx::query_scalar!(
                "DELETE FROM profile_aliases a USING unnest($2::uuid[]) AS i(id)
                 WHERE a.tenant_id = $1 AND a.record_id = i.id RETURNING a.id",
                tenant,
                &next,
            )
            .fetch_all(self.session())
            .await?;
            all.extend(next.iter().copied());
        }
        Ok(all)
    }

    /// Stores what is kept out from now on: names of records, their values, and every id that the contact had.
    async fn keep_out(
        &mut self,
        erasure: Uuid,
        keys: &BTreeSet<RecordKey>,
        values: &[String],
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO erasure_salts (tenant_id, salt)
             VALUES ($1, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING",
            tenant,
        )
        .execute(self.session())
        .await?;
        let (connections, source_ids) = columns(keys);
        sqlx::query!(
            "INSERT INTO erased (tenant_id, digest, kind, erasure_id, connection_id)
             SELECT $1, erased_digest(s.salt, erased_name('contact', c.source, c.workspace_id, i.source_id)), 'contact', $2,
                    i.connection_id
             FROM erasure_salts s CROSS JOIN unnest($3::uuid[], $4::text[]) AS i(connection_id, source_id)
             CROSS JOIN LATERAL (SELECT source, workspace_id FROM connections
                                 WHERE tenant_id = $1 AND id = i.connection_id OFFSET 0) c
             WHERE s.tenant_id = $1
             ON CONFLICT DO NOTHING",
            tenant,
            erasure,
            &connections,
            &source_ids as &[&str],
        )
        .execute(self.session())
        .await?;
        let ids: Vec<String> = ids.iter().map(|id| format!("id:{id}")).collect();
        for (kind, texts) in [("value", values), ("id", &ids)] {
            sqlx::query!(
                "INSERT INTO erased (tenant_id, digest, kind, erasure_id)
                 SELECT $1, erased_digest(s.salt, i.text), $3, $2
                 FROM erasure_salts s CROSS JOIN unnest($4::text[]) AS i(text) WHERE s.tenant_id = $1
                 ON CONFLICT DO NOTHING",
                tenant,
                erasure,
                kind,
                texts,
            )
            .execute(self.session())
            .await?;
        }
        Ok(())
    }

    /// Takes the records from the counts of their streams, because the copy is complete without them.
    async fn count_erased(&mut self, records: &[ErasedRecord]) -> Result<(), StoreError> {
        let mut alive: BTreeMap<ConnectionId, u64> = BTreeMap::new();
        for record in records.iter().filter(|record| record.was_alive) {
            *alive.entry(record.key.connection).or_default() += 1;
        }
        for (connection, count) in alive {
            self.add_to_proof(connection, Stream::Contacts, ProofDelta::ended(count))
                .await?;
        }
        Ok(())
    }
}

/// The connections and the source ids of records, as one array each.
pub(super) fn columns(keys: &BTreeSet<RecordKey>) -> (Vec<Uuid>, Vec<&str>) {
    let columns = keys
        .iter()
        .map(|key| (key.connection.0, key.source_id.as_str()));
    columns.unzip()
}
