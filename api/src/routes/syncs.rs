//! A connection's runs, and how complete its copy is.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    completeness::{self, StreamActivity, SyncStatus},
    domain::{
        ConnectionId, Mode, RunId, Stream,
        audit_event::{Actor, AuditAction, NewAuditEvent},
    },
    pacing::BudgetStatus,
    store::{
        Connection, RunRequest,
        reads::{Run, RunError},
    },
};
use utoipa::ToSchema;

use super::{
    ListQuery, Mark, NoQuery, before,
    sync_status::{RateView, SyncStatusView},
};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params, id},
    idempotency::Repeatable,
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of runs.
type RunList = ListView<RunView>;

/// A run to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    #[schema(value_type = words::Mode)]
    mode: Mode,
    /// All streams if it is left out.
    #[schema(value_type = Option<Vec<words::Stream>>, min_items = 1)]
    streams: Option<Vec<Stream>>,
}

/// Intercom's rate windows.
const WINDOW_SECONDS: u32 = 10;

/// One requested run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunView {
    #[schema(value_type = Uuid)]
    id: RunId,
    #[schema(value_type = words::Mode)]
    mode: String,
    #[schema(value_type = Vec<words::Stream>)]
    streams: Vec<String>,
    #[schema(value_type = words::RunStatus)]
    status: String,
    requested_at: DateTime<Utc>,
    /// Absent before its first walk has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    started_at: Option<DateTime<Utc>>,
    /// Absent before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<DateTime<Utc>>,
    /// What is held and expected of each stream that the run is done with.
    #[schema(value_type = Object)]
    counters: Value,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<RunErrorView>,
}

/// Why a run did not succeed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunError)]
struct RunErrorView {
    code: String,
    #[schema(required)]
    message: Option<String>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            mode: run.mode,
            streams: run.streams,
            status: run.status,
            requested_at: run.requested_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            counters: run.counters,
            error: run.error.map(RunErrorView::from),
        }
    }
}

impl From<RunError> for RunErrorView {
    fn from(error: RunError) -> Self {
        Self {
            code: error.code,
            message: error.message,
        }
    }
}

/// Show how complete a connection's copy is
///
/// How far each stream is, whether the copy is complete, since when, and why not.
#[utoipa::path(
    get,
    path = "/v1/connections/{id}/sync",
    operation_id = "get_sync_status",
    tag = "Syncs",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    responses((status = 200, description = "The status.", body = SyncStatusView)),
)]
pub(crate) async fn status(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(connection): Path<String>,
    _: Params<NoQuery>,
) -> Result<Json<SyncStatusView>, ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let mut tx = api.store.begin(tenant).await?;
    let workspace = tx
        .connection(connection)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let facts = tx
        .sync_facts(connection)
        .await?
        .ok_or_else(ApiError::not_found)?;
    // Redis may be slow, and it must not keep a session of Postgres from other requests.
    drop(tx);
    let status = completeness::judge(&facts);
    let (eta_seconds, rate) = foresee(&api, &workspace, &status).await;
    Ok(Json(SyncStatusView {
        eta_seconds,
        rate,
        ..status.into()
    }))
}

/// The seconds until the pending threads are fetched, if the rate limit alone decides it, and the budget if it is known.
pub(crate) async fn foresee(
    api: &Api,
    workspace: &Connection,
    status: &SyncStatus,
) -> (Option<u64>, Option<RateView>) {
    let intercom = &api.connect.intercom;
    let budget = intercom
        .budget_status(workspace.region, &workspace.workspace_id)
        .await;
    foreseen(budget, status)
}

/// The same, from a budget and our share of it. `None` if it is not known.
pub(crate) fn foreseen(
    budget: Option<(BudgetStatus, f64)>,
    status: &SyncStatus,
) -> (Option<u64>, Option<RateView>) {
    let eta_seconds = budget
        .filter(|_| is_foreseeable(status))
        .and_then(|(budget, _)| eta(status.threads.pending, budget.allowed));
    let rate = budget.map(|(budget, share)| rate(budget, share, Utc::now()));
    (eta_seconds, rate)
}

fn rate(budget: BudgetStatus, share: f64, now: DateTime<Utc>) -> RateView {
    RateView {
        limit: budget.limit,
        window_seconds: WINDOW_SECONDS,
        used: budget.used,
        calls_left: budget.allowed.saturating_sub(budget.used),
        resets_at: budget.reset_in.map(|left| (now + left).trunc_subsecs(3)),
        share,
    }
}

/// Whether the rate limit alone decides when the pending threads are fetched.
fn is_foreseeable(status: &SyncStatus) -> bool {
    let mut streams = status.streams.iter();
    let threads = streams.find(|stream| stream.stream == Stream::Threads);
    status.threads_waiting == 0
        && threads.is_some_and(|threads| {
            !matches!(
                threads.status,
                StreamActivity::Blocked | StreamActivity::Failed
            )
        })
}

/// Seconds, if there is anything to fetch.
fn eta(pending: i64, allowed: u32) -> Option<u64> {
    let pending = u64::try_from(pending).ok().filter(|pending| *pending > 0)?;
    Some((pending * u64::from(WINDOW_SECONDS)).div_ceil(u64::from(allowed.max(1))))
}

/// Request a run
#[utoipa::path(
    post,
    path = "/v1/connections/{id}/syncs",
    operation_id = "request_run",
    tag = "Syncs",
    params(("id" = Uuid, Path, description = "The connection's id.")),
    request_body(content = NewRun, example = json!({"mode": "incremental"})),
    responses((status = 202, description = "The run is queued.", body = RunView)),
    extensions(("x-problems" = json!(["run_already_active", "connection_not_active"]))),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(connection): Path<String>,
    repeatable: Repeatable,
    _: Params<NoQuery>,
    JsonBody(new): JsonBody<NewRun>,
) -> Result<Response, ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let streams = selected(new.streams)?;
    let mut tx = api.store.begin(tenant).await?;
    match tx.request_run(connection, new.mode, &streams).await? {
        None => Err(ApiError::not_found()),
        Some(RunRequest::Queued(run)) => {
            tx.add_audit_event(sync_requested(actor, connection, &run))
                .await?;
            // The tickets follow the commit. A worker that is faster would find streams that are not due.
            let view = RunView::from(run);
            let answer = repeatable.commit(tx, StatusCode::ACCEPTED, &view).await?;
            api.queue.push_due(tenant, connection, &streams).await;
            Ok(answer)
        }
        Some(RunRequest::AlreadyActive(run)) => {
            // Streams that had failed are due again.
            tx.commit().await?;
            api.queue.push_due(tenant, connection, &streams).await;
            Err(already_active(run))
        }
        Some(RunRequest::NotActive(state)) => Err(ApiError::connection_not_active(state)),
    }
}

/// The audit event of a run that was queued.
pub(crate) fn sync_requested(actor: Actor, connection: ConnectionId, run: &Run) -> NewAuditEvent {
    let event = NewAuditEvent::new(actor, AuditAction::SyncRequested, connection.0);
    event.with(json!({"run_id": run.id, "mode": run.mode, "streams": run.streams}))
}

/// List runs
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/connections/{id}/syncs",
    operation_id = "list_runs",
    tag = "Syncs",
    params(("id" = Uuid, Path, description = "The connection's id."), ListQuery),
    responses((status = 200, description = "A page of runs.", body = RunList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(connection): Path<String>,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let connection = ConnectionId(id(&connection)?);
    let pager = Pager::new(
        &api.vault,
        tenant,
        &format!("syncs?connection={connection}"),
        query.limit,
    )?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    if tx.connection(connection).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let runs = tx.runs(connection, before(at), pager.fetch()).await?;
    pager.answer(runs, |run| (run.requested_at, run.id.0), RunView::from)
}

/// Show a run
#[utoipa::path(
    get,
    path = "/v1/connections/{id}/syncs/{run}",
    operation_id = "get_run",
    tag = "Syncs",
    params(
        ("id" = Uuid, Path, description = "The connection's id."),
        ("run" = Uuid, Path, description = "The run's id."),
    ),
    responses((status = 200, description = "The run.", body = RunView)),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path((connection, run)): Path<(String, String)>,
    _: Params<NoQuery>,
) -> Result<Json<RunView>, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let run = tx
        .run(ConnectionId(id(&connection)?), RunId(id(&run)?))
        .await?;
    run.map(|run| Json(run.into()))
        .ok_or_else(ApiError::not_found)
}

/// Each named stream once, in the order of the data. All streams if none are named.
fn selected(named: Option<Vec<Stream>>) -> Result<Vec<Stream>, ApiError> {
    match named {
        None => Ok(Stream::ALL.to_vec()),
        Some(mut streams) => {
            streams.sort_unstable();
            streams.dedup();
            if streams.is_empty() {
                return Err(ApiError::invalid(
                    "streams",
                    "must name at least one stream, or be left out for all",
                ));
            }
            Ok(streams)
        }
    }
}

/// The problem, with the members of the run that already does what was asked for. `status` is a member
/// of both and stays the problem's, so the run is given in `run` once more.
fn already_active(run: Run) -> ApiError {
    let error = ApiError::run_already_active();
    let Ok(Value::Object(view)) = serde_json::to_value(RunView::from(run)) else {
        return error;
    };
    let mut more = view.clone();
    more.insert("run".to_owned(), view.into());
    error.with(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_says_what_is_left_of_our_share_and_how_long_the_backlog_takes() {
        let budget = BudgetStatus {
            limit: 167,
            allowed: 133,
            used: 100,
            reset_in: Some(std::time::Duration::from_millis(2_500)),
        };
        let now = DateTime::from_timestamp(1_000, 0).unwrap();
        let view = rate(budget, 0.8, now);
        assert_eq!((view.limit, view.used, view.calls_left), (167, 100, 33));
        assert_eq!(view.resets_at, DateTime::from_timestamp_millis(1_002_500));
        assert_eq!(
            rate(
                BudgetStatus {
                    used: 167,
                    ..budget
                },
                0.8,
                now
            )
            .calls_left,
            0
        );
        assert_eq!(
            (eta(0, 133), eta(1, 133), eta(1_330, 133), eta(5, 0)),
            (None, Some(1), Some(100), Some(50))
        );
    }

    #[test]
    fn streams_are_counted_once_and_default_to_all() {
        assert_eq!(selected(None).unwrap(), Stream::ALL);
        let twice = vec![Stream::Threads, Stream::Contacts, Stream::Threads];
        assert_eq!(
            selected(Some(twice)).unwrap(),
            [Stream::Contacts, Stream::Threads]
        );
        assert!(selected(Some(Vec::new())).is_err());
    }
}
