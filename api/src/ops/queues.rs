//! Queue depth and age, and the pauses in force.

use axum::{Json, extract::State};

use super::{
    operator::Operator,
    snapshot::PAUSES,
    tenant_names::name_tenants,
    views::{PauseView, QueuesView},
};
use crate::error::ApiError;

/// `GET /ops/queues`
pub(super) async fn show(State(operator): State<Operator>) -> Result<Json<QueuesView>, ApiError> {
    let stats = operator.queue.stats().await.map_err(|error| {
        tracing::warn!(%error, "queue stats could not be read from redis");
        ApiError::unavailable()
    })?;
    let pauses = operator.store.newest_pauses(PAUSES + 1).await?;
    let (mut paused, paused_more) = PauseView::listed(&pauses);
    name_tenants(&operator.store, &mut paused).await;
    Ok(Json(QueuesView {
        classes: (&stats).into(),
        paused,
        paused_more,
        tickets: stats.live,
    }))
}
