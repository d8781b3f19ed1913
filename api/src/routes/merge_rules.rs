//! Which source is believed before which.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{Json, extract::State};
use serde::Serialize;
use shared::domain::{
    audit_event::{AuditAction, Effect, NewAuditEvent},
    profile::{MergeRules, Source},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema},
};

use super::NoQuery;
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params},
    openapi::words,
};

/// The precedence of sources, per object and field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MergeRules)]
pub(crate) struct MergeRulesView {
    contacts: ObjectRulesView,
    companies: ObjectRulesView,
}

/// The precedence of sources for one object. Of each field, the first source that knows it is believed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ObjectRules)]
struct ObjectRulesView {
    #[schema(value_type = Vec<words::SourceName>, max_items = 4)]
    default: Vec<String>,
    /// Fields whose order differs from the default.
    #[schema(value_type = BTreeMap<String, Vec<words::SourceName>>)]
    fields: BTreeMap<String, Vec<String>>,
}

/// New rules. What is left out is as without any rules.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMergeRules)]
pub(crate) struct RulesBody {
    #[serde(default)]
    contacts: ContactRulesBody,
    #[serde(default)]
    companies: CompanyRulesBody,
}

/// New rules of contacts.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewContactRules)]
struct ContactRulesBody {
    default: SourceOrder,
    /// Fields with an order of their own. Of the others, all values are shown, or the newest.
    fields: ContactFieldsBody,
}

/// New rules of companies.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewCompanyRules)]
struct CompanyRulesBody {
    default: SourceOrder,
    /// Fields with an order of their own. Of the others, all values are shown, or the newest.
    fields: CompanyFieldsBody,
}

/// Orders of single fields of a contact.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewContactFieldRules)]
struct ContactFieldsBody {
    attributes: SourceOrder,
    browser: SourceOrder,
    companies: SourceOrder,
    email: SourceOrder,
    location: SourceOrder,
    name: SourceOrder,
    owner: SourceOrder,
    phone: SourceOrder,
    role: SourceOrder,
    signed_up_at: SourceOrder,
}

/// Orders of single fields of a company.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewCompanyFieldRules)]
struct CompanyFieldsBody {
    attributes: SourceOrder,
    domain: SourceOrder,
    industry: SourceOrder,
    monthly_spend: SourceOrder,
    name: SourceOrder,
    plan: SourceOrder,
    session_count: SourceOrder,
    size: SourceOrder,
    user_count: SourceOrder,
    website: SourceOrder,
}

/// The source that is believed first in front. Those that are left out come behind, in the default order.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct SourceOrder(Vec<String>);

impl PartialSchema for SourceOrder {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(words::SourceName::schema())
            .max_items(Some(Source::ALL.len()))
            .unique_items(true)
            .description(Some(
                "The source that is believed first in front. Those that are left out come behind, in the default order.",
            ))
            .into()
    }
}

impl ToSchema for SourceOrder {
    fn name() -> Cow<'static, str> {
        "NewSourceOrder".into()
    }
}

/// The rules of an answer, which are complete.
type CompleteRules = Json<MergeRules>;

/// Show the merge rules
///
/// Which source is believed before which, for each object and field. Every order names all sources.
#[utoipa::path(
    get,
    path = "/v1/merge_rules",
    operation_id = "get_merge_rules",
    tag = "Sources",
    responses((status = 200, description = "The rules.", body = MergeRulesView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    _: Params<NoQuery>,
) -> Result<CompleteRules, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    Ok(Json(tx.merge_rules().await?))
}

/// Set the merge rules
///
/// Replaces all rules of the tenant. `{}` restores the default ones. Profiles are folded when they are read, so the rules
/// hold at once and for all records. The feed and `updated_since` show every profile that several records make.
#[utoipa::path(
    put,
    path = "/v1/merge_rules",
    operation_id = "set_merge_rules",
    tag = "Sources",
    request_body = RulesBody,
    responses((status = 200, description = "The rules as they are now.", body = MergeRulesView)),
)]
pub(crate) async fn set(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    _: Params<NoQuery>,
    JsonBody(rules): JsonBody<MergeRules>,
) -> Result<CompleteRules, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    if tx.set_merge_rules(&rules).await? == Effect::Changed {
        let event = NewAuditEvent::new(actor, AuditAction::MergeRulesChanged, tenant.0);
        tx.add_audit_event(event).await?;
    }
    tx.commit().await?;
    tracing::info!(%tenant, "merge rules set");
    Ok(Json(rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that is described and has no order of its own would be refused.
    #[test]
    fn every_field_that_is_described_has_an_order() {
        let body = RulesBody {
            contacts: ContactRulesBody::default(),
            companies: CompanyRulesBody::default(),
        };
        let body = serde_json::to_value(body).unwrap();
        assert_eq!(body["contacts"]["fields"].as_object().unwrap().len(), 10);
        let rules: MergeRules = serde_json::from_value(body).unwrap();
        let stored = serde_json::to_value(&rules).unwrap();
        assert_eq!(stored["companies"]["fields"].as_object().unwrap().len(), 10);
    }
}
