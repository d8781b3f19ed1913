//! Purges: the deletion of everything that an ended connection brought.
//!
//! A large workspace takes minutes, so a disconnect only requests its purge. The objects are deleted afterwards in
//! short transactions, and another process continues a purge whose process has died.

use super::{
    Store, StoreError, Tx,
    roles::{Api, ReadsConnections},
};
use crate::domain::{ConnectionId, TenantId};

/// Objects that one transaction of a purge deletes. A conversation takes its thread along.
const BATCH_SIZE: i64 = 2_000;

/// Deletes a batch of source records, and the profiles that no other source knows. Contacts and companies differ only
/// in the names of their tables. Every part of the statement sees the rows as they were before it, hence the exception
/// for the batch itself.
macro_rules! delete_batch {
    ($tx:ident, $connection:ident, $sources:literal, $profile_id:literal, $profiles:literal) => {
        sqlx::query_scalar!(
            r#"WITH batch AS MATERIALIZED (
                   SELECT source_id, "# + $profile_id + r#" AS profile_id FROM "# + $sources + r#"
                   WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3
               ), gone AS (
                   DELETE FROM "# + $sources + r#" WHERE tenant_id = $1 AND connection_id = $2
                      AND source_id IN (SELECT source_id FROM batch)
               ), orphans AS (
                   DELETE FROM "# + $profiles + r#" WHERE tenant_id = $1 AND id IN (
                       SELECT b.profile_id FROM batch b
                       WHERE NOT EXISTS (SELECT FROM "# + $sources + r#" s
                                         WHERE s.tenant_id = $1 AND s."# + $profile_id + r#" = b.profile_id
                                           AND (s.connection_id <> $2 OR s.source_id NOT IN (SELECT source_id FROM batch)))
                   )
               )
               SELECT count(*) AS "deleted!" FROM batch"#,
            $tx.tenant().0,
            $connection.0,
            BATCH_SIZE,
        )
        .fetch_one($tx.session())
        .await?
    };
}

impl Store<Api> {
    /// Pending purges of all tenants: the oldest 100.
    #[tracing::instrument(name = "db.pending_purges", level = "debug", skip_all)]
    pub async fn pending_purges(&self) -> Result<Vec<(TenantId, ConnectionId)>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!" FROM owed_purges(100)"#
        )
        .fetch_all(tx.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), ConnectionId(row.connection_id)))
            .collect())
    }

    /// Carries out a pending purge, in short transactions. Finished batches stay deleted if the process dies. Returns
    /// at once if another process works on the same purge.
    ///
    /// # Errors
    /// When Postgres fails. The purge stays pending.
    #[tracing::instrument(name = "db.purge", level = "debug", skip_all)]
    pub async fn purge(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        loop {
            let mut tx = self.begin(tenant).await?;
            if !tx.lock_purge(connection).await? {
                return Ok(());
            }
            // Conversations first, so that no reader sees one without its participants.
            let more = tx.delete_conversations(connection).await?
                || tx.delete_contacts(connection).await?
                || tx.delete_companies(connection).await?;
            if !more {
                tx.end_purge(connection).await?;
            }
            tx.commit().await?;
        }
    }
}

impl<R: ReadsConnections> Tx<R> {
    /// Whether objects of the connection are still to be deleted. It cannot be reconnected until then.
    pub(super) async fn is_purge_pending(
        &mut self,
        connection: ConnectionId,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT purge_requested_at IS NOT NULL AS "pending!" FROM connections WHERE tenant_id = $1 AND id = $2"#,
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or(false))
    }
}

impl Tx<Api> {
    pub(super) async fn request_purge(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE connections SET purge_requested_at = coalesce(purge_requested_at, now())
             WHERE tenant_id = $1 AND id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// False if the purge is done, or another process has locked it.
    async fn lock_purge(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let pending = sqlx::query_scalar!(
            "SELECT id FROM connections WHERE tenant_id = $1 AND id = $2 AND purge_requested_at IS NOT NULL
             FOR UPDATE SKIP LOCKED",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(pending.is_some())
    }

    async fn delete_conversations(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // Threads, parts and participants go with their conversation, by the foreign keys' cascade.
        let deleted = sqlx::query!(
            "DELETE FROM conversations WHERE tenant_id = $1 AND id IN (
                 SELECT id FROM conversations WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3
             )",
            tenant,
            connection.0,
            BATCH_SIZE,
        )
        .execute(self.session())
        .await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn delete_contacts(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let deleted = delete_batch!(
            self,
            connection,
            "contact_sources",
            "contact_id",
            "contacts"
        );
        Ok(deleted > 0)
    }

    async fn delete_companies(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let deleted = delete_batch!(
            self,
            connection,
            "company_sources",
            "company_id",
            "companies"
        );
        Ok(deleted > 0)
    }

    /// Deletes the rows of the small tables, and marks the purge as done.
    async fn end_purge(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // One statement, so that the small tables cost one round trip. The streams stay, with their fences.
        sqlx::query!(
            "WITH links AS (DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2),
                  fetches AS (DELETE FROM company_wants WHERE tenant_id = $1 AND connection_id = $2),
                  pages AS (DELETE FROM walk_pages WHERE tenant_id = $1 AND connection_id = $2),
                  absent AS (DELETE FROM absences WHERE tenant_id = $1 AND connection_id = $2),
                  audited AS (DELETE FROM audits WHERE tenant_id = $1 AND connection_id = $2),
                  reference AS (DELETE FROM reference_items WHERE tenant_id = $1 AND connection_id = $2),
                  unreadable AS (DELETE FROM quarantine WHERE tenant_id = $1 AND connection_id = $2),
                  runs AS (DELETE FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2),
                  letters AS (DELETE FROM dead_letters WHERE tenant_id = $1 AND connection_id = $2)
             UPDATE connections SET purge_requested_at = NULL WHERE tenant_id = $1 AND id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
