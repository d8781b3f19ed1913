//! Tenants: Pathbound's customers. Only the product backend creates them.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{
    Store, StoreError, Tx,
    roles::{Api, LooksUpTenants},
};
use crate::domain::{
    TenantId,
    audit_event::{Actor, AuditAction, NewAuditEvent},
};

/// One customer of Pathbound.
#[derive(Clone, Debug)]
pub struct CreatedTenant {
    pub id: TenantId,
    pub name: String,
    pub created_at: DateTime<Utc>,
}

impl Tx<Api> {
    /// Creates a tenant, in the transaction of a caller that acts for none. The name is a label of 1 to 200 characters,
    /// and need not be unique.
    ///
    /// # Errors
    /// When Postgres refuses the name.
    #[tracing::instrument(name = "db.create_tenant", level = "debug", skip_all)]
    pub async fn create_tenant(&mut self, name: &str) -> Result<CreatedTenant, StoreError> {
        let id = TenantId::new();
        let caller = self.tenant();
        // Row-level security allows no other tenant's row, and the answer to the call is stored as the caller's.
        self.act_for(id).await?;
        let created_at = sqlx::query_scalar!(
            "INSERT INTO tenants (id, name) VALUES ($1, $2) RETURNING created_at",
            id.0,
            name
        )
        .fetch_one(self.session())
        .await?;
        // Only the service key may make this call.
        let event = NewAuditEvent::new(Actor::ServiceKey, AuditAction::TenantCreated, id.0);
        self.add_audit_event(event).await?;
        self.act_for(caller).await?;
        Ok(CreatedTenant {
            id,
            name: name.to_owned(),
            created_at,
        })
    }

    /// Binds the rest of the transaction to a tenant.
    pub(super) async fn act_for(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        sqlx::query!(
            "SELECT set_config('app.tenant_id', $1, true)",
            tenant.to_string()
        )
        .fetch_one(self.session())
        .await?;
        self.set_tenant(tenant);
        Ok(())
    }
}

impl<R: LooksUpTenants> Store<R> {
    /// Whether a tenant exists. The service key names its tenant itself, so the API has to ask.
    #[tracing::instrument(name = "db.tenant_exists", level = "debug", skip_all)]
    pub async fn tenant_exists(&self, tenant: TenantId) -> Result<bool, StoreError> {
        let statement = format!("SELECT tenant_exists('{tenant}') AS found");
        let rows = self.ask(&statement).await?;
        let found = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(found.try_get("found")?)
    }
}
