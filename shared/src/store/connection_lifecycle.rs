//! A connection's life: connected, waiting for the customer, working again, disconnected.
//!
//! Each step changes the connection, its streams and its runs in one transaction. Streams are locked before the
//! connection, because a slice does so too.

use super::{
    ConnectionError, NewWorkspace, SliceKey, StoreError, Tx,
    roles::{Api, Oauth, Worker},
};
use crate::domain::{ConnectionId, audit_event::Effect};

/// What happens to the data that a connection brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDisconnect {
    /// It stays and keeps answering.
    #[default]
    Retain,
    /// It is deleted, with the profiles that no other source knows. See [`Store::purge`](super::Store::purge).
    Purge,
}

impl AfterDisconnect {
    /// The name in our API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Purge => "purge",
        }
    }
}

impl Tx<Oauth> {
    /// Makes the workspace's connection, or reopens the one that exists: same id, next generation, active, no error.
    /// `None` while objects of its earlier life are still being deleted.
    #[tracing::instrument(name = "db.connect_workspace", level = "debug", skip_all)]
    pub async fn connect_workspace(
        &mut self,
        workspace: &NewWorkspace,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let tenant = self.tenant().0;
        let known = sqlx::query_scalar!(
            "SELECT id FROM connections WHERE tenant_id = $1 AND source = 'intercom' AND workspace_id = $2",
            tenant,
            workspace.id,
        )
        .fetch_optional(self.session())
        .await?;
        if let Some(known) = known.map(ConnectionId) {
            self.lock_streams(known).await?;
            // A purge under way would delete what the new life brings.
            if self.is_purge_pending(known).await? {
                return Ok(None);
            }
        }
        let id = sqlx::query_scalar!(
            "INSERT INTO connections AS c (tenant_id, id, source, state, region, workspace_id, workspace_name,
                                           timezone, api_version, connected_by, connected_at)
             VALUES ($1, $2, 'intercom', 'active', $3, $4, $5, $6, $7, $8, now())
             ON CONFLICT (tenant_id, source, workspace_id) DO UPDATE
             SET state = 'active', generation = c.generation + 1, region = EXCLUDED.region,
                 workspace_name = EXCLUDED.workspace_name, timezone = EXCLUDED.timezone,
                 connected_by = EXCLUDED.connected_by, connected_at = now(), disconnected_at = NULL,
                 error_code = NULL, error_message = NULL, error_action = NULL
             RETURNING c.id",
            tenant,
            ConnectionId::new().0,
            workspace.region.as_str(),
            workspace.id,
            workspace.name,
            workspace.timezone,
            workspace.api_version,
            workspace.connected_by,
        )
        .fetch_one(self.session())
        .await?;
        Ok(Some(ConnectionId(id)))
    }
}

impl Tx<Worker> {
    /// Stops a connection with a dead token until the customer reconnects. Its open runs fail, and only one stream
    /// still asks now and then whether the token works again.
    #[tracing::instrument(name = "db.require_reauth", level = "debug", skip_all)]
    pub async fn require_reauth(
        &mut self,
        key: SliceKey,
        state: &str,
        why: &ConnectionError,
        probe_in_seconds: f64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE connections SET state = $3, error_code = $4, error_message = $5, error_action = $6
             WHERE tenant_id = $1 AND id = $2",
            tenant,
            key.connection.0,
            state,
            why.code,
            why.message,
            why.action,
        )
        .execute(self.session())
        .await?;
        self.suspend_streams(key, probe_in_seconds).await?;
        self.fail_runs(key.connection, &why.code, &why.message)
            .await
    }

    /// Makes a connection active again, because its token works again. Every stream is due.
    #[tracing::instrument(name = "db.revive_connection", level = "debug", skip_all)]
    pub async fn revive_connection(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE connections SET state = 'active', error_code = NULL, error_message = NULL, error_action = NULL
             WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'",
            tenant,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        self.resume_streams(key.connection).await
    }
}

impl Tx<Api> {
    /// Disconnects: raises generation and fences, deletes the token, stops the streams, closes their dead letters,
    /// cancels open runs. After the commit nothing is written for the connection. `None` for an unknown or foreign
    /// id. A second call changes nothing more, unless it is the first that asks for a purge.
    #[tracing::instrument(name = "db.disconnect", level = "debug", skip_all)]
    pub async fn disconnect(
        &mut self,
        connection: ConnectionId,
        data: AfterDisconnect,
    ) -> Result<Option<Effect>, StoreError> {
        let tenant = self.tenant().0;
        // The lock waits for a slice's transaction under way. A later one finds another fence and writes nothing.
        self.lock_streams(connection).await?;
        let before = sqlx::query!(
            r#"SELECT state = 'disconnected' AS "has_ended!", purge_requested_at IS NOT NULL AS "is_being_purged!"
               FROM connections WHERE tenant_id = $1 AND id = $2 AND source = 'intercom' FOR UPDATE"#,
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        let Some(before) = before else {
            return Ok(None);
        };
        sqlx::query!(
            "UPDATE connections
             SET generation = generation + (state <> 'disconnected')::int, state = 'disconnected',
                 disconnected_at = coalesce(disconnected_at, now()),
                 error_code = NULL, error_message = NULL, error_action = NULL,
                 connected_by = CASE WHEN $3 THEN NULL ELSE connected_by END
             WHERE tenant_id = $1 AND id = $2 AND source = 'intercom'",
            tenant,
            connection.0,
            // A name is personal data, so it goes with what it has brought.
            data == AfterDisconnect::Purge,
        )
        .execute(self.session())
        .await?;
        self.delete_tokens(connection).await?;
        self.stop_streams(connection).await?;
        self.close_dead_letters(connection).await?;
        self.cancel_runs(connection).await?;
        if data == AfterDisconnect::Purge {
            // The streams look new at once, although the objects go later, in short transactions.
            self.reset_streams(connection).await?;
            self.request_purge(connection).await?;
        }
        let asks_for_purge = data == AfterDisconnect::Purge && !before.is_being_purged;
        Ok(Some(if !before.has_ended || asks_for_purge {
            Effect::Changed
        } else {
            Effect::Unchanged
        }))
    }
}
