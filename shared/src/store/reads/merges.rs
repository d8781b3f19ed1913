//! Which contact or company answers for an id.

use std::collections::HashMap;

use uuid::Uuid;

use super::SourceRecord;
use crate::store::{StoreError, Tx, identities::Linked, roles::Api};

/// Records of a profile that may have been removed one after the other, each with an alias for its own id.
const ALIASES: usize = 32;

/// A record that belongs to another profile than that of its own id.
struct JoinedRecord {
    /// The contact or company that it belongs to.
    survivor: Uuid,
    record: SourceRecord,
}

/// One statement for both tables: the profile of this id, or the one that its record was joined to.
macro_rules! profile_of {
    ($tx:ident, $tenant:ident, $id:ident, $table:literal, $profile:literal) => {
        sqlx::query_scalar!(
            "SELECT coalesce(
                (SELECT "
                + $profile
                + " FROM "
                + $table
                + " WHERE tenant_id = $1 AND "
                + $profile
                + " = $2 LIMIT 1),
                (SELECT "
                + $profile
                + " FROM "
                + $table
                + " WHERE tenant_id = $1 AND record_id = $2 AND record_id <> "
                + $profile
                + " LIMIT 1))",
            $tenant,
            $id,
        )
        .fetch_one($tx.session())
        .await?
    };
}

/// One statement for both tables. Gives the joined records by their own ids.
macro_rules! joined {
    ($tx:ident, $tenant:ident, $ids:ident, $table:literal, $profile:literal, $is_merged:literal) => {
        sqlx::query!(
            "SELECT s.record_id, s.survivor AS \"survivor!\", c.source, s.connection_id, s.source_id, s.source_updated_at,
                    s.deleted_at, s.is_merged AS \"is_merged!\", s.external_id, s.raw
             FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT record_id, connection_id, source_id, source_updated_at, deleted_at, external_id, raw, "
                + $profile
                + " AS survivor, "
                + $is_merged
                + " AS is_merged FROM "
                + $table
                + " WHERE tenant_id = $1 AND record_id = i.id AND record_id <> "
                + $profile
                + " OFFSET 0) s
             CROSS JOIN LATERAL (SELECT source FROM connections
                                 WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c",
            $tenant,
            $ids,
        )
        .fetch_all($tx.session())
        .await?
        .into_iter()
        .map(|row| {
            let record = source_record!(row, $table, row.is_merged);
            let joined = JoinedRecord {
                survivor: row.survivor,
                record,
            };
            Ok((row.record_id, joined))
        })
        .collect()
    };
}

impl Tx<Api> {
    /// The contact that an id stands for: itself, or the one that it was merged into. `None` if unknown.
    #[tracing::instrument(name = "db.resolve_contact", level = "debug", skip_all)]
    pub async fn resolve_contact(&mut self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.resolve(Linked::Contacts, id).await
    }

    /// The company that an id stands for. `None` if unknown.
    #[tracing::instrument(name = "db.resolve_company", level = "debug", skip_all)]
    pub async fn resolve_company(&mut self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.resolve(Linked::Companies, id).await
    }

    async fn resolve(&mut self, linked: Linked, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let mut id = id;
        for _ in 0..ALIASES {
            // Most ids are those of profiles. The others are ids of joined records, or of records that are gone.
            let profile = match linked {
                Linked::Contacts => profile_of!(self, tenant, id, "contact_sources", "contact_id"),
                Linked::Companies => profile_of!(self, tenant, id, "company_sources", "company_id"),
            };
            if profile.is_some() {
                return Ok(profile);
            }
            let alias = sqlx::query_scalar!(
                "SELECT record_id FROM profile_aliases WHERE tenant_id = $1 AND id = $2",
                tenant,
                id,
            )
            .fetch_optional(self.session())
            .await?;
            let Some(record) = alias else {
                return Ok(None);
            };
            id = record;
        }
        Ok(None)
    }

    /// Of these profiles, each with what it is made of: its own records, or the one that its id is of and the profile that
    /// this one was joined to. A profile without either is left out.
    pub(super) async fn own_or_joined(
        &mut self,
        linked: Linked,
        ids: &[Uuid],
        own: HashMap<Uuid, Vec<SourceRecord>>,
    ) -> Result<HashMap<Uuid, (Vec<SourceRecord>, Option<Uuid>)>, StoreError> {
        let without: Vec<Uuid> = ids
            .iter()
            .copied()
            .filter(|id| !own.contains_key(id))
            .collect();
        let joined = self.joined_records(linked, &without).await?;
        let own = own.into_iter().map(|(id, records)| (id, (records, None)));
        let joined = joined
            .into_iter()
            .map(|(id, joined)| (id, (vec![joined.record], Some(joined.survivor))));
        Ok(own.chain(joined).collect())
    }

    /// Of these ids, those of records that belong to another profile.
    async fn joined_records(
        &mut self,
        linked: Linked,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, JoinedRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        match linked {
            Linked::Contacts => {
                joined!(
                    self,
                    tenant,
                    ids,
                    "contact_sources",
                    "contact_id",
                    "merged_into IS NOT NULL"
                )
            }
            Linked::Companies => {
                joined!(self, tenant, ids, "company_sources", "company_id", "false")
            }
        }
    }
}
