//! OAuth flows: start link, opened in a browser, consumed once.
//!
//! A browser brings a start token or a state and never a tenant, so reviewed functions of the schema resolve both.
//! Only digests are stored, so a copy of the table cannot start or end a flow.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Store, StoreError, Tx, roles::Oauth};
use crate::domain::{ConnectionId, Region, TenantId};

/// A flow to be.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow {
    pub region: Region,
    pub origin: FlowOrigin,
}

/// Where a flow has begun, and for what.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowOrigin {
    /// The session of the browser that began it on our page. `None` if it began with a start link.
    pub browser_session: Option<Uuid>,
    /// The connection that it renews. `None` if any workspace will do.
    pub renews: Option<ConnectionId>,
}

/// A flow whose state has just been consumed. Only this caller can finish it.
#[derive(Clone, Debug)]
pub struct BurntFlow {
    pub tenant: TenantId,
    pub id: Uuid,
    pub region: Region,
    pub session_sha256: Vec<u8>,
}

/// A flow as its start page shows it.
#[derive(Clone, Debug)]
pub struct StartPage {
    /// The tenant that will receive the workspace's data.
    pub tenant_name: String,
    pub region: Region,
}

/// What is known of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFate {
    Unknown,
    /// Neither used nor expired.
    Open,
    Used,
    Expired,
}

/// The workspace that a token belongs to.
#[derive(Clone, Debug)]
pub struct NewWorkspace {
    pub region: Region,
    pub id: String,
    pub name: String,
    /// The admin that has connected it.
    pub connected_by: Option<String>,
    /// IANA name.
    pub timezone: String,
    /// Pinned for a new connection. An existing one keeps its own.
    pub api_version: String,
}

impl Store<Oauth> {
    /// Reads what the start page shows, and changes nothing. `None` if the token is unknown, used or expired.
    #[tracing::instrument(name = "db.oauth_start_page", level = "debug", skip_all)]
    pub async fn oauth_start_page(
        &self,
        start_sha256: &[u8; 32],
    ) -> Result<Option<StartPage>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let page = sqlx::query!(
            r#"SELECT tenant_name AS "tenant_name!", region AS "region!" FROM oauth_start_page($1)"#,
            start_sha256,
        )
        .fetch_optional(tx.session())
        .await?;
        page.map(|row| {
            Ok(StartPage {
                tenant_name: row.tenant_name,
                region: parse_region(&row.region)?,
            })
        })
        .transpose()
    }

    /// Opens a flow by its start token's digest and ties it to a browser. Opening it again (a reload) replaces state and
    /// session. `None` if the token is unknown, used or expired.
    #[tracing::instrument(name = "db.open_oauth_flow", level = "debug", skip_all)]
    pub async fn open_oauth_flow(
        &self,
        start_sha256: &[u8; 32],
        state_sha256: &[u8; 32],
        session_sha256: &[u8; 32],
    ) -> Result<Option<Region>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let region = sqlx::query_scalar!(
            r#"SELECT region AS "region!" FROM open_oauth_flow($1, $2, $3)"#,
            start_sha256,
            state_sha256,
            session_sha256,
        )
        .fetch_optional(tx.session())
        .await?;
        tx.commit().await?;
        region.map(|region| parse_region(&region)).transpose()
    }

    /// Consumes a state. Of many equal calls exactly one gets the flow.
    #[tracing::instrument(name = "db.burn_oauth_flow", level = "debug", skip_all)]
    pub async fn burn_oauth_flow(
        &self,
        state_sha256: &[u8; 32],
    ) -> Result<Option<BurntFlow>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        // One UPDATE, which consumes the state even if the session will not match: there is no second try.
        let burnt = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", region AS "region!", session_sha256 AS "session_sha256!"
               FROM burn_oauth_flow($1)"#,
            state_sha256,
        )
        .fetch_optional(tx.session())
        .await?;
        tx.commit().await?;
        burnt
            .map(|row| {
                Ok(BurntFlow {
                    tenant: TenantId(row.tenant_id),
                    id: row.id,
                    region: parse_region(&row.region)?,
                    session_sha256: row.session_sha256,
                })
            })
            .transpose()
    }

    /// Why a state could not be consumed, for the error page.
    #[tracing::instrument(name = "db.oauth_flow_fate", level = "debug", skip_all)]
    pub async fn oauth_flow_fate(&self, state_sha256: &[u8; 32]) -> Result<FlowFate, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let fate = sqlx::query_scalar!("SELECT oauth_flow_fate($1)", state_sha256)
            .fetch_one(tx.session())
            .await?;
        Ok(match fate.as_deref() {
            None => FlowFate::Unknown,
            Some("open") => FlowFate::Open,
            Some("expired") => FlowFate::Expired,
            Some(_) => FlowFate::Used,
        })
    }
}

impl Tx<Oauth> {
    /// Begins a flow that lives for `life`. Returns when the flow expires.
    ///
    /// # Errors
    /// When the tenant does not exist.
    #[tracing::instrument(name = "db.start_oauth_flow", level = "debug", skip_all)]
    pub async fn start_oauth_flow(
        &mut self,
        flow: &NewFlow,
        start_sha256: &[u8; 32],
        life: std::time::Duration,
    ) -> Result<DateTime<Utc>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "INSERT INTO oauth_flows (tenant_id, id, region, start_sha256, expires_at, browser_session_id, renews)
             VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $6, $7) RETURNING expires_at",
            tenant,
            Uuid::now_v7(),
            flow.region.as_str(),
            start_sha256,
            life.as_secs_f64(),
            flow.origin.browser_session,
            flow.origin.renews.map(|connection| connection.0),
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Where a flow of this tenant has begun.
    #[tracing::instrument(name = "db.oauth_flow_origin", level = "debug", skip_all)]
    pub async fn oauth_flow_origin(&mut self, id: Uuid) -> Result<FlowOrigin, StoreError> {
        let tenant = self.tenant().0;
        let found = sqlx::query!(
            "SELECT browser_session_id, renews FROM oauth_flows WHERE tenant_id = $1 AND id = $2",
            tenant,
            id,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(found.map_or_else(FlowOrigin::default, |row| FlowOrigin {
            browser_session: row.browser_session_id,
            renews: row.renews.map(ConnectionId),
        }))
    }
}

fn parse_region(region: &str) -> Result<Region, StoreError> {
    region.parse().map_err(|_| StoreError::Inconsistent {
        table: "oauth_flows",
        what: format!("region {region:?}"),
    })
}
