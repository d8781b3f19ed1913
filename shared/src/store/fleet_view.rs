//! The whole fleet as operators see it: counts that end at a cap, and pages of tenants.
//!
//! A statement of operators ends within a second, and costs the same however many tenants there are. See
//! `migrations/0037_fleet_view.sql`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ConnectionState, Store, StoreError, Tx, roles::Operator};
use crate::domain::TenantId;

/// Counts of the fleet. Each ends at the cap that its reader gives.
#[derive(Clone, Debug)]
pub struct FleetCounts {
    pub tenants: i64,
    /// Connections by state.
    pub active: i64,
    pub reauth_required: i64,
    pub error: i64,
    pub disconnected: i64,
    /// Open dead letters.
    pub dead_letters: i64,
    /// Streams that are due and have no ticket yet.
    pub unticketed: i64,
    /// When the first of them became due.
    pub oldest_unticketed_at: Option<DateTime<Utc>>,
    /// The tenant that is furthest behind.
    pub latest_tenant: Option<Uuid>,
    /// When its stream was last read to the end. `None` if it never was.
    pub latest_read_at: Option<DateTime<Utc>>,
}

/// What a list says of one tenant.
#[derive(Clone, Debug)]
pub struct TenantSummary {
    pub id: Uuid,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// Connections that sync, that stand still for a reason, and that have ended.
    pub active: i64,
    pub stopped: i64,
    pub ended: i64,
    /// When the polled stream that is furthest behind was last read to its end. `None` if nothing is polled or read.
    pub read_at: Option<DateTime<Utc>>,
    /// A polled stream was never read to its end.
    pub is_unread: bool,
    /// Threads to be fetched.
    pub pending: i64,
    /// Streams whose last attempt failed.
    pub failing: i64,
    /// Streams that are due now.
    pub due: i64,
    pub blocked_code: Option<String>,
    pub blocked_until: Option<DateTime<Utc>>,
    pub dead_letters: i64,
}

/// The last tenant of a page by lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagPosition {
    /// When its stream was last read to the end. The epoch stands for never.
    pub read_at: DateTime<Utc>,
    pub tenant: Uuid,
}

impl LagPosition {
    /// Before the tenant that is furthest behind.
    pub const FIRST: Self = Self {
        read_at: DateTime::<Utc>::UNIX_EPOCH,
        tenant: Uuid::nil(),
    };
}

/// The last tenant of a page by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePosition {
    /// In lower case.
    pub name: String,
    pub tenant: Uuid,
}

impl NamePosition {
    /// Before the first name that begins with this text in lower case.
    #[must_use]
    pub fn first(prefix: &str) -> Self {
        Self {
            name: prefix.to_owned(),
            tenant: Uuid::nil(),
        }
    }
}

impl Store<Operator> {
    /// A transaction of one tenant whose statements end within a second.
    ///
    /// # Errors
    /// When no session can be had, or the login may not take the role.
    #[tracing::instrument(name = "db.inspect", level = "debug", skip_all)]
    pub async fn inspect(&self, tenant: TenantId) -> Result<Tx<Operator>, StoreError> {
        Tx::begin_inspection(&self.sessions, Some(tenant)).await
    }

    /// The same, for what belongs to no tenant.
    pub(super) async fn inspect_all(&self) -> Result<Tx<Operator>, StoreError> {
        Tx::begin_inspection(&self.sessions, None).await
    }

    /// Counts of the fleet, each `limit` at most.
    #[tracing::instrument(name = "db.fleet_counts", level = "debug", skip_all)]
    pub async fn fleet_counts(&self, limit: i32) -> Result<FleetCounts, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            FleetCounts,
            r#"SELECT tenants AS "tenants!", active AS "active!", reauth_required AS "reauth_required!", error AS "error!",
                      disconnected AS "disconnected!", dead_letters AS "dead_letters!", unticketed AS "unticketed!",
                      oldest_unticketed_at, latest_tenant, latest_read_at
               FROM fleet_counts($1)"#,
            limit,
        )
        .fetch_one(tx.session())
        .await?)
    }

    /// Tenants by their lag, longest first, behind a position.
    #[tracing::instrument(name = "db.tenants_by_lag", level = "debug", skip_all)]
    pub async fn tenants_by_lag(
        &self,
        after: LagPosition,
        limit: i32,
    ) -> Result<Vec<LagPosition>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            LagPosition,
            r#"SELECT tenant_id AS "tenant!", read_at AS "read_at!" FROM tenants_by_lag($1, $2, $3)"#,
            after.read_at,
            after.tenant,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// Tenants with a connection in this state, in the order of their ids, behind the one with id `after`.
    #[tracing::instrument(name = "db.tenants_in_state", level = "debug", skip_all)]
    pub async fn tenants_in_state(
        &self,
        state: ConnectionState,
        after: Uuid,
        limit: i32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_scalar!(
            r#"SELECT tenant_id AS "tenant_id!" FROM tenants_in_state($1, $2, $3)"#,
            state.as_str(),
            after,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// Tenants whose names begin with a text in lower case, in the order of their names, behind a position.
    #[tracing::instrument(name = "db.tenants_by_name", level = "debug", skip_all)]
    pub async fn tenants_by_name(
        &self,
        prefix: &str,
        after: &NamePosition,
        limit: i32,
    ) -> Result<Vec<NamePosition>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            NamePosition,
            r#"SELECT tenant_id AS "tenant!", lower_name AS "name!" FROM tenants_by_name($1, $2, $3, $4)"#,
            prefix,
            after.name,
            after.tenant,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// Tenants that a text names exactly: by the tenant's id, or by the id of a workspace.
    #[tracing::instrument(name = "db.tenants_named", level = "debug", skip_all)]
    pub async fn tenants_named(&self, text: &str, limit: i32) -> Result<Vec<Uuid>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_scalar!(
            r#"SELECT tenant_id AS "tenant_id!" FROM tenants_named($1, $2, $3)"#,
            Uuid::try_parse(text).ok(),
            text,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// The names of these tenants. A tenant that does not exist is left out.
    #[tracing::instrument(name = "db.tenant_names", level = "debug", skip_all)]
    pub async fn tenant_names(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, StoreError> {
        let mut tx = self.inspect_all().await?;
        let rows = sqlx::query!(
            r#"SELECT id AS "id!", name AS "name!" FROM tenant_names($1)"#,
            ids,
        )
        .fetch_all(tx.session())
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
    }

    /// What a list says of these tenants, in their order. A tenant that does not exist is left out.
    #[tracing::instrument(name = "db.describe_tenants", level = "debug", skip_all)]
    pub async fn describe_tenants(&self, ids: &[Uuid]) -> Result<Vec<TenantSummary>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            TenantSummary,
            r#"SELECT id AS "id!", name AS "name!", created_at AS "created_at!", active AS "active!", stopped AS "stopped!",
                      ended AS "ended!", read_at, is_unread AS "is_unread!", pending AS "pending!", failing AS "failing!",
                      due AS "due!", blocked_code, blocked_until, dead_letters AS "dead_letters!"
               FROM describe_tenants($1)"#,
            ids,
        )
        .fetch_all(tx.session())
        .await?)
    }
}
