//! Events that operators should know of.

use axum::{Json, extract::State};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    bounded::bounded,
    operator::Operator,
    paging::{limit, next_cursor},
    tenant_names::name_tenants,
    views::{EventView, EventsView},
};
use crate::{error::ApiError, extract::Params};

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// The last event of the page before.
    cursor: Option<Uuid>,
    limit: Option<i32>,
}

/// `GET /ops/events`: newest first.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<EventsQuery>,
) -> Result<Json<EventsView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of events.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(operator: &Operator, query: &EventsQuery) -> Result<EventsView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)?;
        let events = operator.store.operator_events(query.cursor, limit).await?;
        let next_cursor = next_cursor(&events, limit, |event| event.id);
        let mut items: Vec<_> = events.into_iter().map(EventView::from).collect();
        name_tenants(&operator.store, &mut items).await;
        Ok(EventsView { items, next_cursor })
    })
    .await
}
