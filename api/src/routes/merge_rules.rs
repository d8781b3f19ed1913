//! Which source is believed before which.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use shared::domain::profile::MergeRules;
use utoipa::ToSchema;

use super::NoQuery;
use crate::{
    Api,
    caller::CallerTenant,
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
    contacts: ObjectRulesBody,
    #[serde(default)]
    companies: ObjectRulesBody,
}

/// New rules of one object.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewObjectRules)]
struct ObjectRulesBody {
    /// The source that is believed first in front. Those that are left out come behind, in the default order.
    #[serde(default)]
    #[schema(value_type = Vec<words::SourceName>, max_items = 4)]
    default: Vec<String>,
    /// Orders of their own, by field: of a contact `attributes`, `browser`, `companies`, `email`, `location`, `name`,
    /// `owner`, `phone`, `role` and `signed_up_at`, of a company `attributes`, `domain`, `industry`, `monthly_spend`, `name`,
    /// `plan`, `session_count`, `size`, `user_count` and `website`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Vec<words::SourceName>>)]
    fields: BTreeMap<String, Vec<String>>,
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
    _: Params<NoQuery>,
    JsonBody(rules): JsonBody<MergeRules>,
) -> Result<CompleteRules, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    tx.set_merge_rules(&rules).await?;
    tx.commit().await?;
    tracing::info!(%tenant, "merge rules set");
    Ok(Json(rules))
}
