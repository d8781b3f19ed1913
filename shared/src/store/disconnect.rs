//! The end of a connection, in one transaction: after its commit nothing is written for it.
//!
//! A purge of a large workspace takes minutes, so that transaction only notes that it is owed; the rows
//! go afterwards in short transactions, and whoever is interrupted leaves the rest to the next.

use super::{
    Store, StoreError, Tx,
    roles::{Api, ReadsConnections},
};
use crate::domain::{ConnectionId, TenantId};

/// Rows deleted by one transaction of a purge; a conversation brings its thread along.
const BATCH: i64 = 2_000;

/// What happens to the data that a connection brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDisconnect {
    /// It stays and keeps answering.
    #[default]
    Retain,
    /// It is deleted, with the profiles that no other source knows; see [`Store::purge`].
    Purge,
}

impl Tx<Api> {
    /// Disconnects: raises generation and fences, deletes the token, owes nothing, cancels open runs.
    /// `false` for an unknown or foreign id; doing it twice changes nothing more.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn disconnect(
        &mut self,
        connection: ConnectionId,
        data: AfterDisconnect,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // A slice's transaction under way ends before this one goes on, and a later one finds another
        // fence and writes nothing.
        self.lock_streams(connection).await?;
        let found = sqlx::query!(
            "UPDATE connections
             SET generation = generation + (state <> 'disconnected')::int, state = 'disconnected',
                 disconnected_at = coalesce(disconnected_at, now()),
                 error_code = NULL, error_message = NULL, error_action = NULL
             WHERE tenant_id = $1 AND id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "DELETE FROM connection_secrets WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE streams SET fence = fence + 1, due_at = NULL, ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE sync_runs SET status = 'cancelled', pending = '{}', finished_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        if data == AfterDisconnect::Purge {
            self.owe_purge(connection).await?;
        }
        Ok(true)
    }

    /// Notes that everything the connection brought has to go. Its streams are as on the first day at
    /// once; they keep their fences, which shut out whoever still works under an older one.
    async fn owe_purge(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET mode = 'full', cursor = NULL, watermark = NULL, witness = NULL, walked_at = NULL, attempts = 0,
                    last_error = NULL, last_ok_at = NULL, held = 0, expected = NULL, blocked_code = NULL,
                    blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
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
}

impl<R: ReadsConnections> Tx<R> {
    /// Whether rows of the connection are still to be deleted: it cannot be taken up again until then.
    pub(super) async fn owes_purge(
        &mut self,
        connection: ConnectionId,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT purge_requested_at IS NOT NULL AS "owed!" FROM connections WHERE tenant_id = $1 AND id = $2"#,
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or(false))
    }
}

impl Tx<Api> {
    async fn delete_conversations(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // Threads, parts and participants go with their conversation.
        let deleted = sqlx::query!(
            "DELETE FROM conversations WHERE tenant_id = $1 AND id IN (
                 SELECT id FROM conversations WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3
             )",
            tenant,
            connection.0,
            BATCH,
        )
        .execute(self.session())
        .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Profiles that another source knows too are kept. Both statements see the rows as they were
    /// before, hence the exception for the batch itself.
    async fn delete_contacts(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let deleted = sqlx::query_scalar!(
            r#"WITH batch AS MATERIALIZED (
                   SELECT source_id, contact_id FROM contact_sources
                   WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3
               ), gone AS (
                   DELETE FROM contact_sources WHERE tenant_id = $1 AND connection_id = $2
                      AND source_id IN (SELECT source_id FROM batch)
               ), orphans AS (
                   DELETE FROM contacts WHERE tenant_id = $1 AND id IN (
                       SELECT b.contact_id FROM batch b
                       WHERE NOT EXISTS (SELECT FROM contact_sources s
                                         WHERE s.tenant_id = $1 AND s.contact_id = b.contact_id
                                           AND (s.connection_id <> $2 OR s.source_id NOT IN (SELECT source_id FROM batch)))
                   )
               )
               SELECT count(*) AS "deleted!" FROM batch"#,
            tenant,
            connection.0,
            BATCH,
        )
        .fetch_one(self.session())
        .await?;
        Ok(deleted > 0)
    }

    async fn delete_companies(&mut self, connection: ConnectionId) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let deleted = sqlx::query_scalar!(
            r#"WITH batch AS MATERIALIZED (
                   SELECT source_id, company_id FROM company_sources
                   WHERE tenant_id = $1 AND connection_id = $2 LIMIT $3
               ), gone AS (
                   DELETE FROM company_sources WHERE tenant_id = $1 AND connection_id = $2
                      AND source_id IN (SELECT source_id FROM batch)
               ), orphans AS (
                   DELETE FROM companies WHERE tenant_id = $1 AND id IN (
                       SELECT b.company_id FROM batch b
                       WHERE NOT EXISTS (SELECT FROM company_sources s
                                         WHERE s.tenant_id = $1 AND s.company_id = b.company_id
                                           AND (s.connection_id <> $2 OR s.source_id NOT IN (SELECT source_id FROM batch)))
                   )
               )
               SELECT count(*) AS "deleted!" FROM batch"#,
            tenant,
            connection.0,
            BATCH,
        )
        .fetch_one(self.session())
        .await?;
        Ok(deleted > 0)
    }

    /// The small tables, and the note that nothing is owed any more.
    async fn end_purge(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM company_wants WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM walk_pages WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM absences WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM audits WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM reference_items WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM quarantine WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM dead_letters WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE connections SET purge_requested_at = NULL WHERE tenant_id = $1 AND id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Store<Api> {
    /// Purges that are owed, whoever's they are: oldest first, a bounded number.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn owed_purges(&self) -> Result<Vec<(TenantId, ConnectionId)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!" FROM owed_purges(100)"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId(row.tenant_id), ConnectionId(row.connection_id)))
            .collect())
    }

    /// Deletes what an ended connection brought, in short transactions, until nothing is owed. What is
    /// done stays done if the process dies. Returns at once if somebody else is at it.
    ///
    /// # Errors
    /// When Postgres fails; the rest stays owed.
    pub async fn purge(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        loop {
            let mut tx = self.begin(tenant).await?;
            let owed = sqlx::query_scalar!(
                "SELECT id FROM connections WHERE tenant_id = $1 AND id = $2 AND purge_requested_at IS NOT NULL
                 FOR UPDATE SKIP LOCKED",
                tenant.0,
                connection.0,
            )
            .fetch_optional(tx.session())
            .await?;
            if owed.is_none() {
                return Ok(());
            }
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
