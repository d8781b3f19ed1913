//! Bulk actions: retries and drops of all dead letters that match a filter. A scheduler works through them.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use shared::store::{ActionOrigin, BulkKind, DeadLetterFilter};
use uuid::Uuid;

use super::{
    bounded::bounded,
    dead_letters::ChangeRequest,
    operator::Operator,
    origin::KeyOrigin,
    paging::{limit, next_cursor},
    tenant_names::name_tenants,
    views::{BulkView, BulksView},
};
use crate::{
    error::ApiError,
    extract::{Params, id},
};

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulksQuery {
    /// The last action of the page before.
    pub(super) cursor: Option<Uuid>,
    pub(super) limit: Option<i32>,
}

/// `GET /ops/dead/bulk`: newest first.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<BulksQuery>,
) -> Result<Json<BulksView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of bulk actions.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(operator: &Operator, query: &BulksQuery) -> Result<BulksView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let store = &operator.store;
        let actions = store.bulk_actions(query.cursor, i64::from(limit)).await?;
        let next_cursor = next_cursor(&actions, limit, |action| action.id);
        let mut items: Vec<_> = actions.into_iter().map(BulkView::from).collect();
        name_tenants(store, &mut items).await;
        Ok(BulksView { items, next_cursor })
    })
    .await
}

/// `GET /ops/dead/bulk/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(action): Path<String>,
) -> Result<Json<BulkView>, ApiError> {
    find(&operator, &action).await.map(Json)
}

/// One bulk action.
///
/// # Errors
/// If there is none with this id, or Postgres does not answer.
pub(super) async fn find(operator: &Operator, action: &str) -> Result<BulkView, ApiError> {
    let action = id(action)?;
    bounded(async {
        let found = operator.store.bulk_action(action).await?;
        let mut found = BulkView::from(found.ok_or_else(ApiError::not_found)?);
        name_tenants(&operator.store, [&mut found]).await;
        Ok(found)
    })
    .await
}

/// `POST /ops/dead/bulk/{id}/cancel`: ends it before its next batch. One that has ended stays as it is.
pub(super) async fn cancel(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(action): Path<String>,
) -> Result<Json<BulkView>, ApiError> {
    end(&operator, origin, &action).await.map(Json)
}

/// Ends a bulk action.
///
/// # Errors
/// If there is none with this id, or Postgres fails.
pub(super) async fn end(
    operator: &Operator,
    origin: ActionOrigin,
    action: &str,
) -> Result<BulkView, ApiError> {
    let ended = operator
        .store
        .cancel_bulk_action(&origin, id(action)?)
        .await?;
    operator.snapshot.forget_fleet().await;
    ended.map(BulkView::from).ok_or_else(ApiError::not_found)
}

/// Asks for a bulk action. An equal one that has not ended is returned instead of a second one.
///
/// # Errors
/// If Postgres fails.
pub(super) async fn start(
    operator: &Operator,
    origin: ActionOrigin,
    kind: BulkKind,
    request: ChangeRequest,
) -> Result<BulkView, ApiError> {
    let filter = DeadLetterFilter::from(request);
    let store = &operator.store;
    let action = store.start_bulk_action(&origin, kind, &filter).await?;
    Ok(action.into())
}
