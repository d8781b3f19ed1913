//! One tenant: why it is in its state, its streams, runs and rate limit, and what was given up or kept out.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::Utc;
use shared::{
    completeness::{self, Facts, SyncStatus},
    domain::{ConnectionId, Stream, TenantId},
    queue::Ticket,
    store::{
        Connection, DeadLetterFilter, HeldObject, OperatorTx, Pause, StreamWork,
        reads::{Position, Run},
    },
};

use super::{
    bounded::{bounded, promptly},
    fleet_views::{
        HeldObjectView, JobView, KindCountView, QuarantineView, StreamWorkView,
        TenantConnectionView, TenantRunView, TenantStreamView, TenantView,
    },
    jobs,
    operator::Operator,
    stages::{ConnectionWork, stage_name, stages},
    views::{DeadLetterView, PauseView, StreamStatusView},
    why::{self, Said},
};
use crate::{error::ApiError, extract::id, routes::syncs};

/// Runs of a connection that are shown.
const RUNS: i64 = 10;
/// Dead letters of a tenant that are shown.
const LETTERS: i32 = 50;
/// Objects in quarantine that are shown of each connection.
const EXAMPLES: i64 = 20;

/// What Postgres says of one connection.
struct ConnectionReading {
    connection: Connection,
    facts: Facts,
    status: SyncStatus,
    work: Vec<StreamWork>,
    runs: Vec<Run>,
    examples: Vec<HeldObject>,
}

/// `GET /ops/tenants/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
) -> Result<Json<TenantView>, ApiError> {
    let tenant = TenantId(id(&tenant)?);
    read(&operator, tenant).await.map(Json)
}

/// One tenant.
///
/// # Errors
/// If there is no such tenant, or Postgres does not answer.
pub(super) async fn read(operator: &Operator, tenant: TenantId) -> Result<TenantView, ApiError> {
    bounded(read_all(operator, tenant)).await
}

async fn read_all(operator: &Operator, tenant: TenantId) -> Result<TenantView, ApiError> {
    let mut tx = operator.store.inspect(tenant).await?;
    let (name, created_at) = tx.tenant_name().await?.ok_or_else(ApiError::not_found)?;
    let paused = tx.pauses_over(&[tenant.0]).await?;
    let mut readings = Vec::new();
    for connection in tx.connections().await? {
        readings.extend(read_connection(&mut tx, connection).await?);
    }
    // Redis may be slow, and it must not keep a session of Postgres from other requests.
    drop(tx);
    let filter = DeadLetterFilter {
        tenant: Some(tenant),
        ..DeadLetterFilter::default()
    };
    let letters = operator.store.dead_letters(&filter, None, LETTERS).await?;
    let connections = readings.iter().map(|reading| reading.connection.id);
    let jobs = jobs_of(operator, tenant, connections).await;
    let work: Vec<_> = readings
        .iter()
        .map(|reading| ConnectionWork {
            id: reading.connection.id,
            state: reading.connection.state,
            streams: &reading.work,
        })
        .collect();
    let stages = jobs
        .as_ref()
        .map(|jobs| stages(&work, jobs, &paused, Utc::now()));
    let mut connections = Vec::new();
    for reading in readings {
        connections.push(connection_view(operator, reading, jobs.as_deref(), &paused).await);
    }
    let said: Vec<_> = connections
        .iter()
        .map(|connection| Said {
            state: &connection.state,
            complete: connection.complete,
            sentence: &connection.sentence,
        })
        .collect();
    Ok(TenantView {
        id: tenant,
        name,
        created_at,
        sentence: why::sentence(&paused, &said),
        paused: paused.into_iter().map(PauseView::from).collect(),
        connections,
        dead_letters: letters.into_iter().map(DeadLetterView::from).collect(),
        jobs,
        stages,
    })
}

async fn read_connection(
    tx: &mut OperatorTx,
    connection: Connection,
) -> Result<Option<ConnectionReading>, ApiError> {
    let id = connection.id;
    let Some(facts) = tx.sync_facts(id).await? else {
        return Ok(None);
    };
    Ok(Some(ConnectionReading {
        status: completeness::judge(&facts),
        facts,
        work: tx.stream_work(id).await?,
        runs: tx.runs(id, Position::newest(), RUNS).await?,
        examples: tx.held_objects(id, EXAMPLES).await?,
        connection,
    }))
}

/// The live tickets of a tenant with these connections. `None` if Redis is away.
pub(super) async fn jobs_of(
    operator: &Operator,
    tenant: TenantId,
    connections: impl Iterator<Item = ConnectionId>,
) -> Option<Vec<JobView>> {
    let tickets: Vec<Ticket> = connections
        .flat_map(|connection| {
            Stream::ALL
                .iter()
                .map(move |stream| Ticket::new(tenant, connection, *stream))
        })
        .collect();
    let found = promptly(operator.queue.find_tickets(&tickets))
        .await?
        .ok()?;
    Some(found.iter().map(jobs::view).collect())
}

/// Without tickets Redis has just not answered, so that it is not asked for the rate limit.
async fn connection_view(
    operator: &Operator,
    reading: ConnectionReading,
    jobs: Option<&[JobView]>,
    pauses: &[Pause],
) -> TenantConnectionView {
    let connection = reading.connection;
    let pacing = &operator.pacing;
    let budget = if jobs.is_some() {
        let budget = pacing.status(connection.region, &connection.workspace_id);
        budget.await.map(|budget| (budget, pacing.max_share()))
    } else {
        None
    };
    let (eta_seconds, rate) = syncs::foreseen(budget, &reading.status);
    let quarantine = quarantine(&reading.facts, reading.examples);
    let status = reading.status;
    let now = Utc::now();
    let streams = status
        .streams
        .into_iter()
        .map(|stream| {
            let its = |work: &&StreamWork| work.stream == stream.stream.as_str();
            let work = reading.work.iter().find(its);
            let stage = work.zip(jobs).and_then(|(work, jobs)| {
                let state = connection.state;
                stage_name(connection.id, state, work, jobs, pauses, now)
            });
            TenantStreamView {
                stage: stage.map(str::to_owned),
                work: work.map(StreamWorkView::from),
                status: StreamStatusView::from(stream),
            }
        })
        .collect();
    TenantConnectionView {
        id: connection.id,
        workspace_id: connection.workspace_id,
        state: connection.state.as_str().to_owned(),
        connected_at: connection.connected_at,
        complete: status.complete,
        sentence: status.sentence,
        reasons: status.reasons.into_iter().map(Into::into).collect(),
        notes: status.notes.into_iter().map(Into::into).collect(),
        streams,
        threads: status.threads.into(),
        eta_seconds,
        rate,
        runs: reading.runs.into_iter().map(TenantRunView::from).collect(),
        quarantine,
    }
}

fn quarantine(facts: &Facts, examples: Vec<HeldObject>) -> QuarantineView {
    let count = |kind: &str, count| KindCountView {
        kind: kind.to_owned(),
        count,
    };
    let mut unreadable: Vec<_> = facts
        .quarantined
        .iter()
        .map(|of_kind| count(&of_kind.kind, of_kind.count))
        .collect();
    if facts.quarantined_parts > 0 {
        unreadable.push(count("part", facts.quarantined_parts));
    }
    QuarantineView {
        unreadable,
        set_aside: facts
            .set_aside
            .iter()
            .map(|of_kind| count(&of_kind.kind, of_kind.count))
            .collect(),
        examples: examples.into_iter().map(HeldObjectView::from).collect(),
    }
}

impl From<&StreamWork> for StreamWorkView {
    fn from(work: &StreamWork) -> Self {
        Self {
            due_at: work.due_at,
            ticketed_at: work.ticketed_at,
            fence: work.fence,
            attempts: work.attempts,
            restarts: work.restarts,
            next_mode: work.mode.clone(),
            progress_at: work.progress_at,
            last_error: work.last_error.clone(),
            failing_since: work.failing_since,
            failed_at: work.failed_at,
        }
    }
}

impl From<Run> for TenantRunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            mode: run.mode,
            streams: run.streams,
            status: run.status,
            requested_at: run.requested_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            error: run.error.map(|error| error.message.unwrap_or(error.code)),
        }
    }
}

impl From<HeldObject> for HeldObjectView {
    fn from(object: HeldObject) -> Self {
        Self {
            kind: object.kind,
            source_id: object.source_id,
            last_seen_at: object.last_seen_at,
            set_aside: object.is_set_aside,
            trouble: object.trouble,
            next_try_at: object.next_try_at,
            masked_reason: object.masked_reason,
            masked_raw: object.masked_raw,
        }
    }
}
