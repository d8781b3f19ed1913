//! Links to the page of integrations, one for each kind of tenant.

use serde_json::json;

use super::{scenarios::Scenario, tenant_run::TenantOutcome, world::World};
use crate::failure::Failure;

/// A line for each kind. A link works once, for ten minutes.
///
/// # Errors
/// The API makes no link.
pub(super) async fn links(outcomes: &[TenantOutcome], world: &World) -> Result<String, Failure> {
    let mut lines = String::new();
    for scenario in Scenario::ALL {
        let mut of_kind = outcomes.iter();
        let found = of_kind.find(|outcome| outcome.demo_tenant.scenario == scenario);
        let Some((outcome, tenant)) = found.and_then(|found| Some((found, found.tenant?))) else {
            continue;
        };
        let body = json!({});
        let made = world.rest.post(Some(tenant), "/v1/sessions", &body).await?;
        let made = made.success()?;
        let url = made["url"].as_str().unwrap_or_default();
        let name = &outcome.demo_tenant.name;
        lines += &format!("  {url}  {name} ({})\n", scenario.name());
    }
    Ok(lines)
}
