//! Connections and their sealed tokens.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    roles::{ReadsConnections, Worker},
};
use crate::domain::{ConnectionId, Region, TenantId};

/// A connection's life: `active` syncs, `reauth_required` waits for the customer, `disconnected`
/// ended, `error` cannot go on for another reason.
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

/// One connected workspace.
#[derive(Clone, Debug)]
pub struct Connection {
    pub tenant: TenantId,
    pub id: ConnectionId,
    pub state: ConnectionState,
    /// Raised by every reconnect and disconnect: the fence of everything that writes for it.
    pub generation: i64,
    pub region: Region,
    /// Intercom's `app.id_code`.
    pub workspace_id: String,
    pub workspace_name: String,
    /// IANA name (`app.timezone`): contact search up to 2.16 counts in this zone's days.
    pub timezone: String,
    pub api_version: String,
    pub connected_at: DateTime<Utc>,
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
    last_synced_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_action: Option<String>,
}

impl TryFrom<ConnectionRow> for Connection {
    type Error = StoreError;

    fn try_from(row: ConnectionRow) -> Result<Self, StoreError> {
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
    /// A connection of this tenant; `None` for an unknown or foreign id.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn connection(&mut self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query_as!(
            ConnectionRow,
            "SELECT tenant_id, id, state, generation, region, workspace_id, workspace_name, timezone, api_version,
                    connected_at, error_code, error_message, error_action,
                    (SELECT max(last_ok_at) FROM streams s WHERE s.tenant_id = $1 AND s.connection_id = c.id) AS last_synced_at
             FROM connections c WHERE tenant_id = $1 AND id = $2",
            tenant,
            id.0,
        )
        .fetch_optional(self.session())
        .await?
        .map(Connection::try_from)
        .transpose()
    }

    /// The tenant's connections, oldest first.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn connections(&mut self) -> Result<Vec<Connection>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query_as!(
            ConnectionRow,
            "SELECT tenant_id, id, state, generation, region, workspace_id, workspace_name, timezone, api_version,
                    connected_at, error_code, error_message, error_action,
                    (SELECT max(last_ok_at) FROM streams s WHERE s.tenant_id = $1 AND s.connection_id = c.id) AS last_synced_at
             FROM connections c WHERE tenant_id = $1 ORDER BY connected_at, id",
            tenant,
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
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn connection(
        &self,
        tenant: TenantId,
        id: ConnectionId,
    ) -> Result<Option<Connection>, StoreError> {
        let mut tx = self.begin(tenant).await?;
        tx.connection(id).await
    }
}

impl Store<Worker> {
    /// Where a connection's token is good, and the sealed token itself.
    ///
    /// # Errors
    /// When Postgres fails, or this store's role may not read tokens.
    pub async fn sealed_token(
        &self,
        tenant: TenantId,
        id: ConnectionId,
    ) -> Result<Option<(Region, Vec<u8>)>, StoreError> {
        let mut tx = self.begin(tenant).await?;
        let row = sqlx::query!(
            "SELECT c.region, k.sealed FROM connections c
             JOIN connection_secrets k ON k.tenant_id = c.tenant_id AND k.connection_id = c.id
             WHERE c.tenant_id = $1 AND c.id = $2 AND k.purpose = 'access_token'",
            tenant.0,
            id.0,
        )
        .fetch_optional(tx.session())
        .await?;
        row.map(|row| {
            let region = row.region.parse().map_err(|_| StoreError::Inconsistent {
                table: "connections",
                what: row.region.clone(),
            })?;
            Ok((region, row.sealed))
        })
        .transpose()
    }
}
