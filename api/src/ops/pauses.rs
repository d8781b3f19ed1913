//! Pauses of the fleet, a class or a tenant.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use shared::{
    domain::{Class, TenantId},
    queue::{PauseScope, QueueError},
};

use super::{operator::Operator, views::PausedView};
use crate::{
    error::ApiError,
    extract::{JsonBody, id},
};

const MAX_REASON_CHARACTERS: usize = 500;

/// The body of a pause.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseRequest {
    reason: Option<String>,
}

/// `POST /ops/queues/{class}/pause {reason?}`
pub(super) async fn pause_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<PausedView>, ApiError> {
    pause(&operator, class_scope(&class)?, request).await
}

/// `POST /ops/queues/{class}/resume`
pub(super) async fn resume_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
) -> Result<Json<PausedView>, ApiError> {
    resume(&operator, class_scope(&class)?).await
}

/// `POST /ops/tenants/{id}/pause {reason?}`
pub(super) async fn pause_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<PausedView>, ApiError> {
    let scope = tenant_scope(&operator, &tenant).await?;
    pause(&operator, scope, request).await
}

/// `POST /ops/tenants/{id}/resume`
pub(super) async fn resume_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
) -> Result<Json<PausedView>, ApiError> {
    resume(&operator, tenant_scope(&operator, &tenant).await?).await
}

async fn pause(
    operator: &Operator,
    scope: PauseScope,
    request: PauseRequest,
) -> Result<Json<PausedView>, ApiError> {
    let reason = request.reason.as_deref();
    if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARACTERS) {
        return Err(ApiError::invalid(
            "reason",
            format!("must have at most {MAX_REASON_CHARACTERS} characters"),
        ));
    }
    // Postgres first. If Redis is away, the scheduler applies the pause within seconds.
    operator.store.pause(&scope.to_string(), reason).await?;
    apply(operator.queue.pause(&[scope]).await);
    Ok(Json(PausedView {
        paused: true,
        scope: scope.to_string(),
    }))
}

async fn resume(operator: &Operator, scope: PauseScope) -> Result<Json<PausedView>, ApiError> {
    operator.store.resume(&scope.to_string()).await?;
    apply(operator.queue.resume(&[scope]).await);
    Ok(Json(PausedView {
        paused: false,
        scope: scope.to_string(),
    }))
}

fn apply(applied: Result<(), QueueError>) {
    if let Err(error) = applied {
        tracing::warn!(%error, "the pause is not in redis yet, the scheduler will apply it");
    }
}

fn class_scope(text: &str) -> Result<PauseScope, ApiError> {
    match text {
        "fleet" => Ok(PauseScope::Fleet),
        _ => text
            .parse::<Class>()
            .map(PauseScope::Class)
            .map_err(|_| ApiError::not_found()),
    }
}

async fn tenant_scope(operator: &Operator, text: &str) -> Result<PauseScope, ApiError> {
    let tenant = TenantId(id(text)?);
    if operator.store.tenant_exists(tenant).await? {
        Ok(PauseScope::Tenant(tenant))
    } else {
        Err(ApiError::not_found())
    }
}
