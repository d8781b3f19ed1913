//! The operators' routes: the overview, tenants, tickets, dead letters, pauses, and what happened.
//!
//! They need the operator key and are served on the ops listener of every role. The command line
//! calls exactly these. The viewer key opens those that only read.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use shared::{
    config::Config,
    domain::Secret,
    pacing::Pacing,
    queue::Queue,
    store::{Database, OperatorStore},
    vault::{self, KeyRing},
};
use tower::ServiceExt;

use super::{
    actions, bulk, dead_letters, events, jobs,
    keys::{OpsKeys, OpsRole},
    overview,
    pages::{self, KeptPages, SignInAttempts, Streams},
    pauses, queues, schedule,
    snapshot::Snapshot,
    tenant, tenants, why,
};
use crate::{StartError, caller::bearer, envelope, error::ApiError};

/// What the operators' handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(super) store: OperatorStore,
    pub(super) queue: Queue,
    pub(super) pacing: Pacing,
    pub(super) snapshot: Snapshot,
    /// It makes the codes of sessions and forms.
    pub(super) vault: Arc<KeyRing>,
    pub(super) keys: OpsKeys,
    pub(super) kept_pages: KeptPages,
    pub(super) attempts: SignInAttempts,
    pub(super) streams: Streams,
}

impl Operator {
    /// `None` if no key of operators or viewers is configured, because then no caller could prove to be one.
    ///
    /// # Errors
    /// If the Redis URL cannot be used.
    pub fn open(config: &Config, database: &Database) -> Result<Option<Self>, StartError> {
        let key = config.operator_key.as_ref().or(config.viewer_key.as_ref());
        let Some(key) = key else {
            return Ok(None);
        };
        Ok(Some(Self {
            store: database.store(),
            queue: Queue::connect(config)?,
            pacing: Pacing::open(config)?,
            snapshot: Snapshot::new(),
            vault: Arc::new(ring(config, key)?),
            kept_pages: KeptPages::default(),
            attempts: SignInAttempts::default(),
            streams: Streams::default(),
            keys: OpsKeys::of(config),
        }))
    }

    /// The routes below `/ops`: the calls, and the same paths as pages for browsers.
    pub fn router(self) -> Router {
        let (calls, pages) = (self.clone().calls(), pages::routes(self));
        Router::new().fallback(move |request: Request| {
            let router = if pages::is_for_browser(&request) {
                pages.clone()
            } else {
                calls.clone()
            };
            async move {
                match router.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
        })
    }

    fn calls(self) -> Router {
        Router::new()
            .route("/ops/overview", get(overview::show))
            .route("/ops/actions", get(actions::list))
            .route("/ops/dead", get(dead_letters::list))
            .route("/ops/dead/causes", get(dead_letters::list_causes))
            .route("/ops/dead/retry", post(dead_letters::retry_all))
            .route("/ops/dead/drop", post(dead_letters::drop_all))
            .route("/ops/dead/bulk", get(bulk::list))
            .route("/ops/dead/bulk/{id}", get(bulk::show))
            .route("/ops/dead/bulk/{id}/cancel", post(bulk::cancel))
            .route("/ops/dead/{id}", get(dead_letters::show))
            .route("/ops/dead/{id}/retry", post(dead_letters::retry_one))
            .route("/ops/dead/{id}/drop", post(dead_letters::drop_one))
            .route("/ops/events", get(events::list))
            .route("/ops/queues", get(queues::show))
            .route("/ops/queues/{class}/pause", post(pauses::pause_class))
            .route("/ops/queues/{class}/resume", post(pauses::resume_class))
            .route("/ops/jobs", get(jobs::list))
            .route("/ops/jobs/{*ticket}", get(jobs::show))
            .route("/ops/schedule", get(schedule::list))
            .route("/ops/tenants", get(tenants::list))
            .route("/ops/tenants/{id}", get(tenant::show))
            .route("/ops/tenants/{id}/pause", post(pauses::pause_tenant))
            .route("/ops/tenants/{id}/resume", post(pauses::resume_tenant))
            .route("/ops/tenants/{id}/why", get(why::why))
            .route_layer(from_fn_with_state(self.clone(), gate))
            .layer(from_fn(envelope::envelope))
            .with_state(self)
    }
}

/// The process' key ring. A scheduler may have no encryption keys, and then the operator key makes a ring of its own, whose
/// sessions only processes without keys accept.
fn ring(config: &Config, key: &Secret) -> Result<KeyRing, StartError> {
    let configured = config.encryption_keys.expose();
    if !configured.is_empty() {
        return Ok(KeyRing::parse(configured)?);
    }
    let derived = vault::derived_token(&["operator pages", key.expose()]);
    let bytes = vault::sha256(derived.expose().as_bytes());
    Ok(KeyRing::parse(&format!(
        "operator:{}",
        STANDARD.encode(bytes)
    ))?)
}

async fn gate(
    State(operator): State<Operator>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let presented = bearer(request.headers()).ok_or_else(ApiError::unauthorized)?;
    let role = operator.keys.role_of(presented);
    match role.ok_or_else(ApiError::unauthorized)? {
        OpsRole::Viewer if !request.method().is_safe() => Err(ApiError::operator_key_required()),
        OpsRole::Viewer | OpsRole::Operator => Ok(next.run(request).await),
    }
}
