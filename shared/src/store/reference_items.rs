//! Reference items: admins, teams, tags, segments and attribute definitions.

use super::{StoreError, Tx, roles::Worker};
use crate::domain::{ConnectionId, records::ReferenceItem};

impl Tx<Worker> {
    /// Makes the items of a kind the given ones. Items that are no longer listed stay, marked as removed.
    #[tracing::instrument(name = "db.write_reference", level = "debug", skip_all)]
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
        // An unchanged item is not written, because the lists are read every few minutes and hardly ever change.
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
