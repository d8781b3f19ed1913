//! All records that a change can reach: over values that are neither blocked nor shared, over merges of their source, and
//! over the profile that they are joined in now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{linked::Linked, stored_value};
use crate::{
    domain::{
        ConnectionId,
        profile::{DEFAULT_MAX_HOLDERS, IdentityRecord, IdentityRules, RecordKey, SharedValues},
    },
    store::{StoreError, Tx, roles::ChangesObjects},
};

/// Records that were reached, and why some of their values led no further.
pub(super) struct Closure {
    pub(super) records: BTreeMap<RecordKey, StoredIdentity>,
    /// Too many records hold them.
    pub(super) shared: SharedValues,
    /// The tenant's rules, as far as they are about values of these records.
    pub(super) rules: IdentityRules,
}

/// What is stored of a record's identity.
pub(in crate::store) struct StoredIdentity {
    key: RecordKey,
    pub(super) record_id: Uuid,
    /// The contact or company that it belongs to.
    pub(super) profile_id: Uuid,
    source_created_at: DateTime<Utc>,
    pub(super) source_updated_at: DateTime<Utc>,
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

struct IdentityRow {
    connection_id: Uuid,
    source_id: String,
    record_id: Uuid,
    profile_id: Uuid,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
    merged_into: Option<String>,
    identity_values: String,
    is_deleted: bool,
}

struct KeyRow {
    connection_id: Uuid,
    source_id: String,
}

/// One statement for both tables.
macro_rules! identities_of {
    ($tx:ident, $tenant:ident, $connections:ident, $ids:ident, $table:literal, $profile:literal, $merged:literal) => {
        sqlx::query_as!(
            IdentityRow,
            "SELECT s.connection_id, s.source_id, s.record_id, s.source_created_at, s.source_updated_at, s.identity_values,
                    s.profile_id AS \"profile_id!\", s.merged_into, s.is_deleted AS \"is_deleted!\"
             FROM unnest($2::uuid[], $3::text[]) AS i(connection_id, source_id)
             CROSS JOIN LATERAL (SELECT connection_id, source_id, record_id, source_created_at, source_updated_at,
                                        identity_values, "
                + $profile
                + " AS profile_id, "
                + $merged
                + " AS merged_into, deleted_at IS NOT NULL AS is_deleted FROM "
                + $table
                + " WHERE tenant_id = $1 AND connection_id = i.connection_id AND source_id = i.source_id OFFSET 0) s",
            $tenant,
            &$connections,
            &$ids as &[&str],
        )
        .fetch_all($tx.session())
        .await?
    };
}

/// One statement for both tables.
macro_rules! records_of {
    ($tx:ident, $tenant:ident, $profiles:ident, $table:literal, $profile:literal) => {
        sqlx::query_as!(
            KeyRow,
            "SELECT s.connection_id, s.source_id FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT connection_id, source_id FROM "
                + $table
                + " WHERE tenant_id = $1 AND "
                + $profile
                + " = i.id OFFSET 0) s",
            $tenant,
            $profiles,
        )
        .fetch_all($tx.session())
        .await?
    };
}

impl<R: ChangesObjects> Tx<R> {
    pub(super) async fn closure(
        &mut self,
        linked: Linked,
        seeds: BTreeSet<RecordKey>,
    ) -> Result<Closure, StoreError> {
        let mut records: BTreeMap<RecordKey, StoredIdentity> = BTreeMap::new();
        let (mut shared, mut blocked) = (SharedValues::new(), Vec::new());
        let mut known_values = BTreeSet::new();
        let mut next = seeds;
        // Each round reads what the one before has named, so that a round trip serves many records.
        while !next.is_empty() {
            let found = self.identities_of(linked, &next).await?;
            next.clear();
            let new_values: Vec<String> = found
                .iter()
                .flat_map(|record| &record.values)
                .filter(|value| known_values.insert((*value).clone()))
                .cloned()
                .collect();
            let mut profiles: Vec<Uuid> = found.iter().map(|record| record.profile_id).collect();
            profiles.sort_unstable();
            profiles.dedup();
            next.extend(self.records_of(linked, &profiles).await?);
            if linked == Linked::Contacts {
                next.extend(self.absorbed_by(&found).await?);
            }
            next.extend(found.iter().filter_map(|record| {
                Some(RecordKey::new(
                    record.key.connection,
                    record.merged_into.clone()?,
                ))
            }));
            let max = DEFAULT_MAX_HOLDERS;
            let held = self.holders(&new_values, max as i64 + 1).await?;
            for (value, holders) in held.of {
                if holders.len() <= max {
                    next.extend(holders);
                } else {
                    shared.extend(stored_value::kind_and_text(&value));
                }
            }
            let values = held.blocked.iter();
            blocked.extend(values.filter_map(|value| stored_value::read(value)));
            for record in found {
                records.insert(record.key.clone(), record);
            }
            next.retain(|key| !records.contains_key(key));
        }
        Ok(Closure {
            records,
            shared,
            rules: IdentityRules::blocking(blocked),
        })
    }

    pub(in crate::store) async fn identities_of(
        &mut self,
        linked: Linked,
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
        let rows = match linked {
            Linked::Contacts => {
                identities_of!(
                    self,
                    tenant,
                    connections,
                    ids,
                    "contact_sources",
                    "contact_id",
                    "merged_into"
                )
            }
            Linked::Companies => {
                identities_of!(
                    self,
                    tenant,
                    connections,
                    ids,
                    "company_sources",
                    "company_id",
                    "NULL::text"
                )
            }
        };
        Ok(rows
            .into_iter()
            .map(|row| StoredIdentity {
                key: RecordKey::new(ConnectionId(row.connection_id), row.source_id),
                record_id: row.record_id,
                profile_id: row.profile_id,
                source_created_at: row.source_created_at,
                source_updated_at: row.source_updated_at,
                merged_into: row.merged_into,
                values: serde_json::from_str(&row.identity_values).unwrap_or_default(),
                is_deleted: row.is_deleted,
            })
            .collect())
    }

    /// The records of these contacts or companies.
    pub(in crate::store) async fn records_of(
        &mut self,
        linked: Linked,
        profiles: &[Uuid],
    ) -> Result<Vec<RecordKey>, StoreError> {
        let tenant = self.tenant().0;
        let rows = match linked {
            Linked::Contacts => {
                records_of!(self, tenant, profiles, "contact_sources", "contact_id")
            }
            Linked::Companies => {
                records_of!(self, tenant, profiles, "company_sources", "company_id")
            }
        };
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
