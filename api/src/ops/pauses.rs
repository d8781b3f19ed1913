//! Pauses of the fleet, a class or a tenant.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use shared::{
    domain::{Class, TenantId},
    queue::{PauseScope, QueueError},
    store::{ActionOrigin, ActionSubject},
};

use super::{operator::Operator, origin::KeyOrigin, views::PausedView};
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
    KeyOrigin(origin): KeyOrigin,
    Path(class): Path<String>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<PausedView>, ApiError> {
    let scope = class_scope(&class)?;
    pause(&operator, origin, scope, request.reason)
        .await
        .map(Json)
}

/// `POST /ops/queues/{class}/resume`
pub(super) async fn resume_class(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(class): Path<String>,
) -> Result<Json<PausedView>, ApiError> {
    let scope = class_scope(&class)?;
    resume(&operator, origin, scope).await.map(Json)
}

/// `POST /ops/tenants/{id}/pause {reason?}`
pub(super) async fn pause_tenant(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(tenant): Path<String>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<PausedView>, ApiError> {
    let scope = tenant_scope(&operator, &tenant).await?;
    pause(&operator, origin, scope, request.reason)
        .await
        .map(Json)
}

/// `POST /ops/tenants/{id}/resume`
pub(super) async fn resume_tenant(
    State(operator): State<Operator>,
    KeyOrigin(origin): KeyOrigin,
    Path(tenant): Path<String>,
) -> Result<Json<PausedView>, ApiError> {
    let scope = tenant_scope(&operator, &tenant).await?;
    resume(&operator, origin, scope).await.map(Json)
}

/// Pauses a scope.
///
/// # Errors
/// If the reason is too long, or Postgres fails.
pub(super) async fn pause(
    operator: &Operator,
    origin: ActionOrigin,
    scope: PauseScope,
    reason: Option<String>,
) -> Result<PausedView, ApiError> {
    if reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARACTERS)
    {
        return Err(ApiError::invalid(
            "reason",
            format!("must have at most {MAX_REASON_CHARACTERS} characters"),
        ));
    }
    let subject = subject(scope, reason);
    // Postgres first. If Redis is away, the scheduler applies the pause within seconds.
    operator
        .store
        .pause(&origin, &scope.to_string(), &subject)
        .await?;
    apply(operator.queue.pause(&[scope]).await);
    operator.snapshot.forget_fleet().await;
    Ok(PausedView {
        paused: true,
        scope: scope.to_string(),
    })
}

/// Ends the pause of a scope.
///
/// # Errors
/// If Postgres fails.
pub(super) async fn resume(
    operator: &Operator,
    origin: ActionOrigin,
    scope: PauseScope,
) -> Result<PausedView, ApiError> {
    let subject = subject(scope, None);
    operator
        .store
        .resume(&origin, &scope.to_string(), &subject)
        .await?;
    apply(operator.queue.resume(&[scope]).await);
    operator.snapshot.forget_fleet().await;
    Ok(PausedView {
        paused: false,
        scope: scope.to_string(),
    })
}

/// The scope as the list of actions names it.
fn subject(scope: PauseScope, reason: Option<String>) -> ActionSubject {
    let (tenant, text) = match scope {
        PauseScope::Fleet => (None, "the fleet".to_owned()),
        PauseScope::Class(class) => (None, format!("the class {class}")),
        PauseScope::Tenant(tenant) => (Some(tenant), "the tenant".to_owned()),
    };
    ActionSubject {
        tenant,
        text,
        reason,
    }
}

fn apply(applied: Result<(), QueueError>) {
    if let Err(error) = applied {
        tracing::warn!(%error, "the pause is not in redis yet, the scheduler will apply it");
    }
}

pub(super) fn class_scope(text: &str) -> Result<PauseScope, ApiError> {
    match text {
        "fleet" => Ok(PauseScope::Fleet),
        _ => text
            .parse::<Class>()
            .map(PauseScope::Class)
            .map_err(|_| ApiError::not_found()),
    }
}

pub(super) async fn tenant_scope(operator: &Operator, text: &str) -> Result<PauseScope, ApiError> {
    let tenant = TenantId(id(text)?);
    if operator.store.tenant_exists(tenant).await? {
        Ok(PauseScope::Tenant(tenant))
    } else {
        Err(ApiError::not_found())
    }
}
