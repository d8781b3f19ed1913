//! Companies.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::JsonText,
    profiles::{self, CompanyProfile},
};
use uuid::Uuid;

use super::{Include, Mark, OneQuery, ProfilesQuery, SourceView, before};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    page::Pager,
};

/// One company.
#[derive(Debug, Serialize)]
pub(crate) struct CompanyView {
    id: Uuid,
    name: Option<String>,
    domain: Option<String>,
    plan: Option<String>,
    size: Option<i64>,
    industry: Option<String>,
    /// As the source counts them.
    user_count: Option<i64>,
    session_count: Option<i64>,
    attributes: JsonText,
    sources: Vec<SourceView>,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
}

/// `GET /v1/companies`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ProfilesQuery>,
) -> Result<Response, ApiError> {
    let (filter, _) = query.filter()?;
    let pager = Pager::new(
        &api.vault,
        tenant,
        &format!("companies?{filter:?}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let companies = profiles::companies(&mut tx, filter, before(at), pager.fetch()).await?;
    pager.answer(
        companies,
        |company| (company.updated_at, company.id),
        CompanyView::from,
    )
}

/// `GET /v1/companies/{id}`
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(company): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<CompanyView>, ApiError> {
    Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    profiles::company(&mut tx, id(&company)?)
        .await?
        .map(|company| Json(company.into()))
        .ok_or_else(ApiError::not_found)
}

impl From<CompanyProfile> for CompanyView {
    fn from(company: CompanyProfile) -> Self {
        let fields = company.fields;
        Self {
            id: company.id,
            name: fields.name,
            domain: fields.domain,
            plan: fields.plan,
            size: fields.size,
            industry: fields.industry,
            user_count: fields.user_count,
            session_count: fields.session_count,
            attributes: fields.attributes,
            sources: company.sources.into_iter().map(SourceView::from).collect(),
            updated_at: company.updated_at,
            deleted_at: company.deleted_at,
        }
    }
}
