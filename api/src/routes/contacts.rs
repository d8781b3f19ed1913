//! Contacts, and the conversations they took part in.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::{ConnectionId, JsonText},
    profiles::{self, ContactProfile, Provenance},
    store::reads::ConversationFilter,
};
use uuid::Uuid;

use super::{
    Include, Mark, OneQuery, ProfilesQuery, SourceView, before,
    conversations::{ConversationsQuery, list_filtered},
};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    page::Pager,
};

/// One person.
#[derive(Debug, Serialize)]
pub(crate) struct ContactView {
    id: Uuid,
    email: Option<String>,
    name: Option<String>,
    role: Option<String>,
    phone: Option<String>,
    owner: Option<String>,
    company_ids: Vec<Uuid>,
    attributes: JsonText,
    location: JsonText,
    last_seen_at: Option<DateTime<Utc>>,
    last_replied_at: Option<DateTime<Utc>>,
    last_contacted_at: Option<DateTime<Utc>>,
    sources: Vec<SourceView>,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
    /// The contact that this one was merged into. Its id answers with that contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<Uuid>,
    /// Which source each field came from, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<BTreeMap<String, ProvenanceView>>,
}

/// Where one field's value came from.
#[derive(Debug, Serialize)]
struct ProvenanceView {
    source: String,
    connection_id: ConnectionId,
    source_id: String,
    source_updated_at: DateTime<Utc>,
}

/// `GET /v1/contacts`: last changed first.
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
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
    let contacts = profiles::contacts(
        &mut tx,
        filter,
        before(at),
        pager.fetch(),
        include.provenance,
    )
    .await?;
    pager.answer(
        contacts,
        |contact| (contact.updated_at, contact.id),
        ContactView::from,
    )
}

/// `GET /v1/contacts/{id}`: a merged contact's id answers with the survivor.
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(contact): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<ContactView>, ApiError> {
    let include = Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let own = tx
        .resolve_contact(id(&contact)?)
        .await?
        .ok_or_else(ApiError::not_found)?;
    profiles::contact(&mut tx, own, include.provenance)
        .await?
        .map(|contact| Json(contact.into()))
        .ok_or_else(ApiError::not_found)
}

/// `GET /v1/contacts/{id}/conversations`: last changed first.
pub(crate) async fn conversations(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
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

impl From<ContactProfile> for ContactView {
    fn from(contact: ContactProfile) -> Self {
        let fields = contact.fields;
        Self {
            id: contact.id,
            email: fields.email,
            name: fields.name,
            role: fields.role,
            phone: fields.phone,
            owner: fields.owner,
            company_ids: contact.company_ids,
            attributes: fields.attributes,
            location: fields.location,
            last_seen_at: fields.last_seen_at,
            last_replied_at: fields.last_replied_at,
            last_contacted_at: fields.last_contacted_at,
            sources: contact.sources.into_iter().map(SourceView::from).collect(),
            updated_at: contact.updated_at,
            deleted_at: contact.deleted_at,
            merged_into: contact.merged_into,
            provenance: contact.provenance.map(|fields| {
                fields
                    .into_iter()
                    .map(|(field, provenance)| (field, provenance.into()))
                    .collect()
            }),
        }
    }
}

impl From<Provenance> for ProvenanceView {
    fn from(provenance: Provenance) -> Self {
        Self {
            source: provenance.source,
            connection_id: provenance.connection_id,
            source_id: provenance.source_id,
            source_updated_at: provenance.source_updated_at,
        }
    }
}
