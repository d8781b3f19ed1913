//! Events that operators should know of.

use axum::{Json, extract::State};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    operator::Operator,
    views::{EventView, EventsView},
};
use crate::{error::ApiError, extract::Params};

const DEFAULT_LIMIT: i32 = 50;
const MAX_LIMIT: i32 = 200;

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
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(
            "limit",
            format!("must be 1 to {MAX_LIMIT}"),
        ));
    }
    let events = operator.store.operator_events(query.cursor, limit).await?;
    // A full page may be the last one. Its cursor then leads to an empty page.
    let next_cursor = (events.len() == limit as usize)
        .then(|| events.last().map(|event| event.id))
        .flatten();
    Ok(Json(EventsView {
        items: events.into_iter().map(EventView::from).collect(),
        next_cursor,
    }))
}
