//! Erasures: a person is removed everywhere and kept out.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    domain::audit_event::{AuditAction, Effect, NewAuditEvent},
    store::Erasure,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ListQuery, Mark, NoQuery, before};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    erasure::Erasing,
    error::ApiError,
    extract::{Params, id},
    idempotency::Repeatable,
    openapi::words,
    page::{ListView, Pager},
    pending,
};

/// The description's name of a page of erasures.
type ErasureList = ListView<ErasureView>;

/// An erasure, as far as it has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(crate) struct ErasureView {
    id: Uuid,
    contact_id: Uuid,
    #[schema(value_type = words::ErasureStatus)]
    status: &'static str,
    requested_at: DateTime<Utc>,
    /// Absent before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<DateTime<Utc>>,
    removed: RemovedView,
    /// What a last look has found of the person, by the names of what was removed. Every number is zero. Absent before the
    /// end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Object)]
    left: Option<Value>,
}

/// How much was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasedCounts)]
struct RemovedView {
    /// Records of the person, of every source.
    #[schema(minimum = 0)]
    records: i64,
    /// Links to companies.
    #[schema(minimum = 0)]
    links: i64,
    /// Conversations of nobody else.
    #[schema(minimum = 0)]
    conversations: i64,
    /// Conversations that go on with others.
    #[schema(minimum = 0)]
    participations: i64,
    /// Messages, of both kinds of conversations.
    #[schema(minimum = 0)]
    parts: i64,
    #[schema(minimum = 0)]
    events: i64,
    /// Objects that could not be read.
    #[schema(minimum = 0)]
    quarantined: i64,
    /// Stored answers to repeated POSTs that may have shown the person, or somebody else.
    #[schema(minimum = 0)]
    answers: i64,
}

/// Erase a contact
///
/// Removes the person everywhere and keeps them out. From the answer on no read shows the contact. All of its records go,
/// with their events, and so do conversations of nobody else. In conversations with others the person's messages are emptied,
/// and what others wrote stays. The feed shows `erase`. Later records of the person are refused with the code `erased`, and
/// Intercom's are left out: by their ids, and if a record is new by its external id, address and phone number. A repeat
/// gives the same erasure.
#[utoipa::path(
    post,
    path = "/v1/contacts/{id}/erasure",
    operation_id = "erase_contact",
    tag = "Erasure",
    params(("id" = Uuid, Path, description = "The contact's id.")),
    responses((status = 202, description = "The contact is gone. What is left of it is being removed.", body = ErasureView)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(contact): Path<String>,
    _: Params<NoQuery>,
    repeatable: Repeatable,
) -> Result<Response, ApiError> {
    let contact = id(&contact)?;
    let mut tx = api.store.begin(tenant).await?;
    let (erasure, effect) = tx
        .request_erasure(contact)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let id = erasure.id;
    if effect == Effect::Changed {
        let event = NewAuditEvent::new(actor, AuditAction::ErasureRequested, erasure.contact_id);
        tx.add_audit_event(event.with(json!({"erasure_id": id})))
            .await?;
    }
    let is_pending = erasure.finished_at.is_none();
    let view = ErasureView::from(erasure);
    let answer = repeatable.commit(tx, StatusCode::ACCEPTED, &view).await?;
    tracing::info!(%tenant, erasure = %id, ?effect, "erasure requested");
    if is_pending {
        pending::start(&api.store, tenant, Erasing(id)).await;
    }
    Ok(answer)
}

/// List erasures
///
/// Newest first. The list has no personal data, so keep a copy of it: a database that is restored from an older copy does
/// not know what was erased since, until each `contact_id` is posted again.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    operation_id = "list_erasures",
    tag = "Erasure",
    params(ListQuery),
    responses((status = 200, description = "A page of erasures.", body = ErasureList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let pager = Pager::new(&api.vault, tenant, "erasures", query.limit)?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let erasures = tx.erasures(before(at), pager.fetch()).await?;
    pager.answer(
        erasures,
        |erasure| (erasure.requested_at, erasure.id),
        ErasureView::from,
    )
}

/// Show an erasure
///
/// How far it has come, what it removed, and after its end what a last look has found.
#[utoipa::path(
    get,
    path = "/v1/erasures/{id}",
    operation_id = "get_erasure",
    tag = "Erasure",
    params(("id" = Uuid, Path, description = "The erasure's id.")),
    responses((status = 200, description = "The erasure.", body = ErasureView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(erasure): Path<String>,
    _: Params<NoQuery>,
) -> Result<Json<ErasureView>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let found = tx.erasure(id(&erasure)?).await?;
    found
        .map(|erasure| Json(erasure.into()))
        .ok_or_else(ApiError::not_found)
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        let status = match (erasure.started_at, erasure.finished_at) {
            (_, Some(_)) => "finished",
            (Some(_), None) => "running",
            (None, None) => "queued",
        };
        Self {
            id: erasure.id,
            contact_id: erasure.contact_id,
            status,
            requested_at: erasure.requested_at,
            finished_at: erasure.finished_at,
            removed: RemovedView {
                records: erasure.records,
                links: erasure.links,
                conversations: erasure.conversations,
                participations: erasure.participations,
                parts: erasure.parts,
                events: erasure.events,
                quarantined: erasure.quarantined,
                answers: erasure.answers,
            },
            left: erasure.left_over,
        }
    }
}
