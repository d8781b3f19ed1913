//! Connections, as they are read.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, Tx, roles::ReadsConnections};
use crate::domain::{ConnectionId, Region, TenantId};

/// `active` syncs, `reauth_required` waits for the customer, `disconnected` has ended, and `error` cannot continue for
/// another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    Active,
    ReauthRequired,
    Disconnected,
    Error,
}

impl ConnectionState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReauthRequired => "reauth_required",
            Self::Disconnected => "disconnected",
            Self::Error => "error",
        }
    }
}

/// One connected workspace. For other sources see [`ConnectedSource`](super::ConnectedSource).
#[derive(Clone, Debug)]
pub struct Connection {
    pub tenant: TenantId,
    pub id: ConnectionId,
    pub state: ConnectionState,
    /// Rises with every reconnect and disconnect.
    pub generation: i64,
    pub region: Region,
    /// Intercom's `app.id_code`.
    pub workspace_id: String,
    pub workspace_name: String,
    /// IANA name (`app.timezone`): contact search up to 2.16 counts in this zone's days.
    pub timezone: String,
    pub api_version: String,
    pub connected_at: DateTime<Utc>,
    /// The name of the admin that has connected it. `None` where Intercom did not say it, and after a purge.
    pub connected_by: Option<String>,
    pub last_synced_at: Option<DateTime<Utc>>,
    pub error: Option<ConnectionError>,
}

/// Why a connection does not sync, as a sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    pub code: String,
    pub message: String,
    pub action: String,
}

#[derive(FromRow)]
pub(super) struct ConnectionRow {
    tenant_id: Uuid,
    id: Uuid,
    state: String,
    generation: i64,
    region: String,
    workspace_id: String,
    workspace_name: String,
    timezone: String,
    api_version: String,
    connected_at: DateTime<Utc>,
    connected_by: Option<String>,
    last_synced_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_action: Option<String>,
}

impl TryFrom<ConnectionRow> for Connection {
    type Error = StoreError;

    fn try_from(row: ConnectionRow) -> Result<Self, StoreError> {
        // A state that this build does not know was written by a newer one, so it is an error and no default.
        let inconsistent = |what: String| StoreError::Inconsistent {
            table: "connections",
            what,
        };
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            id: ConnectionId(row.id),
            state: match row.state.as_str() {
                "active" => ConnectionState::Active,
                "reauth_required" => ConnectionState::ReauthRequired,
                "disconnected" => ConnectionState::Disconnected,
                "error" => ConnectionState::Error,
                other => return Err(inconsistent(format!("state {other:?}"))),
            },
            generation: row.generation,
            region: row
                .region
                .parse()
                .map_err(|_| inconsistent(format!("region {:?}", row.region)))?,
            workspace_id: row.workspace_id,
            workspace_name: row.workspace_name,
            timezone: row.timezone,
            api_version: row.api_version,
            connected_at: row.connected_at,
            connected_by: row.connected_by,
            last_synced_at: row.last_synced_at,
            error: row
                .error_code
                .zip(row.error_message)
                .map(|(code, message)| ConnectionError {
                    code,
                    message,
                    action: row.error_action.unwrap_or_default(),
                }),
        })
    }
}

impl<R: ReadsConnections> Tx<R> {
    /// A workspace's connection of this tenant. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.connection", level = "debug", skip_all)]
    pub async fn connection(&mut self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        Ok(self.find_connections(Some(id)).await?.pop())
    }

    /// The tenant's connected workspaces, oldest first.
    #[tracing::instrument(name = "db.connections", level = "debug", skip_all)]
    pub async fn connections(&mut self) -> Result<Vec<Connection>, StoreError> {
        self.find_connections(None).await
    }

    async fn find_connections(
        &mut self,
        only: Option<ConnectionId>,
    ) -> Result<Vec<Connection>, StoreError> {
        let tenant = self.tenant().0;
        // A tenant has few connections, so the optional condition costs no index.
        sqlx::query_as!(
            ConnectionRow,
            r#"SELECT tenant_id, id, state, generation, region AS "region!", workspace_id, workspace_name AS "workspace_name!",
                      timezone AS "timezone!", api_version AS "api_version!", connected_at, connected_by, error_code, error_message, error_action,
                      (SELECT max(last_ok_at) FROM streams s WHERE s.tenant_id = $1 AND s.connection_id = c.id) AS last_synced_at
               FROM connections c WHERE tenant_id = $1 AND source = 'intercom' AND ($2::uuid IS NULL OR id = $2)
               ORDER BY connected_at, id"#,
            tenant,
            only.map(|id| id.0),
        )
        .fetch_all(self.session())
        .await?
        .into_iter()
        .map(Connection::try_from)
        .collect()
    }
}

impl<R: ReadsConnections> Store<R> {
    /// [`Tx::connection`] in a transaction of its own.
    #[tracing::instrument(name = "db.connection", level = "debug", skip_all)]
    pub async fn connection(
        &self,
        tenant: TenantId,
        id: ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        let mut tx = self.begin(tenant).await?;
        tx.connection(id).await
    }
}
