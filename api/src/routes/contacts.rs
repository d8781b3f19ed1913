//! Contacts, and the conversations they took part in.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    domain::JsonText,
    profiles::{self, ContactProfile},
    store::{ApiTx, reads::ConversationFilter},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Include, Mark, OneQuery, ProfilesQuery, SourceView, before,
    contact_views::{BrowserView, ConsentView, DeviceView},
    conversations::{ConversationList, ConversationsQuery, FiltersOfContact, list_filtered},
    provenance::{self, ProvenanceMap},
};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{Params, id},
    page::{ListView, Pager},
};

/// The description's name of a page of contacts.
type ContactList = ListView<ContactView>;

/// One person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
pub(crate) struct ContactView {
    id: Uuid,
    #[schema(required, example = "jane.doe@example.com")]
    email: Option<String>,
    #[schema(required, example = "Jane Doe")]
    name: Option<String>,
    /// `user` or `lead`.
    #[schema(required, example = "user")]
    role: Option<String>,
    #[schema(required)]
    phone: Option<String>,
    /// The owning teammate's name, or the id where the name is not known.
    #[schema(required)]
    owner: Option<String>,
    company_ids: Vec<Uuid>,
    /// The customer's own attributes, with all digits of long numbers.
    #[schema(value_type = Object)]
    attributes: JsonText,
    #[schema(value_type = Object)]
    location: JsonText,
    #[schema(required)]
    last_seen_at: Option<DateTime<Utc>>,
    #[schema(required)]
    last_replied_at: Option<DateTime<Utc>>,
    #[schema(required)]
    last_contacted_at: Option<DateTime<Utc>>,
    #[schema(required)]
    signed_up_at: Option<DateTime<Utc>>,
    /// The customer's own ids of the person.
    external_ids: Vec<String>,
    /// All addresses, `email` first.
    emails: Vec<String>,
    /// All numbers, `phone` first.
    phones: Vec<String>,
    /// Names.
    tags: Vec<String>,
    /// Names.
    segments: Vec<String>,
    /// The browser that the contact was last seen in.
    #[schema(required)]
    browser: Option<BrowserView>,
    devices: Vec<DeviceView>,
    consent: ConsentView,
    /// The records that the contact is folded from.
    sources: Vec<SourceView>,
    /// When it last changed here.
    updated_at: DateTime<Utc>,
    /// When the last of its sources deleted it. Absent if it is not deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<DateTime<Utc>>,
    /// The contact that this one was merged into. Its id answers with that contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    merged_into: Option<Uuid>,
    /// Which source each field came from, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provenance: Option<ProvenanceMap>,
}

/// List contacts
///
/// Last changed first, without those that were merged into another.
#[utoipa::path(
    get,
    path = "/v1/contacts",
    operation_id = "list_contacts",
    tag = "Contacts",
    params(ProfilesQuery),
    responses((status = 200, description = "A page of contacts.", body = ContactList)),
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
        &format!("contacts?{filter:?}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let contacts =
        profiles::contacts(&mut tx, filter, before(at), pager.fetch(), include.detail()).await?;
    pager.answer(
        contacts,
        |contact| (contact.updated_at, contact.id),
        |contact| ContactView::of(contact, include),
    )
}

/// Show a contact
///
/// A merged contact's id answers with the survivor.
#[utoipa::path(
    get,
    path = "/v1/contacts/{id}",
    operation_id = "get_contact",
    tag = "Contacts",
    params(("id" = Uuid, Path, description = "The contact's id."), OneQuery),
    responses((status = 200, description = "The contact.", body = ContactView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(contact): Path<String>,
    Params(query): Params<OneQuery>,
) -> Result<Json<ContactView>, ApiError> {
    let include = Include::read(query.include.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    profiles::contact(&mut tx, own, include.detail())
        .await?
        .map(|contact| Json(ContactView::of(contact, include)))
        .ok_or_else(ApiError::not_found)
}

/// List a contact's conversations
///
/// Last changed first.
#[utoipa::path(
    get,
    path = "/v1/contacts/{id}/conversations",
    operation_id = "list_contact_conversations",
    tag = "Contacts",
    params(("id" = Uuid, Path, description = "The contact's id."), FiltersOfContact),
    responses((status = 200, description = "A page of conversations.", body = ConversationList)),
)]
pub(crate) async fn conversations(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(contact): Path<String>,
    Params(query): Params<ConversationsQuery>,
) -> Result<Response, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    let filter = ConversationFilter {
        contact: Some(own),
        ..query.filter_without_contact()?
    };
    list_filtered(&api, tx, &query, &filter).await
}

/// The contact that an id of a path stands for: itself, or the one that it was merged into.
pub(super) async fn own_id(tx: &mut ApiTx, contact: &str) -> Result<Uuid, ApiError> {
    tx.resolve_contact(id(contact)?)
        .await?
        .ok_or_else(ApiError::not_found)
}

impl ContactView {
    fn of(contact: ContactProfile, include: Include) -> Self {
        let fields = contact.fields;
        let provenance = include
            .provenance
            .then(|| provenance::views(&fields.provenance, &contact.sources));
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
            signed_up_at: fields.signed_up_at,
            external_ids: fields.external_ids,
            emails: fields.emails,
            phones: fields.phones,
            tags: fields.tags,
            segments: fields.segments,
            browser: fields.browser.map(BrowserView::from),
            devices: fields.devices.into_iter().map(DeviceView::from).collect(),
            consent: fields.consent.into(),
            sources: contact.sources.into_iter().map(SourceView::from).collect(),
            updated_at: contact.updated_at,
            deleted_at: contact.deleted_at,
            merged_into: contact.merged_into,
            provenance,
        }
    }
}
