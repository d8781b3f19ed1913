//! All records that a change can reach: over values that are not shared, over merges of their source, and over the contact
//! that they are joined in now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::stored_value;
use crate::{
    domain::{
        ConnectionId,
        profile::{IdentityRecord, IdentityRules, RecordKey, SharedValues},
    },
    store::{StoreError, Tx, roles::ChangesObjects},
};

/// Records that were reached, and values that led no further because too many records hold them.
pub(super) struct Closure {
    pub(super) records: BTreeMap<RecordKey, StoredIdentity>,
    pub(super) shared: SharedValues,
}

/// What is stored of a record's identity.
pub(in crate::store) struct StoredIdentity {
    key: RecordKey,
    pub(super) record_id: Uuid,
    pub(super) contact_id: Uuid,
    source_created_at: DateTime<Utc>,
    pub(super) merged_into: Option<String>,
    values: Vec<String>,
    is_deleted: bool,
}

impl StoredIdentity {
    /// Whether its source still has it.
    pub(super) const fn is_alive(&self) -> bool {
        !self.is_deleted && self.merged_into.is_none()
    }

    pub(super) fn key(&self) -> RecordKey {
        self.key.clone()
    }

    pub(in crate::store) fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether its source says that it was created then.
    pub(super) fn is_as_old_as(&self, created_at: DateTime<Utc>) -> bool {
        self.source_created_at == created_at
    }

    pub(in crate::store) fn source_id(&self) -> &str {
        &self.key.source_id
    }

    pub(super) fn input(&self) -> IdentityRecord {
        IdentityRecord {
            key: self.key.clone(),
            id: self.record_id,
            source_created_at: self.source_created_at,
            merged_into: self.merged_into.clone(),
            values: self
                .values
                .iter()
                .filter_map(|value| stored_value::read(value))
                .collect(),
        }
    }
}

impl<R: ChangesObjects> Tx<R> {
    pub(super) async fn closure(
        &mut self,
        seeds: BTreeSet<RecordKey>,
        rules: &IdentityRules,
    ) -> Result<Closure, StoreError> {
        let mut closure = Closure {
            records: BTreeMap::new(),
            shared: SharedValues::new(),
        };
        let mut known_values = BTreeSet::new();
        let mut next = seeds;
        // Each round reads what the one before has named, so that a round trip serves many records.
        while !next.is_empty() {
            let found = self.identities_of(&next).await?;
            next.clear();
            let new_values: Vec<String> = found
                .iter()
                .flat_map(|record| &record.values)
                .filter(|value| known_values.insert((*value).clone()))
                .cloned()
                .collect();
            let mut contacts: Vec<Uuid> = found.iter().map(|record| record.contact_id).collect();
            contacts.sort_unstable();
            contacts.dedup();
            next.extend(self.records_of_contacts(&contacts).await?);
            next.extend(self.absorbed_by(&found).await?);
            next.extend(found.iter().filter_map(|record| {
                Some(RecordKey::new(
                    record.key.connection,
                    record.merged_into.clone()?,
                ))
            }));
            let max = rules.max_holders();
            for (value, holders) in self.holders(&new_values, max as i64 + 1).await? {
                if holders.len() <= max {
                    next.extend(holders);
                } else {
                    closure.shared.extend(stored_value::kind_and_text(&value));
                }
            }
            for record in found {
                closure.records.insert(record.key.clone(), record);
            }
            next.retain(|key| !closure.records.contains_key(key));
        }
        Ok(closure)
    }

    pub(in crate::store) async fn identities_of(
        &mut self,
        records: &BTreeSet<RecordKey>,
    ) -> Result<Vec<StoredIdentity>, StoreError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let (connections, ids): (Vec<Uuid>, Vec<&str>) = records
            .iter()
            .map(|key| (key.connection.0, key.source_id.as_str()))
            .unzip();
        let rows = sqlx::query!(
            r#"SELECT s.connection_id, s.source_id, s.record_id, s.contact_id, s.source_created_at, s.merged_into,
                      s.identity_values, s.deleted_at IS NOT NULL AS "is_deleted!"
               FROM unnest($2::uuid[], $3::text[]) AS i(connection_id, source_id)
               CROSS JOIN LATERAL (SELECT * FROM contact_sources
                                   WHERE tenant_id = $1 AND connection_id = i.connection_id AND source_id = i.source_id
                                   OFFSET 0) s"#,
            tenant,
            &connections,
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| StoredIdentity {
                key: RecordKey::new(ConnectionId(row.connection_id), row.source_id),
                record_id: row.record_id,
                contact_id: row.contact_id,
                source_created_at: row.source_created_at,
                merged_into: row.merged_into,
                values: serde_json::from_str(&row.identity_values).unwrap_or_default(),
                is_deleted: row.is_deleted,
            })
            .collect())
    }

    /// The records of these contacts.
    pub(in crate::store) async fn records_of_contacts(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<Vec<RecordKey>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.connection_id, s.source_id FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM contact_sources
                                   WHERE tenant_id = $1 AND contact_id = i.id OFFSET 0) s"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| RecordKey::new(ConnectionId(row.connection_id), row.source_id))
            .collect())
    }

    /// Records that their source has merged into one of these.
    async fn absorbed_by(
        &mut self,
        survivors: &[StoredIdentity],
    ) -> Result<Vec<RecordKey>, StoreError> {
        let tenant = self.tenant().0;
        let (connections, ids): (Vec<Uuid>, Vec<&str>) = survivors
            .iter()
            .map(|record| (record.key.connection.0, record.key.source_id.as_str()))
            .unzip();
        let rows = sqlx::query!(
            r#"SELECT i.connection_id AS "connection_id!", s.source_id
               FROM unnest($2::uuid[], $3::text[]) AS i(connection_id, source_id)
               CROSS JOIN LATERAL (SELECT source_id FROM contact_sources
                                   WHERE tenant_id = $1 AND connection_id = i.connection_id AND merged_into = i.source_id
                                   OFFSET 0) s"#,
            tenant,
            &connections,
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| RecordKey::new(ConnectionId(row.connection_id), row.source_id))
            .collect())
    }
}
