//! Dead letters: list, show, retry and drop, one by its id. All that match a filter are worked by a scheduler (`bulk.rs`).

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use shared::{
    domain::{Stream, TenantId},
    queue::Ticket,
    store::{ActionOrigin, BulkKind, DeadLetterCause, DeadLetterFilter},
};
use uuid::Uuid;

use super::{
    bounded::{COUNT_CAP, bounded},
    bulk,
    fleet_views::{CauseView, CausesView},
    operator::Operator,
    origin::KeyOrigin,
    paging::{limit, next_cursor},
    tenant_names::name_tenants,
    views::{BulkStartedView, ChangedView, DeadLetterView, DeadLettersView},
};
use crate::{
    error::ApiError,
    extract::{JsonBody, Params, id},
};

/// Causes that are listed.
const CAUSES: i32 = 50;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLettersQuery {
    pub(super) tenant_id: Option<TenantId>,
    pub(super) stream: Option<Stream>,
    pub(super) cause: Option<String>,
    /// The last letter of the page before.
    pub(super) cursor: Option<Uuid>,
    pub(super) limit: Option<i32>,
}

/// The body of a retry or a drop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRequest {
    pub(super) tenant_id: Option<TenantId>,
    pub(super) stream: Option<Stream>,
    pub(super) cause: Option<String>,
    /// Count only.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// `GET /ops/dead`: oldest first, with the number of letters that match in all.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<DeadLettersQuery>,
) -> Result<Json<DeadLettersView>, ApiError> {
    read(&operator, query).await.map(Json)
}

/// A page of dead letters.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(
    operator: &Operator,
    query: DeadLettersQuery,
) -> Result<DeadLettersView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let filter = DeadLetterFilter {
            id: None,
            tenant: query.tenant_id,
            stream: query.stream,
            cause: query.cause,
        };
        let letters = operator
            .store
            .dead_letters(&filter, query.cursor, limit)
            .await?;
        let next_cursor = next_cursor(&letters, limit, |letter| letter.id);
        let mut items: Vec<_> = letters.into_iter().map(DeadLetterView::from).collect();
        name_tenants(&operator.store, &mut items).await;
        Ok(DeadLettersView {
            count: operator.store.count_dead_letters(&filter).await?,
            items,
            next_cursor,
        })
    })
    .await
}

/// `GET /ops/dead/causes`: the most frequent first.
pub(super) async fn list_causes(
    State(operator): State<Operator>,
) -> Result<Json<CausesView>, ApiError> {
    causes(&operator).await.map(Json)
}

/// Open dead letters by their cause.
///
/// # Errors
/// If Postgres does not answer.
pub(super) async fn causes(operator: &Operator) -> Result<CausesView, ApiError> {
    bounded(async {
        let store = &operator.store;
        let causes = store.dead_letter_causes(COUNT_CAP, CAUSES).await?;
        Ok(CausesView {
            items: causes.into_iter().map(CauseView::from).collect(),
        })
    })
    .await
}

/// `GET /ops/dead/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<DeadLetterView>, ApiError> {
    let found = operator
        .store
        .dead_letters(&only(&letter)?, None, 1)
        .await?;
    let letter = found.into_iter().next().ok_or_else(ApiError::not_found)?;
    let mut letter = DeadLetterView::from(letter);
    name_tenants(&operator.store, [&mut letter]).await;
    Ok(Json(letter))
}

/// `POST /ops/dead/{id}/retry`
pub(super) async fn retry_one(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(letter): Path<String>,
) -> Result<Json<ChangedView>, ApiError> {
    one(&operator, origin, BulkKind::Retry, &letter).await
}

/// `POST /ops/dead/{id}/drop`
pub(super) async fn drop_one(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(letter): Path<String>,
) -> Result<Json<ChangedView>, ApiError> {
    one(&operator, origin, BulkKind::Drop, &letter).await
}

/// `POST /ops/dead/retry {tenant_id?, stream?, cause?, dry_run?}`
pub(super) async fn retry_all(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<Response, ApiError> {
    all(&operator, origin, BulkKind::Retry, request).await
}

/// `POST /ops/dead/drop {tenant_id?, stream?, cause?, dry_run?}`
pub(super) async fn drop_all(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<Response, ApiError> {
    all(&operator, origin, BulkKind::Drop, request).await
}

/// Starts a bulk action, or only counts the letters that match.
async fn all(
    operator: &Operator,
    origin: ActionOrigin,
    kind: BulkKind,
    request: ChangeRequest,
) -> Result<Response, ApiError> {
    if request.dry_run {
        let count = operator.store.count_dead_letters(&request.into()).await?;
        let counted = ChangedView {
            count: Some(count),
            dry_run: Some(true),
            ..ChangedView::of(kind, 0)
        };
        return Ok(Json(counted).into_response());
    }
    let action = bulk::start(operator, origin, kind, request).await?;
    let started = BulkStartedView {
        count: action.total,
        dry_run: false,
        action,
    };
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

/// Changes one letter, at once.
async fn one(
    operator: &Operator,
    origin: ActionOrigin,
    kind: BulkKind,
    letter: &str,
) -> Result<Json<ChangedView>, ApiError> {
    let (store, filter) = (&operator.store, only(letter)?);
    // Without this look, a letter that does not exist would be a success with a count of 0.
    if store.count_dead_letters(&filter).await? == 0 {
        return Err(ApiError::not_found());
    }
    let changed = match kind {
        BulkKind::Retry => {
            let due = store.retry_dead_letters(&origin, &filter, 1).await?;
            let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
            // The streams are due in Postgres, so the scheduler makes the tickets if this push is lost.
            operator.queue.push_due_tickets(&tickets).await;
            due.len() as i64
        }
        BulkKind::Drop => store.drop_dead_letters(&origin, &filter, 1).await?,
    };
    operator.snapshot.forget_fleet().await;
    Ok(Json(ChangedView::of(kind, changed)))
}

impl ChangedView {
    /// So many letters were changed.
    pub(super) fn of(kind: BulkKind, changed: i64) -> Self {
        let mut view = Self::default();
        match kind {
            BulkKind::Retry => view.retried = Some(changed),
            BulkKind::Drop => view.dropped = Some(changed),
        }
        view
    }
}

impl From<DeadLetterCause> for CauseView {
    fn from(cause: DeadLetterCause) -> Self {
        Self {
            cause: cause.cause,
            letters: cause.letters,
            tenants: cause.tenants,
            first_died_at: cause.first_died_at,
            last_died_at: cause.last_died_at,
        }
    }
}

fn only(letter: &str) -> Result<DeadLetterFilter, ApiError> {
    Ok(DeadLetterFilter {
        id: Some(id(letter)?),
        ..DeadLetterFilter::default()
    })
}

impl From<ChangeRequest> for DeadLetterFilter {
    fn from(request: ChangeRequest) -> Self {
        Self {
            id: None,
            tenant: request.tenant_id,
            stream: request.stream,
            cause: request.cause,
        }
    }
}
