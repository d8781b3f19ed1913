//! The ops listener of every role: liveness, readiness, metrics, and the operators' routes and pages.
//!
//! It is a listener of its own, because its first three routes need no key and tenants must not reach
//! them.

mod actions;
mod bounded;
mod bulk;
mod dead_letters;
mod events;
pub mod fleet_views;
mod jobs;
mod keys;
mod operator;
pub mod origin;
mod overview;
mod pages;
mod paging;
mod pauses;
mod queues;
mod ready;
mod schedule;
mod snapshot;
mod stages;
mod tenant;
mod tenant_names;
mod tenants;
pub mod views;
mod why;

use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use ready::Readiness;
use shared::{
    pulse::Pulse,
    queue::Queue,
    shutdown::Shutdown,
    store::{Database, Store, roles::DbRole},
    telemetry::{self, FleetRecorder},
};
use tokio::net::TcpListener;

use crate::serve;

pub use operator::Operator;

/// A loop that has not come round for this long hangs. Every step of a loop has a shorter time limit.
pub const STUCK: Duration = Duration::from_secs(60);

/// Requests of probes and operators are short.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

type Alive = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
type Sample = Arc<dyn Fn() + Send + Sync>;
/// Sessions that are open, and those of them that are idle.
type PoolUse = Arc<dyn Fn() -> (u32, usize) + Send + Sync>;

/// What a role shows: its signs of life, its checks, and gauges that are set when metrics are read.
#[derive(Clone, Default)]
pub struct Ops {
    alive: Vec<Alive>,
    readiness: Readiness,
    samples: Vec<Sample>,
    pool: Option<PoolUse>,
    fleet: FleetRecorder,
}

impl Ops {
    /// Without checks, so ready as soon as it listens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check of a server that the role cannot work without, such as `postgres`.
    #[must_use]
    pub fn check<F, Answer, E>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.readiness.add(name, check);
        self
    }

    /// Adds the checks of both servers.
    #[must_use]
    pub fn servers<R: DbRole>(self, store: Store<R>, queue: Queue) -> Self {
        self.check("postgres", move || {
            let store = store.clone();
            async move { store.readiness().await }
        })
        .check("redis", move || {
            let queue = queue.clone();
            async move { queue.check_writable().await }
        })
    }

    /// Not ready any more from the shutdown on, although the role may serve on for a while.
    #[must_use]
    pub fn ready_until(mut self, stopping: Shutdown) -> Self {
        self.readiness.until(stopping);
        self
    }

    /// Adds a sign of life. An error means that the process hangs and should be restarted. A sign must
    /// not depend on a server, because a restart of ours does not bring a server back.
    #[must_use]
    pub fn alive(mut self, sign: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.alive.push(Arc::new(sign));
        self
    }

    /// Adds a loop whose progress is a sign of life.
    #[must_use]
    pub fn alive_while(self, part: &'static str, pulse: Pulse) -> Self {
        self.alive(move || match pulse.silence() {
            silence if silence > STUCK => Err(format!(
                "{part} has made no progress for {} s",
                silence.as_secs()
            )),
            _ => Ok(()),
        })
    }

    /// Adds the gauges of the process' database sessions.
    #[must_use]
    pub fn pool(mut self, database: Database) -> Self {
        self.pool = Some(Arc::new(move || database.pool_use()));
        self
    }

    /// Adds the metrics of the whole fleet, while this process exports them.
    #[must_use]
    pub fn fleet(mut self, recorder: FleetRecorder) -> Self {
        self.fleet = recorder;
        self
    }

    /// Adds gauges that are set just before metrics are shown.
    #[must_use]
    pub fn sample(mut self, sample: impl Fn() + Send + Sync + 'static) -> Self {
        self.samples.push(Arc::new(sample));
        self
    }

    /// `/livez`, `/readyz`, `/metrics`, and the operators' routes if a key is configured.
    pub fn router(self, operator: Option<Operator>) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
            .merge(operator.map_or_else(Router::new, Operator::router))
    }
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.readiness.names()).finish()
    }
}

/// Serves `router` (of [`Ops::router`], and more routes if the role has them) until `shutdown`.
/// The address that was bound is printed to stderr, because port 0 picks any.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: SocketAddr, router: Router, shutdown: Shutdown) -> std::io::Result<()> {
    // The recorder must be there before the first metric is counted.
    telemetry::metrics();
    let listener = TcpListener::bind(address).await?;
    eprintln!("ops listening on http://{}", listener.local_addr()?);
    // Streams of news hear of the shutdown by it, because the server waits for their end.
    let router = router.layer(Extension(shutdown.clone()));
    serve::serve(listener, router, shutdown, DRAIN_LIMIT, Pulse::default()).await;
    Ok(())
}

async fn live(State(ops): State<Ops>) -> (StatusCode, String) {
    let dead = ops.alive.iter().find_map(|sign| sign().err());
    dead.map_or_else(
        || (StatusCode::OK, "ok\n".to_owned()),
        |why| (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    )
}

async fn ready(State(ops): State<Ops>) -> Response {
    ops.readiness.answer().await
}

fn publish_pool((open, idle): (u32, usize)) {
    metrics::gauge!("pathbound_db_pool_connections", "state" => "open").set(f64::from(open));
    metrics::gauge!("pathbound_db_pool_connections", "state" => "idle").set(idle as f64);
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    for sample in &ops.samples {
        sample();
    }
    if let Some(pool) = &ops.pool {
        publish_pool(pool());
    }
    let recorder = telemetry::metrics();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        recorder.render() + &ops.fleet.render(),
    )
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn get(ops: Ops, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = ops.router(None).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_the_checks_and_liveness_does_not() {
        let ops = Ops::new()
            .check("postgres", || async { Ok::<_, String>(()) })
            .check("redis", || async { Err("connection refused") });
        let (status, body) = get(ops.clone(), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({"ready": false, "checks": {"postgres": "ok", "redis": "connection refused"}})
        );
        assert_eq!(get(ops.clone(), "/livez").await.0, StatusCode::OK);
        let (status, why) = get(ops.alive(|| Err("hangs".to_owned())), "/livez").await;
        assert_eq!(
            (status, why.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "hangs\n")
        );
        assert_eq!(get(Ops::new(), "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_sampled_when_they_are_asked_for() {
        telemetry::metrics();
        let ops = Ops::new().sample(|| {
            metrics::gauge!("pathbound_db_pool_connections", "state" => "idle").set(3.0);
        });
        let (_, body) = get(ops, "/metrics").await;
        assert!(
            body.contains("pathbound_db_pool_connections{state=\"idle\"} 3"),
            "{body}"
        );
    }
}
