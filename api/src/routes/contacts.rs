//! Contacts, and the conversations they took part in.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use shared::store::reads::{Contact, ConversationFilter};

use super::{
    Include, Mark, OneQuery, ProfilesQuery, before,
    conversations::{ConversationsQuery, list_filtered},
};
use crate::{
    Api,
    caller::Tenant,
    error::ApiError,
    extract::{Params, id},
    page::Pager,
};

/// `GET /v1/contacts`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Params(query): Params<ProfilesQuery>,
) -> Result<Response, ApiError> {
    let (filter, include) = query.filter()?;
    let pager = Pager::new(
        &api.vault,
        tenant,
        &format!("contacts?{filter:?}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let contacts = tx
        .contacts(filter, before(at), pager.fetch(), include.provenance)
        .await?;
    pager.answer(contacts, |contact| (contact.updated_at, contact.id))
}

/// `GET /v1/contacts/{id}`: a merged contact's id answers with the survivor.
pub(crate) async fn show(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(contact): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<Contact>, ApiError> {
    let include = Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let own = tx
        .resolve_contact(id(&contact)?)
        .await?
        .ok_or_else(ApiError::not_found)?;
    tx.contact(own, include.provenance)
        .await?
        .map(Json)
        .ok_or_else(ApiError::not_found)
}

/// `GET /v1/contacts/{id}/conversations`: last changed first.
pub(crate) async fn conversations(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(contact): Path<String>,
    Params(query): Params<ConversationsQuery>,
) -> Result<Response, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = tx
        .resolve_contact(id(&contact)?)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let filter = ConversationFilter {
        contact: Some(own),
        ..query.filter()?
    };
    list_filtered(&api, tx, &query, &filter).await
}
