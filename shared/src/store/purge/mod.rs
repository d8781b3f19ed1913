//! Purges: the deletion of everything that an ended connection brought.
//!
//! A large workspace takes minutes, so a disconnect only requests its purge. The objects are deleted afterwards in
//! short transactions, and another process continues a purge whose process has died.

mod conversations;

use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    identities::{Linked, RemovedRecord},
    roles::{Api, ReadsConnections},
};
use crate::domain::{ConnectionId, TenantId};

/// Objects that one transaction of a purge deletes.
const OBJECTS: i64 = 500;
/// Parts or events that one transaction deletes, unless one conversation alone has more.
const PARTS: i64 = 10_000;

/// How far a purge has come. What is behind is deleted, so that no batch reads over it again.
#[derive(Debug, Default)]
struct Progress {
    conversation: Uuid,
    contact: String,
    company: String,
    event: String,
}

impl Store<Api> {
    /// Pending purges of all tenants: the oldest 100.
    #[tracing::instrument(name = "db.pending_purges", level = "debug", skip_all)]
    pub async fn pending_purges(&self) -> Result<Vec<(TenantId, ConnectionId)>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!" FROM pending_purges(100)"#
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
        let mut progress = Progress::default();
        loop {
            let mut tx = self.begin(tenant).await?;
            let Some(is_workspace) = tx.lock_purge(connection).await? else {
                return Ok(());
            };
            tx.plan_by_sizes().await?;
            // Conversations first, so that no reader sees one without its participants.
            // Only a workspace has any, and to look for those of another source would read all of the tenant's.
            let more = is_workspace && tx.delete_conversations(connection, &mut progress).await?
                || tx.delete_contacts(connection, &mut progress).await?
                || tx.delete_companies(connection, &mut progress).await?
                || tx.delete_events(connection, &mut progress).await?;
            if !more {
                tx.end_purge(connection).await?;
            }
            tx.commit().await?;
        }
    }
}

impl<R: ReadsConnections> Tx<R> {
    /// Whether objects of the connection are still to be deleted. It cannot be reconnected until then.
    #[tracing::instrument(name = "db.is_purge_pending", level = "debug", skip_all)]
    pub async fn is_purge_pending(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
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

    /// Whether the connection is one of a workspace. `None` if the purge is done, or another process has locked it.
    async fn lock_purge(&mut self, connection: ConnectionId) -> Result<Option<bool>, StoreError> {
        let tenant = self.tenant().0;
        let is_workspace = sqlx::query_scalar!(
            r#"SELECT source = 'intercom' AS "is_workspace!" FROM connections
               WHERE tenant_id = $1 AND id = $2 AND purge_requested_at IS NOT NULL FOR UPDATE SKIP LOCKED"#,
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(is_workspace)
    }

    /// Plans the statements of a purge by the tables' sizes, because a batch is large enough to pay for it.
    async fn plan_by_sizes(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
            .fetch_one(self.session())
            .await?;
        Ok(())
    }

    async fn delete_contacts(
        &mut self,
        connection: ConnectionId,
        progress: &mut Progress,
    ) -> Result<bool, StoreError> {
        let after = progress.contact.clone();
        self.lock_links(Linked::Contacts).await?;
        let tenant = self.tenant().0;
        // Every part of the statement sees the rows as they were before it.
        let batch = sqlx::query!(
            "WITH batch AS MATERIALIZED (
                SELECT source_id, record_id, contact_id, identity_values FROM contact_sources
                WHERE tenant_id = $1 AND connection_id = $2 AND source_id > $4 ORDER BY source_id LIMIT $3
             ), gone AS (
                DELETE FROM contact_sources WHERE tenant_id = $1 AND connection_id = $2
                   AND source_id > $4 AND source_id <= (SELECT max(source_id) FROM batch)
             )
             SELECT source_id, record_id, contact_id, identity_values FROM batch ORDER BY source_id",
            tenant,
            connection.0,
            OBJECTS,
            after,
        )
        .fetch_all(self.session())
        .await?;
        let Some(last) = batch.last().map(|row| row.source_id.clone()) else {
            return Ok(false);
        };
        sqlx::query!(
            "DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2
                AND contact_source_id > $3 AND contact_source_id <= $4",
            tenant,
            connection.0,
            after,
            last,
        )
        .execute(self.session())
        .await?;
        let removed = batch
            .into_iter()
            .map(|row| RemovedRecord {
                source_id: row.source_id,
                record_id: row.record_id,
                profile_id: row.contact_id,
                identity_values: row.identity_values,
            })
            .collect();
        self.unify_without(Linked::Contacts, connection, removed)
            .await?;
        progress.contact = last;
        Ok(true)
    }

    async fn delete_companies(
        &mut self,
        connection: ConnectionId,
        progress: &mut Progress,
    ) -> Result<bool, StoreError> {
        self.lock_links(Linked::Companies).await?;
        let tenant = self.tenant().0;
        let batch = sqlx::query!(
            "WITH batch AS MATERIALIZED (
                SELECT source_id, record_id, company_id, identity_values FROM company_sources
                WHERE tenant_id = $1 AND connection_id = $2 AND source_id > $4 ORDER BY source_id LIMIT $3
             ), gone AS (
                DELETE FROM company_sources WHERE tenant_id = $1 AND connection_id = $2
                   AND source_id > $4 AND source_id <= (SELECT max(source_id) FROM batch)
             )
             SELECT source_id, record_id, company_id, identity_values FROM batch ORDER BY source_id",
            tenant,
            connection.0,
            OBJECTS,
            progress.company,
        )
        .fetch_all(self.session())
        .await?;
        let Some(last) = batch.last().map(|row| row.source_id.clone()) else {
            return Ok(false);
        };
        let removed = batch
            .into_iter()
            .map(|row| RemovedRecord {
                source_id: row.source_id,
                record_id: row.record_id,
                profile_id: row.company_id,
                identity_values: row.identity_values,
            })
            .collect();
        self.unify_without(Linked::Companies, connection, removed)
            .await?;
        progress.company = last;
        Ok(true)
    }

    async fn delete_events(
        &mut self,
        connection: ConnectionId,
        progress: &mut Progress,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let last = sqlx::query_scalar!(
            r#"WITH batch AS MATERIALIZED (
                SELECT source_id FROM events
                WHERE tenant_id = $1 AND connection_id = $2 AND source_id > $4 ORDER BY source_id LIMIT $3
             ), gone AS (
                DELETE FROM events WHERE tenant_id = $1 AND connection_id = $2
                   AND source_id > $4 AND source_id <= (SELECT max(source_id) FROM batch)
             )
             SELECT max(source_id) FROM batch"#,
            tenant,
            connection.0,
            PARTS,
            progress.event,
        )
        .fetch_one(self.session())
        .await?;
        let Some(last) = last else {
            return Ok(false);
        };
        progress.event = last;
        Ok(true)
    }

    /// Deletes the rows of the small tables, and marks the purge as done.
    async fn end_purge(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // One statement, so that the small tables cost one round trip. The streams stay, with their fences.
        sqlx::query!(
            "WITH links AS (DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2),
                  fetches AS (DELETE FROM company_fetches WHERE tenant_id = $1 AND connection_id = $2),
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
