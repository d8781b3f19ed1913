//! Connections: started with a link, listed, shown and ended.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::{ConnectionId, Region, TenantId},
    store::{AfterDisconnect, Connection, StoreError},
    sync::{FENCE_RECHECK_INTERVAL, connect},
};

use super::{ListQuery, Mark};
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{JsonBody, Params, id},
    page::Pager,
    purge,
};

/// The end of a connection may deadlock with the transactions of workers, and Postgres may choose it as
/// the victim. It is then tried again.
const TRIES: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectRequest {
    #[serde(default)]
    region: Region,
}

#[derive(Debug, Serialize)]
pub(crate) struct StartView {
    start_url: String,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndQuery {
    #[serde(default)]
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

#[derive(Debug, Serialize)]
pub(crate) struct ConnectionView {
    id: ConnectionId,
    source: &'static str,
    state: &'static str,
    workspace: WorkspaceView,
    connected_at: DateTime<Utc>,
    last_synced_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

#[derive(Debug, Serialize)]
struct WorkspaceView {
    id: String,
    name: String,
    region: Region,
    timezone: String,
}

#[derive(Debug, Serialize)]
struct ErrorView {
    code: String,
    message: String,
    action: String,
}

/// `POST /v1/integrations/intercom/connect {region?}`: a link for the customer's browser.
pub(crate) async fn connect(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    JsonBody(request): JsonBody<ConnectRequest>,
) -> Result<(StatusCode, Json<StartView>), ApiError> {
    let started = connect::start(&api.connect.store, tenant, request.region).await?;
    let start_url = format!(
        "{}/oauth/intercom/start?flow={}",
        api.config.public_url,
        started.start_token.expose()
    );
    Ok((
        StatusCode::CREATED,
        Json(StartView {
            start_url,
            expires_at: started.expires_at,
        }),
    ))
}

/// `GET /v1/connections`: oldest first. A tenant has few, so they are paged here and not in SQL.
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

/// `GET /v1/connections/{id}`
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(connection): Path<String>,
) -> Result<Json<ConnectionView>, ApiError> {
    let found = api
        .store
        .connection(tenant, ConnectionId(id(&connection)?))
        .await?;
    found
        .map(|connection| Json(connection.into()))
        .ok_or_else(ApiError::not_found)
}

/// `DELETE /v1/connections/{id}?data=retain|purge`. After the answer nothing is written for the
/// connection, and no call to Intercom begins.
pub(crate) async fn end(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(connection): Path<String>,
    Params(query): Params<EndQuery>,
) -> Result<(StatusCode, Json<ConnectionView>), ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let data = match query.data {
        EndData::Retain => AfterDisconnect::Retain,
        EndData::Purge => AfterDisconnect::Purge,
    };
    let mut tries = 1..=TRIES;
    let ended = loop {
        match disconnect(&api, tenant, connection, data).await {
            Ok(ended) => break ended.ok_or_else(ApiError::not_found)?,
            Err(error) if error.is_transient() && tries.next().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    };
    if data == AfterDisconnect::Purge {
        purge::start(&api.store, tenant, connection).await;
    }
    // A slice under way checks its fence at this interval, so after two of them it makes no more calls.
    tokio::time::sleep(2 * FENCE_RECHECK_INTERVAL).await;
    tracing::info!(%tenant, %connection, ?data, "connection ended");
    Ok((StatusCode::ACCEPTED, Json(ended.into())))
}

async fn disconnect(
    api: &Api,
    tenant: TenantId,
    connection: ConnectionId,
    data: AfterDisconnect,
) -> Result<Option<Connection>, StoreError> {
    let mut tx = api.store.begin(tenant).await?;
    if !tx.disconnect(connection, data).await? {
        return Ok(None);
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
