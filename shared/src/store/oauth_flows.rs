//! OAuth flows, and what a finished one leaves behind: the connection, its sealed token, its streams
//! and its first run. Everything here needs the `pathbound_oauth` role.
//!
//! A browser brings a start token or a state and never a tenant, so both are resolved by reviewed
//! functions of the schema. Only digests are kept: a copy of the table starts or ends no flow.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Store, StoreError, Tx, roles::Oauth};
use crate::domain::{ConnectionId, Mode, Region, RunId, Stream, TenantId};

/// A flow whose state has just been burnt: it can be finished by this caller and no other.
#[derive(Clone, Debug)]
pub struct BurntFlow {
    pub tenant: TenantId,
    pub region: Region,
    pub session_sha256: Vec<u8>,
}

/// Why a state could not be burnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFate {
    Unknown,
    Used,
    Expired,
}

/// The workspace that a token turned out to belong to.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    pub region: Region,
    pub id: String,
    pub name: String,
    /// IANA name.
    pub timezone: String,
    /// Pinned for a new connection; one that exists keeps its own.
    pub api_version: String,
}

impl Store<Oauth> {
    /// Opens a flow by its start token's digest and ties it to a browser. Opening it again (a reload)
    /// replaces state and session. `None` when the token is unknown, used or expired.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn open_oauth_flow(
        &self,
        start_sha256: &[u8; 32],
        state_sha256: &[u8; 32],
        session_sha256: &[u8; 32],
    ) -> Result<Option<Region>, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT region AS "region!" FROM open_oauth_flow($1, $2, $3)"#,
            start_sha256,
            state_sha256,
            session_sha256,
        )
        .fetch_optional(&self.pool)
        .await?
        .map(|region| parse_region(&region))
        .transpose()
    }

    /// Burns a state. Of many equal calls exactly one gets the flow.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn burn_oauth_flow(
        &self,
        state_sha256: &[u8; 32],
    ) -> Result<Option<BurntFlow>, StoreError> {
        let burnt = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", region AS "region!", session_sha256 AS "session_sha256!"
               FROM burn_oauth_flow($1)"#,
            state_sha256,
        )
        .fetch_optional(&self.pool)
        .await?;
        burnt
            .map(|row| {
                Ok(BurntFlow {
                    tenant: TenantId(row.tenant_id),
                    region: parse_region(&row.region)?,
                    session_sha256: row.session_sha256,
                })
            })
            .transpose()
    }

    /// Why a state could not be burnt, for the error page.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn oauth_flow_fate(&self, state_sha256: &[u8; 32]) -> Result<FlowFate, StoreError> {
        let fate = sqlx::query_scalar!("SELECT oauth_flow_fate($1)", state_sha256)
            .fetch_one(&self.pool)
            .await?;
        Ok(match fate.as_deref() {
            None => FlowFate::Unknown,
            Some("expired") => FlowFate::Expired,
            Some(_) => FlowFate::Used,
        })
    }
}

impl Tx<Oauth> {
    /// Begins a flow that lives for `life`; returns when it ends. The tenant's old flows are removed.
    ///
    /// # Errors
    /// When Postgres fails or the tenant does not exist.
    pub async fn start_oauth_flow(
        &mut self,
        region: Region,
        start_sha256: &[u8; 32],
        life: std::time::Duration,
    ) -> Result<DateTime<Utc>, StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!("DELETE FROM oauth_flows WHERE tenant_id = $1 AND expires_at < now() - interval '1 day'", tenant,)
            .execute(self.session())
            .await?;
        Ok(sqlx::query_scalar!(
            "INSERT INTO oauth_flows (tenant_id, id, region, start_sha256, expires_at)
             VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) RETURNING expires_at",
            tenant,
            Uuid::now_v7(),
            region.as_str(),
            start_sha256,
            life.as_secs_f64(),
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Makes the workspace's connection, or takes up the one that exists: same id, next generation,
    /// active, no error. `None` while rows of its former life are still being deleted.
    ///
    /// # Errors
    /// When Postgres fails.
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
            if self.owes_purge(known).await? {
                return Ok(None);
            }
        }
        let id = sqlx::query_scalar!(
            "INSERT INTO connections AS c (tenant_id, id, source, state, region, workspace_id, workspace_name,
                                           timezone, api_version, connected_at)
             VALUES ($1, $2, 'intercom', 'active', $3, $4, $5, $6, $7, now())
             ON CONFLICT (tenant_id, source, workspace_id) DO UPDATE
             SET state = 'active', generation = c.generation + 1, region = EXCLUDED.region,
                 workspace_name = EXCLUDED.workspace_name, timezone = EXCLUDED.timezone,
                 connected_at = now(), disconnected_at = NULL,
                 error_code = NULL, error_message = NULL, error_action = NULL
             RETURNING c.id",
            tenant,
            ConnectionId::new().0,
            workspace.region.as_str(),
            workspace.id,
            workspace.name,
            workspace.timezone,
            workspace.api_version,
        )
        .fetch_one(self.session())
        .await?;
        Ok(Some(ConnectionId(id)))
    }

    /// Keeps a connection's sealed token in place of any older one.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn put_access_token(
        &mut self,
        connection: ConnectionId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO connection_secrets (tenant_id, connection_id, purpose, sealed)
             VALUES ($1, $2, 'access_token', $3)
             ON CONFLICT (tenant_id, connection_id, purpose) DO UPDATE SET sealed = EXCLUDED.sealed, sealed_at = now()",
            tenant,
            connection.0,
            sealed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes every stream due now and asks for a run over all of them: everything where nothing was
    /// walked yet, what changed where it was. Whatever began under the old token writes no more.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn owe_every_stream(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let streams: Vec<String> = Stream::ALL.iter().map(ToString::to_string).collect();
        let modes = sqlx::query_scalar!(
            "INSERT INTO streams AS s (tenant_id, connection_id, stream, due_at, mode)
             SELECT $1, $2, name, now(), 'full' FROM unnest($3::text[]) AS name
             ON CONFLICT (tenant_id, connection_id, stream) DO UPDATE
             SET fence = s.fence + 1, due_at = now(), ticketed_at = NULL, attempts = 0, last_error = NULL,
                 mode = CASE WHEN s.last_ok_at IS NULL AND s.mode = 'incremental' THEN 'full' ELSE s.mode END,
                 blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             RETURNING s.mode",
            tenant,
            connection.0,
            &streams,
        )
        .fetch_all(self.session())
        .await?;
        // No more than what every stream owes: a run that asks a stream for more than it will do never ends.
        let is_incremental = modes.iter().any(|mode| mode == Mode::Incremental.as_str());
        let mode = if is_incremental {
            Mode::Incremental
        } else {
            Mode::Full
        };

        // A run of the same kind that is still open covers this one.
        sqlx::query!(
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status)
             SELECT $1, $2, $3, $4, $5, $5, 'queued'
             WHERE NOT EXISTS (SELECT FROM sync_runs
                               WHERE tenant_id = $1 AND connection_id = $3 AND finished_at IS NULL
                                 AND mode = $4 AND streams @> $5 AND streams <@ $5)",
            tenant,
            RunId::new().0,
            connection.0,
            mode.as_str(),
            &streams,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

fn parse_region(region: &str) -> Result<Region, StoreError> {
    region.parse().map_err(|_| StoreError::Inconsistent {
        table: "oauth_flows",
        what: format!("region {region:?}"),
    })
}
