//! Companies.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use shared::store::reads::Company;

use super::{Include, Mark, OneQuery, ProfilesQuery, before};
use crate::{
    Api,
    caller::Tenant,
    error::ApiError,
    extract::{Params, id},
    page::Pager,
};

/// `GET /v1/companies`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
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
    let companies = tx.companies(filter, before(at), pager.fetch()).await?;
    pager.answer(companies, |company| (company.updated_at, company.id))
}

/// `GET /v1/companies/{id}`
pub(crate) async fn show(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(company): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<Company>, ApiError> {
    Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    tx.company(id(&company)?)
        .await?
        .map(Json)
        .ok_or_else(ApiError::not_found)
}
