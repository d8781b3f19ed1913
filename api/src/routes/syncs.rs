//! A connection's runs, and how complete its mirror is.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{
    domain::{ConnectionId, Mode, RunId, Stream, TenantId},
    queue::Ticket,
    store::{
        RunRequest,
        reads::{Run, SyncStatus},
    },
};

use super::{ListQuery, Mark, before};
use crate::{
    Api,
    caller::Tenant,
    error::ApiError,
    extract::{Body, Params, id},
    page::Pager,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    mode: Mode,
    streams: Option<Vec<Stream>>,
}

/// `GET /v1/connections/{id}/sync`
pub(crate) async fn status(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(connection): Path<String>,
) -> Result<Json<SyncStatus>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let status = tx.sync_status(ConnectionId(id(&connection)?)).await?;
    status.map(Json).ok_or_else(ApiError::not_found)
}

/// `POST /v1/connections/{id}/syncs {mode, streams?}`
pub(crate) async fn create(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(connection): Path<String>,
    Body(new): Body<NewRun>,
) -> Result<Response, ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let streams = chosen(new.streams)?;
    let mut tx = api.store.begin(tenant).await?;
    match tx.request_run(connection, new.mode, &streams).await? {
        None => Err(ApiError::not_found()),
        Some(RunRequest::Queued(run)) => {
            tx.commit().await?;
            push(&api, tenant, connection, &streams).await;
            Ok((StatusCode::ACCEPTED, Json(run)).into_response())
        }
        Some(RunRequest::AlreadyActive(run)) => Err(already_active(&run)),
        Some(RunRequest::NotActive(state)) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "connection_not_active",
            format!("the connection is {}: connect the workspace again first", state.as_str()),
        )),
    }
}

/// `GET /v1/connections/{id}/syncs`: newest first.
pub(crate) async fn list(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path(connection): Path<String>,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let pager = Pager::new(&api.vault, tenant, &format!("syncs?connection={connection}"), query.limit)?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    if tx.connection(connection).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let runs = tx.runs(connection, before(at), pager.fetch()).await?;
    pager.answer(runs, |run| (run.requested_at, run.id.0))
}

/// `GET /v1/connections/{id}/syncs/{run}`
pub(crate) async fn show(
    State(api): State<Api>,
    Tenant(tenant): Tenant,
    Path((connection, run)): Path<(String, String)>,
) -> Result<Json<Run>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let run = tx.run(ConnectionId(id(&connection)?), RunId(id(&run)?)).await?;
    run.map(Json).ok_or_else(ApiError::not_found)
}

/// Each stream once, in the order of the data; all of them unless some are named.
fn chosen(named: Option<Vec<Stream>>) -> Result<Vec<Stream>, ApiError> {
    match named {
        None => Ok(Stream::ALL.to_vec()),
        Some(mut streams) => {
            streams.sort_unstable();
            streams.dedup();
            if streams.is_empty() {
                return Err(ApiError::invalid("streams", "must name at least one stream, or be left out for all"));
            }
            Ok(streams)
        }
    }
}

/// The run that does what was asked for, beside the problem. `status` stays the problem's own number;
/// the run's is in `run`.
fn already_active(run: &Run) -> ApiError {
    let error = ApiError::new(StatusCode::CONFLICT, "run_already_active", "an equal run is not finished: this one");
    let Ok(serde_json::Value::Object(view)) = serde_json::to_value(run) else { return error };
    let mut more = view.clone();
    more.insert("run".to_owned(), view.into());
    error.with(more)
}

/// Tells the workers at once; a ticket that is lost here comes with the scheduler's next round.
async fn push(api: &Api, tenant: TenantId, connection: ConnectionId, streams: &[Stream]) {
    let tickets: Vec<Ticket> = streams.iter().map(|stream| Ticket::new(tenant, connection, *stream)).collect();
    if let Err(error) = api.queue.push(&tickets).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a run's tickets were not pushed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_counted_once_and_default_to_all() {
        assert_eq!(chosen(None).unwrap(), Stream::ALL);
        let twice = vec![Stream::Threads, Stream::Contacts, Stream::Threads];
        assert_eq!(chosen(Some(twice)).unwrap(), [Stream::Contacts, Stream::Threads]);
        assert!(chosen(Some(Vec::new())).is_err());
    }
}
