//! Connections: started with a link, listed, shown and ended.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    domain::{
        ConnectionId, Region, TenantId,
        audit_event::{Actor, AuditAction, Effect, NewAuditEvent},
    },
    store::{AfterDisconnect, Connection, StoreError},
    sync::{FENCE_RECHECK_INTERVAL, connect},
};
use utoipa::{IntoParams, ToSchema};

use super::{ListQuery, Mark, NoQuery};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params, id},
    idempotency::Repeatable,
    openapi::words,
    page::{ListView, Pager},
    pending,
    purge::Purge,
};

/// The description's name of a page of connections.
type ConnectionList = ListView<ConnectionView>;

/// The end of a connection may deadlock with the transactions of workers, and Postgres may choose it as
/// the victim. It is then tried again.
const TRIES: u32 = 3;

/// Which Intercom a workspace is in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectRequest {
    /// The data region of the workspace.
    #[serde(default)]
    #[schema(value_type = words::Region, default = "us")]
    region: Region,
}

/// A link for the customer's browser.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectStart)]
pub(crate) struct StartView {
    /// Opens a page that names the tenant, and leads to Intercom from there. It works once.
    #[schema(format = "uri")]
    start_url: String,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndQuery {
    /// What happens to the data that was copied: it is retained unless the request says otherwise.
    #[serde(default)]
    #[param(inline, value_type = words::EndData, required = false)]
    data: EndData,
}

/// The values of `data=`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EndData {
    #[default]
    Retain,
    Purge,
}

/// One connected workspace of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionView {
    #[schema(value_type = Uuid)]
    id: ConnectionId,
    #[schema(example = "intercom")]
    source: &'static str,
    #[schema(value_type = words::ConnectionState)]
    state: &'static str,
    workspace: WorkspaceView,
    connected_at: DateTime<Utc>,
    /// When a run last succeeded. Null before the first one.
    #[schema(required)]
    last_synced_at: Option<DateTime<Utc>>,
    /// Why it does not sync. Absent while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<ErrorView>,
}

/// A workspace, as Intercom names it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
struct WorkspaceView {
    id: String,
    name: String,
    #[schema(value_type = words::Region)]
    region: Region,
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    timezone: String,
}

/// Why a connection does not sync, and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectionError)]
struct ErrorView {
    /// Stable, because programs decide by it.
    code: String,
    message: String,
    action: String,
}

/// Start a connection to Intercom
///
/// The answer has a link for the customer's browser. It works once, for ten minutes.
#[utoipa::path(
    post,
    path = "/v1/integrations/intercom/connect",
    operation_id = "connect_intercom",
    tag = "Connections",
    request_body(content = ConnectRequest, description = "May be left out, for the region `us`."),
    responses((status = 201, description = "The link.", body = StartView)),
)]
pub(crate) async fn connect(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    repeatable: Repeatable,
    _: Params<NoQuery>,
    JsonBody(request): JsonBody<ConnectRequest>,
) -> Result<Response, ApiError> {
    let mut tx = api.connect.store.begin(tenant).await?;
    let started = connect::start(&mut tx, request.region, None, actor).await?;
    let start_url = format!(
        "{}/oauth/intercom/start?flow={}",
        api.config.public_url,
        started.start_token.expose()
    );
    let view = StartView {
        start_url,
        expires_at: started.expires_at,
    };
    repeatable.commit(tx, StatusCode::CREATED, &view).await
}

/// List connections
///
/// Oldest first, also those that have ended.
// A tenant has few, so they are paged here and not in SQL.
#[utoipa::path(
    get,
    path = "/v1/connections",
    operation_id = "list_connections",
    tag = "Connections",
    params(ListQuery),
    responses((status = 200, description = "A page of connections.", body = ConnectionList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let pager = Pager::new(&api.vault, tenant, "connections", query.limit)?;
    let after = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let following = tx
        .connections()
        .await?
        .into_iter()
        .filter(|connection| {
            after.is_none_or(|after| (connection.connected_at, connection.id.0) > after)
        })
        .collect();
    pager.answer(
        following,
        |connection: &Connection| (connection.connected_at, connection.id.0),
        ConnectionView::from,
    )
}

/// Show a connection
#[utoipa::path(
    get,
    path = "/v1/connections/{id}",
    operation_id = "get_connection",
    tag = "Connections",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 200, description = "The connection.", body = ConnectionView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(connection): Path<String>,
    _: Params<NoQuery>,
) -> Result<Json<ConnectionView>, ApiError> {
    let found = api
        .store
        .connection(tenant, ConnectionId(id(&connection)?))
        .await?;
    found
        .map(|connection| Json(connection.into()))
        .ok_or_else(ApiError::not_found)
}

/// End a connection
///
/// After the answer nothing is written for the connection, and no call to Intercom begins. A repeat changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/connections/{id}",
    operation_id = "end_connection",
    tag = "Connections",
    params(("id" = Uuid, Path, description = "The connection's id."), EndQuery),
    responses((status = 202, description = "The connection has ended.", body = ConnectionView)),
)]
pub(crate) async fn end(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(connection): Path<String>,
    Params(query): Params<EndQuery>,
) -> Result<(StatusCode, Json<ConnectionView>), ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let data = match query.data {
        EndData::Retain => AfterDisconnect::Retain,
        EndData::Purge => AfterDisconnect::Purge,
    };
    let ended = end_connection(&api, tenant, actor, connection, data).await?;
    Ok((StatusCode::ACCEPTED, Json(ended.into())))
}

/// Ends a connection, for a program or for a page. Returns once nothing more is written and no call begins.
///
/// # Errors
/// If the tenant has no such connection, or Postgres fails.
pub(crate) async fn end_connection(
    api: &Api,
    tenant: TenantId,
    actor: Actor,
    connection: ConnectionId,
    data: AfterDisconnect,
) -> Result<Connection, ApiError> {
    let mut tries = 1..=TRIES;
    let ended = loop {
        match disconnect(api, tenant, actor, connection, data).await {
            Ok(ended) => break ended.ok_or_else(ApiError::not_found)?,
            Err(error) if error.is_transient() && tries.next().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    };
    if data == AfterDisconnect::Purge {
        pending::start(&api.store, tenant, Purge(connection)).await;
    }
    // A slice under way checks its fence at this interval, so after two of them it makes no more calls.
    tokio::time::sleep(2 * FENCE_RECHECK_INTERVAL).await;
    tracing::info!(%tenant, %connection, ?data, "connection ended");
    Ok(ended)
}

async fn disconnect(
    api: &Api,
    tenant: TenantId,
    actor: Actor,
    connection: ConnectionId,
    data: AfterDisconnect,
) -> Result<Option<Connection>, StoreError> {
    let mut tx = api.store.begin(tenant).await?;
    match tx.disconnect(connection, data).await? {
        None => return Ok(None),
        Some(Effect::Unchanged) => {}
        Some(Effect::Changed) => {
            let event = NewAuditEvent::new(actor, AuditAction::ConnectionEnded, connection.0);
            let details = json!({"data": data.as_str()});
            tx.add_audit_event(event.with(details)).await?;
        }
    }
    let ended = tx.connection(connection).await?;
    tx.commit().await?;
    Ok(ended)
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: connection.id,
            source: "intercom",
            state: connection.state.as_str(),
            workspace: WorkspaceView {
                id: connection.workspace_id,
                name: connection.workspace_name,
                region: connection.region,
                timezone: connection.timezone,
            },
            connected_at: connection.connected_at,
            last_synced_at: connection.last_synced_at,
            error: connection.error.map(|error| ErrorView {
                code: error.code,
                message: error.message,
                action: error.action,
            }),
        }
    }
}
