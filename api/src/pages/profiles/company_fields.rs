//! The fields of a company, in the order of the page.

use shared::domain::profile::CompanyProfileFields;

use super::fields::{FieldRow, Origins};
use crate::pages::text::{number, time};

pub(super) fn rows(fields: &CompanyProfileFields, origins: &Origins<'_>) -> Vec<FieldRow> {
    let CompanyProfileFields {
        name,
        domain,
        website,
        plan,
        size,
        industry,
        user_count,
        session_count,
        last_request_at,
        monthly_spend,
        attributes: _,
        tags,
        segments,
        external_ids,
        provenance: _,
    } = fields;
    let spend = monthly_spend.as_ref().map(ToString::to_string);
    vec![
        origins.one("Name", "name", name.clone()),
        origins.one("Domain", "domain", domain.clone()),
        origins.one("Website", "website", website.clone()),
        origins.list("External ids", "external_ids", external_ids),
        origins.one("Plan", "plan", plan.clone()),
        origins.one("Industry", "industry", industry.clone()),
        origins.one("Employees", "size", size.map(number)),
        origins.one("Users", "user_count", user_count.map(number)),
        origins.one("Sessions", "session_count", session_count.map(number)),
        origins.one("Monthly spend", "monthly_spend", spend),
        origins.one("Last request", "last_request_at", last_request_at.map(time)),
        origins.list("Tags", "tags", tags),
        origins.list("Segments", "segments", segments),
    ]
}
