//! What operators do: look at dead letters and pauses, retry, drop, pause, resume.
//!
//! Behind the operator key, on the ops listener of any role. The command line calls exactly these.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    config::Config,
    domain::{Class, Stream, TenantId},
    queue::{PauseScope, Queue, QueueError, Ticket},
    store::{DeadFilter, DeadLetter, OperatorStore},
    vault,
};
use uuid::Uuid;

use super::why;
use crate::{
    StartError,
    caller::bearer,
    envelope,
    error::ApiError,
    extract::{Body, Params, id},
};

/// Letters taken by one call of the store: short transactions, however many are meant.
const BITE: i32 = 500;
/// Letters shown at once unless asked otherwise, and at most.
const SHOWN: i32 = 50;
const MOST_SHOWN: i32 = 200;

/// The operators' side of a process.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(super) store: OperatorStore,
    queue: Queue,
    key_sha256: Arc<[u8; 32]>,
}

/// Which letters, in a query or a body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    tenant_id: Option<TenantId>,
    stream: Option<Stream>,
    cause: Option<String>,
    /// Of a list: after this letter, and how many.
    cursor: Option<Uuid>,
    limit: Option<i32>,
    /// Of retry and drop: only count.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pausing {
    reason: Option<String>,
}

impl Operator {
    /// `None` when no operator key is configured: then nobody may.
    ///
    /// # Errors
    /// When Postgres cannot be reached.
    pub async fn open(config: &Config) -> Result<Option<Self>, StartError> {
        let Some(key) = &config.operator_key else {
            return Ok(None);
        };
        Ok(Some(Self {
            store: OperatorStore::connect(&config.database_url, 2).await?,
            queue: Queue::connect(config)?,
            key_sha256: Arc::new(vault::sha256(key.expose().as_bytes())),
        }))
    }

    /// The routes below `/ops`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/ops/dead", get(list))
            .route("/ops/dead/retry", post(retry_all))
            .route("/ops/dead/drop", post(drop_all))
            .route("/ops/dead/{id}", get(show))
            .route("/ops/dead/{id}/retry", post(retry_one))
            .route("/ops/dead/{id}/drop", post(drop_one))
            .route("/ops/queues", get(queues))
            .route("/ops/queues/{class}/pause", post(pause_class))
            .route("/ops/queues/{class}/resume", post(resume_class))
            .route("/ops/tenants/{id}/pause", post(pause_tenant))
            .route("/ops/tenants/{id}/resume", post(resume_tenant))
            .route("/ops/tenants/{id}/why", get(why::why))
            .route_layer(from_fn_with_state(self.clone(), gate))
            .layer(from_fn(envelope::envelope))
            .with_state(self)
    }
}

async fn gate(
    State(operator): State<Operator>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let presented = bearer(request.headers()).ok_or_else(ApiError::unauthorized)?;
    if !vault::constant_time_eq(&vault::sha256(presented.as_bytes()), &*operator.key_sha256) {
        return Err(ApiError::unauthorized());
    }
    Ok(next.run(request).await)
}

/// `GET /ops/dead`: oldest first, with how many the filter means in all.
async fn list(
    State(operator): State<Operator>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let most = wanted.limit.unwrap_or(SHOWN);
    if !(1..=MOST_SHOWN).contains(&most) {
        return Err(ApiError::invalid(
            "limit",
            format!("must be 1 to {MOST_SHOWN}"),
        ));
    }
    let (after, filter) = (wanted.cursor, wanted.into());
    let items = operator.store.dead_letters(&filter, after, most).await?;
    let next = (items.len() == most as usize)
        .then(|| items.last().map(|letter| letter.id))
        .flatten();
    let mut page =
        json!({"items": items, "count": operator.store.count_dead_letters(&filter).await?});
    if let Some(next) = next {
        page["next_cursor"] = json!(next);
    }
    Ok(Json(page))
}

/// `GET /ops/dead/{id}`
async fn show(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<DeadLetter>, ApiError> {
    let found = operator
        .store
        .dead_letters(&only(&letter)?, None, 1)
        .await?;
    found
        .into_iter()
        .next()
        .map(Json)
        .ok_or_else(ApiError::not_found)
}

async fn retry_one(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let filter = only(&letter)?;
    exists(&operator, &filter).await?;
    Ok(Json(json!({"retried": retry(&operator, &filter).await?})))
}

async fn drop_one(
    State(operator): State<Operator>,
    Path(letter): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let filter = only(&letter)?;
    exists(&operator, &filter).await?;
    Ok(Json(
        json!({"dropped": drop_letters(&operator, &filter).await?}),
    ))
}

/// `POST /ops/dead/retry {tenant_id?, stream?, cause?, dry_run?}`
async fn retry_all(
    State(operator): State<Operator>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let (dry_run, filter) = (wanted.dry_run, DeadFilter::from(wanted));
    let count = operator.store.count_dead_letters(&filter).await?;
    let retried = if dry_run {
        0
    } else {
        retry(&operator, &filter).await?
    };
    Ok(Json(
        json!({"count": count, "retried": retried, "dry_run": dry_run}),
    ))
}

/// `POST /ops/dead/drop {tenant_id?, stream?, cause?, dry_run?}`
async fn drop_all(
    State(operator): State<Operator>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let (dry_run, filter) = (wanted.dry_run, DeadFilter::from(wanted));
    let count = operator.store.count_dead_letters(&filter).await?;
    let dropped = if dry_run {
        0
    } else {
        drop_letters(&operator, &filter).await?
    };
    Ok(Json(
        json!({"count": count, "dropped": dropped, "dry_run": dry_run}),
    ))
}

async fn retry(operator: &Operator, filter: &DeadFilter) -> Result<usize, ApiError> {
    let mut retried = 0;
    loop {
        let due = operator.store.retry_dead_letters(filter, BITE).await?;
        let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
        operator.queue.push_due_tickets(&tickets).await;
        retried += due.len();
        if due.len() < BITE as usize {
            return Ok(retried);
        }
    }
}

async fn drop_letters(operator: &Operator, filter: &DeadFilter) -> Result<i64, ApiError> {
    let mut dropped = 0;
    loop {
        let closed = operator.store.drop_dead_letters(filter, BITE).await?;
        dropped += closed;
        if closed < i64::from(BITE) {
            return Ok(dropped);
        }
    }
}

/// `GET /ops/queues`: how deep, how old, what is paused.
async fn queues(State(operator): State<Operator>) -> Result<Json<Value>, ApiError> {
    let stats = operator
        .queue
        .stats()
        .await
        .map_err(|error| redis_away(&error))?;
    let class = |counts: shared::queue::TicketCounts,
                 tenants: u64,
                 oldest: Option<std::time::Duration>| {
        json!({
            "ready": counts.ready, "leased": counts.leased, "parked": counts.parked, "tenants": tenants,
            "oldest_ready_age_seconds": oldest.map(|age| age.as_secs_f64()),
        })
    };
    Ok(Json(json!({
        "tickets": stats.live,
        "classes": {
            "fresh": class(stats.fresh, stats.fresh_tenants, stats.oldest_fresh),
            "backfill": class(stats.backfill, stats.backfill_tenants, stats.oldest_backfill),
        },
        "paused": operator.store.pauses().await?,
    })))
}

async fn pause_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
    Body(pausing): Body<Pausing>,
) -> Result<Json<Value>, ApiError> {
    pause(&operator, class_scope(&class)?, pausing).await
}

async fn resume_class(
    State(operator): State<Operator>,
    Path(class): Path<String>,
) -> Result<Json<Value>, ApiError> {
    resume(&operator, class_scope(&class)?).await
}

async fn pause_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
    Body(pausing): Body<Pausing>,
) -> Result<Json<Value>, ApiError> {
    pause(&operator, tenant_scope(&operator, &tenant).await?, pausing).await
}

async fn resume_tenant(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, ApiError> {
    resume(&operator, tenant_scope(&operator, &tenant).await?).await
}

/// Postgres first: should Redis be away, the scheduler applies it within seconds.
async fn pause(
    operator: &Operator,
    scope: PauseScope,
    pausing: Pausing,
) -> Result<Json<Value>, ApiError> {
    if pausing
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > 500)
    {
        return Err(ApiError::invalid(
            "reason",
            "must have at most 500 characters",
        ));
    }
    operator
        .store
        .pause(&scope.to_string(), pausing.reason.as_deref())
        .await?;
    apply(operator.queue.pause(&[scope]).await);
    Ok(Json(json!({"scope": scope.to_string(), "paused": true})))
}

async fn resume(operator: &Operator, scope: PauseScope) -> Result<Json<Value>, ApiError> {
    operator.store.resume(&scope.to_string()).await?;
    apply(operator.queue.resume(&[scope]).await);
    Ok(Json(json!({"scope": scope.to_string(), "paused": false})))
}

fn apply(applied: Result<(), QueueError>) {
    if let Err(error) = applied {
        tracing::warn!(%error, "redis does not know of the pause yet: the scheduler will tell it");
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

fn only(letter: &str) -> Result<DeadFilter, ApiError> {
    Ok(DeadFilter {
        id: Some(id(letter)?),
        ..DeadFilter::default()
    })
}

async fn exists(operator: &Operator, filter: &DeadFilter) -> Result<(), ApiError> {
    if operator.store.count_dead_letters(filter).await? == 0 {
        Err(ApiError::not_found())
    } else {
        Ok(())
    }
}

fn redis_away(error: &QueueError) -> ApiError {
    tracing::warn!(%error, "redis does not answer");
    ApiError::unavailable()
}

impl From<Wanted> for DeadFilter {
    fn from(wanted: Wanted) -> Self {
        Self {
            id: None,
            tenant: wanted.tenant_id,
            stream: wanted.stream,
            cause: wanted.cause,
        }
    }
}
