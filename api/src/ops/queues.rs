//! Queue depth and age, and the pauses in force.

use axum::{Json, extract::State};

use super::{
    operator::Operator,
    views::{PauseView, QueuesView},
};
use crate::error::ApiError;

/// `GET /ops/queues`
pub(super) async fn show(State(operator): State<Operator>) -> Result<Json<QueuesView>, ApiError> {
    let stats = operator.queue.stats().await.map_err(|error| {
        tracing::warn!(%error, "queue stats could not be read from redis");
        ApiError::unavailable()
    })?;
    let paused = operator.store.pauses().await?;
    Ok(Json(QueuesView {
        classes: (&stats).into(),
        paused: paused.into_iter().map(PauseView::from).collect(),
        tickets: stats.live,
    }))
}
