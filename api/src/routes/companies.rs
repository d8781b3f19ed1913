//! Companies.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;
use shared::{
    domain::JsonText,
    profiles::{self, CompanyProfile},
    store::reads::ConversationTotals,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Include, Mark, OneQuery, ProfilesQuery, SourceView, before,
    provenance::{self, ProvenanceMap},
};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    page::{ListView, Pager},
};

/// The description's name of a page of companies.
type CompanyList = ListView<CompanyView>;

/// One company.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Company)]
pub(crate) struct CompanyView {
    id: Uuid,
    #[schema(required, example = "Acme")]
    name: Option<String>,
    /// The customer's own ids of the company.
    external_ids: Vec<String>,
    #[schema(required, example = "acme.example")]
    domain: Option<String>,
    #[schema(required)]
    plan: Option<String>,
    #[schema(required)]
    size: Option<i64>,
    #[schema(required)]
    industry: Option<String>,
    /// As the source counts them.
    #[schema(required)]
    user_count: Option<i64>,
    #[schema(required)]
    session_count: Option<i64>,
    /// The company's website, as it was written. `domain` is its host.
    #[schema(required)]
    website: Option<String>,
    #[schema(required)]
    last_request_at: Option<DateTime<Utc>>,
    /// In a currency that no source names.
    #[schema(required, value_type = Option<f64>)]
    monthly_spend: Option<Number>,
    /// Names.
    tags: Vec<String>,
    /// Names.
    segments: Vec<String>,
    /// The customer's own attributes, with all digits of long numbers.
    #[schema(value_type = Object)]
    attributes: JsonText,
    /// Conversations that show the company in `company_ids`. They are counted a few seconds after they change.
    conversations: ConversationTotalsView,
    /// The records that the company is folded from.
    sources: Vec<SourceView>,
    /// When it last changed here.
    updated_at: DateTime<Utc>,
    /// When the last of its sources deleted it. Absent if it is not deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<DateTime<Utc>>,
    /// The company that this one was merged into. Its id answers with that company.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    merged_into: Option<Uuid>,
    /// Which source each field came from, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provenance: Option<ProvenanceMap>,
}

/// How many conversations there are. Deleted ones do not count.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationTotals)]
struct ConversationTotalsView {
    #[schema(minimum = 0)]
    open: i64,
    #[schema(minimum = 0)]
    total: i64,
    /// When the last one changed at its source.
    #[schema(required)]
    last_at: Option<DateTime<Utc>>,
}

/// List companies
///
/// Last changed first, without those that were merged into another.
#[utoipa::path(
    get,
    path = "/v1/companies",
    operation_id = "list_companies",
    tag = "Companies",
    params(ProfilesQuery),
    responses((status = 200, description = "A page of companies.", body = CompanyList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ProfilesQuery>,
) -> Result<Response, ApiError> {
    let (filter, include) = query.filter()?;
    let pager = Pager::new(
        &api.vault,
        tenant,
        &format!("companies?{filter:?}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let companies =
        profiles::companies(&mut tx, filter, before(at), pager.fetch(), include.detail()).await?;
    pager.answer(
        companies,
        |company| (company.updated_at, company.id),
        |company| CompanyView::of(company, include),
    )
}

/// Show a company
///
/// A merged company's id answers with the survivor.
#[utoipa::path(
    get,
    path = "/v1/companies/{id}",
    operation_id = "get_company",
    tag = "Companies",
    params(("id" = Uuid, Path, description = "The company's id."), OneQuery),
    responses((status = 200, description = "The company.", body = CompanyView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(company): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<CompanyView>, ApiError> {
    let include = Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let own = tx
        .resolve_company(id(&company)?)
        .await?
        .ok_or_else(ApiError::not_found)?;
    profiles::company(&mut tx, own, include.detail())
        .await?
        .map(|company| Json(CompanyView::of(company, include)))
        .ok_or_else(ApiError::not_found)
}

impl CompanyView {
    fn of(company: CompanyProfile, include: Include) -> Self {
        let fields = company.fields;
        let provenance = include
            .provenance
            .then(|| provenance::views(&fields.provenance, &company.sources));
        Self {
            id: company.id,
            name: fields.name,
            external_ids: fields.external_ids,
            domain: fields.domain,
            plan: fields.plan,
            size: fields.size,
            industry: fields.industry,
            user_count: fields.user_count,
            session_count: fields.session_count,
            website: fields.website,
            last_request_at: fields.last_request_at,
            monthly_spend: fields.monthly_spend,
            tags: fields.tags,
            segments: fields.segments,
            attributes: fields.attributes,
            conversations: company.conversations.into(),
            sources: company.sources.into_iter().map(SourceView::from).collect(),
            updated_at: company.updated_at,
            deleted_at: company.deleted_at,
            merged_into: company.merged_into,
            provenance,
        }
    }
}

impl From<ConversationTotals> for ConversationTotalsView {
    fn from(totals: ConversationTotals) -> Self {
        Self {
            open: totals.open,
            total: totals.total,
            last_at: totals.last_at,
        }
    }
}
