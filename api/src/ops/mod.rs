//! The ops listener of every role: liveness, readiness, metrics, and the operators' routes.
//!
//! It is a listener of its own, because its first three routes need no key and tenants must not reach
//! them.

mod dead_letters;
mod events;
mod operator;
mod pauses;
mod queues;
pub mod views;
mod why;

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Map, Value, json};
use shared::{
    queue::Queue,
    shutdown::Shutdown,
    store::{Store, roles::DbRole},
    telemetry,
};
use tokio::net::TcpListener;

pub use operator::Operator;

/// A check that has not answered after this time has failed.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

type Check =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;
type Alive = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
type Sample = Arc<dyn Fn() + Send + Sync>;

/// What a role shows: its signs of life, its checks, and gauges that are set when metrics are read.
#[derive(Clone, Default)]
pub struct Ops {
    alive: Vec<Alive>,
    checks: Vec<(&'static str, Check)>,
    samples: Vec<Sample>,
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
        let check: Check = Arc::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        });
        self.checks.push((name, check));
        self
    }

    /// Adds the checks of both servers.
    #[must_use]
    pub fn servers<R: DbRole>(self, store: Store<R>, queue: Queue) -> Self {
        self.check("postgres", move || {
            let store = store.clone();
            async move { store.ping().await }
        })
        .check("redis", move || {
            let queue = queue.clone();
            async move { queue.ping().await }
        })
    }

    /// Adds a sign of life. An error means that the process hangs and should be restarted. A sign must
    /// not depend on a server, because a restart of ours does not bring a server back.
    #[must_use]
    pub fn alive(mut self, sign: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.alive.push(Arc::new(sign));
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
        f.debug_list()
            .entries(self.checks.iter().map(|(name, _)| name))
            .finish()
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
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await
}

async fn live(State(ops): State<Ops>) -> (StatusCode, String) {
    let dead = ops.alive.iter().find_map(|sign| sign().err());
    dead.map_or_else(
        || (StatusCode::OK, "ok\n".to_owned()),
        |why| (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    )
}

/// Runs all checks at once, so that a slow server does not delay the answer about another.
async fn ready(State(ops): State<Ops>) -> impl IntoResponse {
    let checked = ops.checks.iter().map(|(name, check)| async move {
        let answer = tokio::time::timeout(CHECK_LIMIT, check()).await;
        (
            *name,
            answer.unwrap_or_else(|_| Err(format!("no answer within {CHECK_LIMIT:?}"))),
        )
    });
    let answers = futures::future::join_all(checked).await;
    let ready = answers.iter().all(|(_, answer)| answer.is_ok());
    let checks: Map<String, Value> = answers
        .into_iter()
        .map(|(name, answer)| {
            (
                name.to_owned(),
                answer.map_or_else(Value::from, |()| "ok".into()),
            )
        })
        .collect();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({"ready": ready, "checks": checks})))
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    for sample in &ops.samples {
        sample();
    }
    let recorder = telemetry::metrics();
    // Folds the raw samples of the histograms in. Without this they would pile up.
    recorder.run_upkeep();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        recorder.render(),
    )
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
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
