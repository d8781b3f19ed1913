//! Which contact answers for a merged one.

use std::collections::HashMap;

use uuid::Uuid;

use crate::store::{StoreError, Tx, roles::Api};

impl Tx<Api> {
    /// The contact that an id stands for: itself, or the one it was merged into. `None` if unknown.
    #[tracing::instrument(name = "db.resolve_contact", level = "debug", skip_all)]
    pub async fn resolve_contact(&mut self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        // A source record that was not merged is the end of the chain. The depth stops a cycle that
        // only contradictory merge histories could make.
        Ok(sqlx::query_scalar!(
            r#"WITH RECURSIVE chain AS (
                   SELECT connection_id, contact_id, merged_into, 0 AS depth
                   FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2
                   UNION ALL
                   SELECT next.connection_id, next.contact_id, next.merged_into, chain.depth + 1
                   FROM chain CROSS JOIN LATERAL (
                       SELECT connection_id, contact_id, merged_into FROM contact_sources
                       WHERE tenant_id = $1 AND connection_id = chain.connection_id
                         AND source_id = chain.merged_into OFFSET 0) next
                   WHERE chain.depth < 32
               )
               SELECT contact_id AS "contact_id!" FROM chain ORDER BY merged_into IS NOT NULL, depth LIMIT 1"#,
            tenant,
            id,
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// The survivors of those of the given contacts that were merged.
    pub(super) async fn survivors(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<HashMap<Uuid, Uuid>, StoreError> {
        if contacts.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"WITH RECURSIVE chain AS (
                   SELECT i.id AS merged, s.connection_id, s.contact_id, s.merged_into, 0 AS depth
                   FROM unnest($2::uuid[]) AS i(id)
                   CROSS JOIN LATERAL (SELECT connection_id, contact_id, merged_into FROM contact_sources
                                       WHERE tenant_id = $1 AND contact_id = i.id OFFSET 0) s
                   WHERE s.merged_into IS NOT NULL
                   UNION ALL
                   SELECT chain.merged, next.connection_id, next.contact_id, next.merged_into, chain.depth + 1
                   FROM chain CROSS JOIN LATERAL (
                       SELECT connection_id, contact_id, merged_into FROM contact_sources
                       WHERE tenant_id = $1 AND connection_id = chain.connection_id
                         AND source_id = chain.merged_into OFFSET 0) next
                   WHERE chain.depth < 32
               )
               SELECT DISTINCT ON (merged) merged AS "merged!", contact_id AS "survivor!" FROM chain
               ORDER BY merged, merged_into IS NOT NULL, depth"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            // A survivor that is not synced yet is not known.
            .filter(|row| row.merged != row.survivor)
            .map(|row| (row.merged, row.survivor))
            .collect())
    }
}
