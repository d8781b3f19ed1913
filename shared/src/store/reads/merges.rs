//! Which contact answers for an id.

use std::collections::HashMap;

use uuid::Uuid;

use super::SourceRecord;
use crate::store::{StoreError, Tx, roles::Api};

/// Records of a contact that may have been removed one after the other, each with an alias for its own id.
const ALIASES: usize = 32;

/// A record that belongs to another contact than that of its own id.
pub(super) struct JoinedRecord {
    /// The contact that it belongs to.
    pub(super) survivor: Uuid,
    pub(super) record: SourceRecord,
}

impl Tx<Api> {
    /// The contact that an id stands for: itself, or the one that it was merged into. `None` if unknown.
    #[tracing::instrument(name = "db.resolve_contact", level = "debug", skip_all)]
    pub async fn resolve_contact(&mut self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let mut id = id;
        for _ in 0..ALIASES {
            // Most ids are those of contacts. The others are ids of joined records, or of records that are gone.
            let contact = sqlx::query_scalar!(
                r#"SELECT coalesce(
                    (SELECT contact_id FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2 LIMIT 1),
                    (SELECT contact_id FROM contact_sources
                     WHERE tenant_id = $1 AND record_id = $2 AND record_id <> contact_id LIMIT 1))"#,
                tenant,
                id,
            )
            .fetch_one(self.session())
            .await?;
            if contact.is_some() {
                return Ok(contact);
            }
            let alias = sqlx::query_scalar!(
                "SELECT record_id FROM contact_aliases WHERE tenant_id = $1 AND id = $2",
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

    /// Of these ids, those of records that belong to another contact.
    pub(super) async fn joined_records(
        &mut self,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, JoinedRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.record_id, s.contact_id, c.source, s.connection_id, s.source_id, s.source_updated_at, s.deleted_at,
                      s.merged_into IS NOT NULL AS "is_merged!", s.external_id, s.raw
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT * FROM contact_sources
                                   WHERE tenant_id = $1 AND record_id = i.id AND record_id <> contact_id OFFSET 0) s
               CROSS JOIN LATERAL (SELECT source FROM connections
                                   WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c"#,
            tenant,
            ids,
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                let record = source_record!(row, "contact_sources", row.is_merged);
                let joined = JoinedRecord {
                    survivor: row.contact_id,
                    record,
                };
                Ok((row.record_id, joined))
            })
            .collect()
    }
}
