//! Readiness: whether the role can do its work now, and why not.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::{shutdown::Shutdown, telemetry::RepeatsOf};
use tokio::sync::Mutex;

/// A check that has not answered after this time has failed.
const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// An answer is good for this long, so that probes cannot overload the servers that are checked.
const GOOD_FOR: Duration = Duration::from_secs(1);

type Check =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The checks of a role, and their last answers. Clones share the answers.
#[derive(Clone)]
pub(super) struct Readiness {
    checks: Vec<(&'static str, Check)>,
    limit: Duration,
    /// The process stops when it is cancelled.
    stopping: Option<Shutdown>,
    last: Arc<Mutex<LastAnswers>>,
    /// By the name of the check. A reason is logged once and not with each probe.
    failures: Arc<RepeatsOf<&'static str>>,
}

#[derive(Default)]
struct LastAnswers {
    at: Option<Instant>,
    /// By the name of the check: why it failed, or `None` if it did not.
    faults: BTreeMap<&'static str, Option<String>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            checks: Vec::new(),
            limit: CHECK_LIMIT,
            stopping: None,
            last: Arc::default(),
            failures: Arc::default(),
        }
    }
}

impl Readiness {
    pub(super) fn add<F, A, E>(&mut self, name: &'static str, check: F)
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let check: Check = Arc::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        });
        self.checks.push((name, check));
    }

    pub(super) fn until(&mut self, stopping: Shutdown) {
        self.stopping = Some(stopping);
    }

    /// The names of the checks.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.checks.iter().map(|(name, _)| *name)
    }

    pub(super) async fn answer(&self) -> Response {
        // Before the checks and at once, because a load balancer should hear of it with its next probe.
        if self.stopping.as_ref().is_some_and(Shutdown::is_cancelled) {
            let checks = json!({"process": "is stopping"});
            let body = Json(json!({"ready": false, "checks": checks}));
            return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
        }
        // Held while the checks run, so that probes that come meanwhile share the answer.
        let mut last = self.last.lock().await;
        if last.at.is_none_or(|at| at.elapsed() >= GOOD_FOR) {
            let faults = self.ask().await;
            self.log(&faults);
            last.faults = faults;
            last.at = Some(Instant::now());
        }
        let ready = last.faults.values().all(Option::is_none);
        let checks: BTreeMap<_, _> = last
            .faults
            .iter()
            .map(|(name, fault)| (*name, fault.as_deref().unwrap_or("ok")))
            .collect();
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(json!({"ready": ready, "checks": checks}))).into_response()
    }

    fn log(&self, faults: &BTreeMap<&'static str, Option<String>>) {
        for (server, fault) in faults {
            let Some(why) = fault else {
                shared::log_end!(self.failures.ended(server), { server }, "ready again");
                continue;
            };
            shared::log_failure!(self.failures.failed_as(*server, why.as_str()), warn, { server, why }, "not ready");
        }
    }

    /// Runs all checks at once, so that a slow server does not delay the answer about another.
    async fn ask(&self) -> BTreeMap<&'static str, Option<String>> {
        let limit = self.limit;
        let asked = self.checks.iter().map(|(name, check)| async move {
            let answer = tokio::time::timeout(limit, check()).await;
            let fault = answer.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
            (*name, fault.err())
        });
        futures::future::join_all(asked).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_probes_are_one_check_and_a_hanging_server_is_a_reason() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let mut readiness = Readiness {
            limit: Duration::from_millis(50),
            ..Readiness::default()
        };
        readiness.add("postgres", move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), String>>()
        });
        let begun = Instant::now();
        let probes = (0..50).map(|_| readiness.answer());
        for answer in futures::future::join_all(probes).await {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        // An answer is good for a second, and a busy machine may take longer.
        let most = 1 + begun.elapsed().as_secs() / GOOD_FOR.as_secs();
        let asked = u64::from(asked.load(Ordering::Relaxed));
        assert!((1..=most).contains(&asked), "asked {asked} times");
        let faults = &readiness.last.lock().await.faults;
        assert_eq!(faults["postgres"].as_deref(), Some("no answer within 50ms"));
    }
}
