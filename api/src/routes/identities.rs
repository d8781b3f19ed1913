//! Why records are one contact, and how to part them.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    domain::{
        ConnectionId,
        audit_event::{AuditAction, NewAuditEvent},
        profile::RecordKey,
    },
    profiles::{self, ContactIdentities, DatedLink},
    store::{PartedContact, SplitFault, StoredSplit},
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{NoQuery, contacts::own_id};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params, id},
    idempotency::Repeatable,
    openapi::words,
};

/// What links the records of a contact, and what does not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identities)]
pub(crate) struct IdentitiesView {
    contact_id: Uuid,
    /// Every value that links a record of the contact, or that looks as if it did.
    links: Vec<LinkView>,
    /// What somebody has parted, oldest first.
    splits: Vec<SplitView>,
}

/// What one value does to two records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityLink)]
struct LinkView {
    #[schema(value_type = words::IdentityKind)]
    kind: &'static str,
    /// The value in the spelling in which values are compared.
    value: String,
    #[schema(value_type = words::LinkStatus)]
    status: &'static str,
    /// Why a refused or blocked value links nobody: `tenant` if the identity rules block it. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    record: RecordView,
    /// The other record that holds the value. Absent for a shared or blocked one, because thousands may hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    other: Option<RecordView>,
    /// Of an ambiguous or refused value: the oldest record of each contact that it could mean.
    candidates: Vec<RecordView>,
    /// When the later one of the two records was written at its source, so that the link is as old at least.
    at: DateTime<Utc>,
}

/// A record, and the contact that it belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityRecord)]
struct RecordView {
    /// Absent if the record is no longer stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    contact_id: Option<Uuid>,
    source: &'static str,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    source_id: String,
}

/// Records that somebody has parted. No record of one side is ever joined with one of the other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Split)]
struct SplitView {
    id: Uuid,
    created_at: DateTime<Utc>,
    left: Vec<RecordView>,
    right: Vec<RecordView>,
}

/// Records that are somebody else.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSplit {
    /// As `sources` of the contact names them, some and not all.
    #[schema(min_items = 1)]
    sources: Vec<RecordName>,
}

/// A record by its name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecordName {
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    source_id: String,
}

/// The query of a split.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SplitQuery {
    /// Whether to show only what the split would do.
    #[serde(default)]
    #[param(default = false)]
    preview: bool,
}

/// The contacts after a split, or after its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SplitOutcome {
    /// By this the split is ended. Absent from a preview, and after the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<Uuid>,
    /// The contacts that the records belong to.
    contacts: Vec<PartedView>,
}

/// A contact and its records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartedContact)]
struct PartedView {
    id: Uuid,
    sources: Vec<NamedRecord>,
}

/// A record's name.
#[derive(Debug, Serialize, ToSchema)]
struct NamedRecord {
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    source_id: String,
}

/// Show what links a contact's records
///
/// Each link with its rule, both records and its time, and each value that could have linked them and does not, with its
/// reason.
#[utoipa::path(
    get,
    path = "/v1/contacts/{id}/identities",
    operation_id = "get_identities",
    tag = "Contacts",
    params(("id" = Uuid, Path, description = "The contact's id.")),
    responses((status = 200, description = "The links.", body = IdentitiesView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(contact): Path<String>,
    _: Params<NoQuery>,
) -> Result<Json<IdentitiesView>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    let found = profiles::identities(&mut tx, own)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(IdentitiesView {
        contact_id: own,
        links: found
            .links
            .iter()
            .map(|link| link_view(link, &found))
            .collect(),
        splits: found
            .splits
            .iter()
            .map(|split| split_view(split, &found))
            .collect(),
    }))
}

/// Part a contact
///
/// Parts the named records from the others of the contact, for good: whatever values they come to share, they are not
/// joined again until the split is ended. With `preview=true` nothing is changed.
#[utoipa::path(
    post,
    path = "/v1/contacts/{id}/split",
    operation_id = "split_contact",
    tag = "Contacts",
    params(("id" = Uuid, Path, description = "The contact's id."), SplitQuery),
    request_body = NewSplit,
    responses((status = 200, description = "The contacts that the records belong to now.", body = SplitOutcome)),
)]
pub(crate) async fn split(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(contact): Path<String>,
    Params(query): Params<SplitQuery>,
    repeatable: Repeatable,
    JsonBody(new): JsonBody<NewSplit>,
) -> Result<Response, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    // A name that comes twice means one record.
    let records: BTreeSet<RecordKey> = new
        .sources
        .into_iter()
        .map(|name| RecordKey::new(name.connection_id, name.source_id))
        .collect();
    let records: Vec<RecordKey> = records.into_iter().collect();
    let (split, contacts) = match tx.split_contact(own, &records).await {
        Ok(parted) => parted.ok_or_else(ApiError::not_found)?,
        Err(SplitFault::Impossible(error)) => {
            return Err(ApiError::invalid("sources", error.to_string()));
        }
        Err(SplitFault::Store(error)) => return Err(error.into()),
    };
    let mut outcome = SplitOutcome::of(contacts);
    if query.preview {
        // Nothing of the transaction is kept.
        return Ok(Json(outcome).into_response());
    }
    outcome.id = Some(split);
    let event = NewAuditEvent::new(actor, AuditAction::SplitMade, own);
    let details = json!({"split_id": split, "records": records.len()});
    tx.add_audit_event(event.with(details)).await?;
    tracing::info!(%tenant, contact = %own, %split, "contact split");
    repeatable.commit(tx, StatusCode::OK, &outcome).await
}

/// End a split
///
/// The records that it parted are joined again, as far as their values join them.
#[utoipa::path(
    delete,
    path = "/v1/contacts/{id}/split/{split}",
    operation_id = "end_split",
    tag = "Contacts",
    params(
        ("id" = Uuid, Path, description = "The id of a contact that the split has parted."),
        ("split" = Uuid, Path, description = "The split's id."),
    ),
    responses((status = 200, description = "The contacts that the records belong to now.", body = SplitOutcome)),
)]
pub(crate) async fn end_split(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path((contact, split)): Path<(String, String)>,
    _: Params<NoQuery>,
) -> Result<Json<SplitOutcome>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let own = own_id(&mut tx, &contact).await?;
    let split = id(&split)?;
    let contacts = tx
        .end_split(own, split)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let event = NewAuditEvent::new(actor, AuditAction::SplitEnded, own);
    tx.add_audit_event(event.with(json!({"split_id": split})))
        .await?;
    tx.commit().await?;
    tracing::info!(%tenant, contact = %own, %split, "split ended");
    Ok(Json(SplitOutcome::of(contacts)))
}

fn link_view(DatedLink { link, at }: &DatedLink, of: &ContactIdentities) -> LinkView {
    let candidates = link.candidates.iter();
    LinkView {
        kind: link.kind.as_str(),
        value: link.value.clone(),
        status: link.status.as_str(),
        reason: link.status.reason(),
        record: record_view(&link.record, of),
        other: link.other.as_ref().map(|other| record_view(other, of)),
        candidates: candidates.map(|key| record_view(key, of)).collect(),
        at: *at,
    }
}

fn split_view(split: &StoredSplit, of: &ContactIdentities) -> SplitView {
    let side = |keys: &BTreeSet<RecordKey>| keys.iter().map(|key| record_view(key, of)).collect();
    SplitView {
        id: split.id,
        created_at: split.created_at,
        left: side(&split.sides.left),
        right: side(&split.sides.right),
    }
}

fn record_view(key: &RecordKey, of: &ContactIdentities) -> RecordView {
    let source = of.sources.get(&key.connection);
    RecordView {
        contact_id: of.contacts.get(key).copied(),
        // A record of a newer build's source has a name that this one does not know.
        source: source.map_or("unknown", |source| source.as_str()),
        connection_id: key.connection,
        source_id: key.source_id.clone(),
    }
}

impl SplitOutcome {
    fn of(contacts: Vec<PartedContact>) -> Self {
        let name = |key: RecordKey| NamedRecord {
            connection_id: key.connection,
            source_id: key.source_id,
        };
        Self {
            id: None,
            contacts: contacts
                .into_iter()
                .map(|contact| PartedView {
                    id: contact.id,
                    sources: contact.records.into_iter().map(name).collect(),
                })
                .collect(),
        }
    }
}
