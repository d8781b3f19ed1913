//! Names of tenants beside their ids, in lists of what is about several of them.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use shared::{domain::TenantId, store::OperatorStore};
use uuid::Uuid;

use super::{
    fleet_views::{ActionView, FurthestView, JobView, ScheduledView},
    views::{BulkView, DeadLetterView, EventView, PauseView},
};

/// A list does not wait longer for names. It has its ids without them.
const NAME_LIMIT: Duration = Duration::from_secs(1);

/// A row about a tenant, or about none.
pub(super) trait AboutTenant {
    fn tenant(&self) -> Option<TenantId>;
    fn set_name(&mut self, name: String);
}

/// Sets the names of the rows' tenants. A row keeps its id alone if Postgres does not answer soon, or if the tenant is gone.
pub(super) async fn name_tenants<'a, T: AboutTenant + 'a>(
    store: &OperatorStore,
    rows: impl IntoIterator<Item = &'a mut T>,
) {
    let rows: Vec<&mut T> = rows.into_iter().collect();
    let ids: BTreeSet<Uuid> = rows
        .iter()
        .filter_map(|row| row.tenant().map(|tenant| tenant.0))
        .collect();
    if ids.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let found = tokio::time::timeout(NAME_LIMIT, store.tenant_names(&ids)).await;
    let names: HashMap<Uuid, String> = match found {
        Ok(Ok(names)) => names.into_iter().collect(),
        Ok(Err(error)) => return tracing::debug!(%error, "names of tenants could not be read"),
        Err(_) => return tracing::debug!("names of tenants could not be read in time"),
    };
    set_names(&names, rows);
}

/// The same, with names that were read before.
pub(super) fn set_names<'a, T: AboutTenant + 'a>(
    names: &HashMap<Uuid, String>,
    rows: impl IntoIterator<Item = &'a mut T>,
) {
    for row in rows {
        if let Some(name) = row.tenant().and_then(|tenant| names.get(&tenant.0)) {
            row.set_name(name.clone());
        }
    }
}

macro_rules! about_tenant {
    ($($view:ty: $tenant:expr;)*) => {
        $(impl AboutTenant for $view {
            fn tenant(&self) -> Option<TenantId> {
                let tenant: fn(&Self) -> Option<TenantId> = $tenant;
                tenant(self)
            }

            fn set_name(&mut self, name: String) {
                self.tenant_name = Some(name);
            }
        })*
    };
}

about_tenant! {
    ActionView: |view| view.tenant_id;
    BulkView: |view| view.filter.tenant_id;
    DeadLetterView: |view| Some(view.tenant_id);
    EventView: |view| Some(view.tenant_id);
    FurthestView: |view| Some(view.tenant_id);
    JobView: |view| Some(view.tenant_id);
    PauseView: |view| view.scope.parse().ok();
    ScheduledView: |view| Some(view.tenant_id);
}
