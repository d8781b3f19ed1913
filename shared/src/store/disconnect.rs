//! The end of a connection, in one transaction: after its commit nothing is written for it.

use super::{StoreError, TenantTx};
use crate::domain::ConnectionId;

/// What happens to the data that a connection brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDisconnect {
    /// It stays and keeps answering.
    #[default]
    Retain,
    /// It is deleted, with the profiles that no other source knows.
    Purge,
}

impl TenantTx {
    /// Disconnects: raises generation and fences, deletes the token, owes nothing, cancels open runs.
    /// `false` for an unknown or foreign id; doing it twice changes nothing more.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn disconnect(&mut self, connection: ConnectionId, data: AfterDisconnect) -> Result<bool, StoreError> {
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
            self.purge(connection).await?;
        }
        Ok(true)
    }

    /// Deletes every row that the connection brought. The connection and its streams stay as they were
    /// on the first day, so that the id keeps answering and the fences keep fencing.
    async fn purge(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // Profiles that another source knows too are kept; both checks look at the rows as they were
        // before this statement, hence the `<>`.
        sqlx::query!(
            "WITH gone AS (
                 DELETE FROM contact_sources WHERE tenant_id = $1 AND connection_id = $2 RETURNING contact_id
             )
             DELETE FROM contacts c USING (SELECT DISTINCT contact_id FROM gone) g
             WHERE c.tenant_id = $1 AND c.id = g.contact_id
               AND NOT EXISTS (SELECT FROM contact_sources s
                               WHERE s.tenant_id = $1 AND s.contact_id = c.id AND s.connection_id <> $2)",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "WITH gone AS (
                 DELETE FROM company_sources WHERE tenant_id = $1 AND connection_id = $2 RETURNING company_id
             )
             DELETE FROM companies c USING (SELECT DISTINCT company_id FROM gone) g
             WHERE c.tenant_id = $1 AND c.id = g.company_id
               AND NOT EXISTS (SELECT FROM company_sources s
                               WHERE s.tenant_id = $1 AND s.company_id = c.id AND s.connection_id <> $2)",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        // Threads, parts and participants go with their conversation.
        sqlx::query!("DELETE FROM conversations WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM contact_companies WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM company_wants WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM reference_items WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM quarantine WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!("DELETE FROM dead_letters WHERE tenant_id = $1 AND connection_id = $2", tenant, connection.0)
            .execute(self.session())
            .await?;
        sqlx::query!(
            "UPDATE streams SET mode = 'full', cursor = NULL, watermark = NULL, walked_at = NULL, attempts = 0,
                    last_error = NULL, last_ok_at = NULL, held = 0, expected = NULL, blocked_code = NULL,
                    blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE connections SET last_synced_at = NULL WHERE tenant_id = $1 AND id = $2",
            tenant,
            connection.0
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
