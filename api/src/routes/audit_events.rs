//! The audit trail: who did what.

use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    domain::audit_event::AuditAction,
    store::{AuditEvent, AuditEventFilter},
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Mark, before};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::Params,
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of audit events.
type AuditEventList = ListView<AuditEventView>;

/// The query of the audit trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditEventsQuery {
    /// The `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only this action.
    #[param(inline, value_type = Option<words::AuditAction>)]
    action: Option<AuditAction>,
    /// Only what was done at this time or later.
    since: Option<DateTime<Utc>>,
    /// Only what was done before this time.
    until: Option<DateTime<Utc>>,
}

/// One action.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct AuditEventView {
    id: Uuid,
    at: DateTime<Utc>,
    #[schema(value_type = words::AuditAction)]
    action: String,
    actor: ActorView,
    object: ObjectView,
    /// More about the action. It has no personal data and no secrets.
    #[schema(value_type = Object)]
    details: Value,
}

/// Whose action it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorView {
    #[schema(value_type = words::ActorKind)]
    kind: String,
    /// The id of the tenant key, or of the session of a browser that is signed in. Absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<Uuid>,
}

/// What the action was about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditObject)]
struct ObjectView {
    /// `tenant`, `api_key`, `browser_session`, `connection`, `source` or `contact`.
    #[serde(rename = "type")]
    #[schema(example = "api_key")]
    kind: String,
    /// Its id. Of a source it is the `connection_id`.
    id: Uuid,
}

/// List audit events
///
/// Who did what, newest first. An event is written together with what was done, so a call that failed or that was a repeat
/// has none, and no event is ever changed. Events are removed by age alone.
#[utoipa::path(
    get,
    path = "/v1/audit_events",
    operation_id = "list_audit_events",
    tag = "Audit",
    params(AuditEventsQuery),
    responses((status = 200, description = "A page of audit events.", body = AuditEventList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<AuditEventsQuery>,
) -> Result<Response, ApiError> {
    let filter = AuditEventFilter {
        action: query.action,
        since: query.since,
        until: query.until,
    };
    let name = format!("audit_events?{filter:?}");
    let pager = Pager::new(&api.vault, tenant, &name, query.limit)?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let events = tx.audit_events(&filter, before(at), pager.fetch()).await?;
    pager.answer(events, |event| (event.at, event.id), AuditEventView::from)
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: event.id,
            at: event.at,
            action: event.action,
            actor: ActorView {
                kind: event.actor_kind,
                id: event.actor_id,
            },
            object: ObjectView {
                kind: event.object_type,
                id: event.object_id,
            },
            details: event.details,
        }
    }
}
