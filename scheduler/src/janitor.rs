//! The janitor: removes what ended longer ago than the options say, in small batches.
//!
//! Each scheduler has one, and none of them is a leader. A batch skips the rows that another janitor has locked, and
//! where nothing is left a round is one look at an index for each kind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    backoff::Backoff,
    config::Retention,
    store::{EndedKind, Removal, SchedulerStore},
    telemetry::RepeatsOf,
};

use super::{SchedulerError, age::Age, step::within_limit};

/// The most rows of one batch. It takes milliseconds, because the scheduler's ticks use the same session.
const BATCH_SIZE: i32 = 1_000;
/// A batch that takes longer is given up and removes nothing.
const BATCH_LIMIT: Duration = Duration::from_secs(5);
/// Between two turns of batches, so that a long round leaves the server to others.
const PAUSE: Duration = Duration::from_millis(50);
/// What a round leaves after this long waits for the next one.
const ROUND_LIMIT: Duration = Duration::from_secs(10 * 60);
/// A restarted scheduler begins its first round after at most this part of the interval.
const FIRST_PART: u32 = 10;

/// Removes what is kept no longer.
#[derive(Clone, Debug)]
pub struct Janitor {
    store: SchedulerStore,
    interval: Duration,
    ages: [(EndedKind, Duration); EndedKind::ALL.len()],
    /// By the kind's name.
    failures: Arc<RepeatsOf<&'static str>>,
}

/// What a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Rows of all kinds.
    pub removed: i64,
    /// Whether nothing was left to remove. If not, the next round goes on.
    pub is_complete: bool,
}

impl Janitor {
    #[must_use]
    pub fn new(store: SchedulerStore, retention: Retention) -> Self {
        let age = |kind| match kind {
            EndedKind::Runs => retention.runs,
            EndedKind::DeadLetters => retention.dead_letters,
            EndedKind::BulkActions => retention.dead_letters,
            EndedKind::Quarantine => retention.quarantine,
            EndedKind::ApiKeys => retention.api_keys,
            EndedKind::OauthFlows => retention.oauth_flows,
            EndedKind::IdempotencyKeys => retention.idempotency_keys,
            EndedKind::OperatorEvents => retention.operator_events,
            EndedKind::AuditEvents => retention.audit_events,
            EndedKind::BrowserSessions => retention.browser_sessions,
            EndedKind::OperatorActions => retention.audit_events,
        };
        Self {
            store,
            interval: retention.interval,
            ages: EndedKind::ALL.map(|kind| (kind, age(kind))),
            failures: Arc::default(),
        }
    }

    /// Works a round in every interval, until it is dropped.
    pub(crate) async fn run(&self) {
        let age = Age::new();
        let publish_age = age.clone().publish(|seconds| {
            metrics::gauge!("pathbound_retention_round_age_seconds").set(seconds);
        });
        tokio::select! {
            () = publish_age => {}
            () = self.rounds(&age) => {}
        }
    }

    async fn rounds(&self, age: &Age) {
        // Soon, because a scheduler may be restarted more often than the interval ends. Jitter parts the schedulers.
        let first = self.interval / FIRST_PART;
        let mut wait = Backoff::new(first, first).with_full_jitter(Duration::ZERO);
        loop {
            tokio::time::sleep(wait.delay(1)).await;
            wait = Backoff::new(self.interval, self.interval).with_half_jitter();
            if self.round().await.is_complete {
                age.completed();
            }
        }
    }

    /// Removes everything that is kept no longer: one batch of each kind in turn, so that a long backlog of one kind keeps
    /// no other waiting. A kind that fails is left to the next round.
    #[tracing::instrument(name = "retention", skip_all)]
    pub async fn round(&self) -> Round {
        let ends_at = Instant::now() + ROUND_LIMIT;
        let mut left = self.ages.to_vec();
        let mut round = Round {
            removed: 0,
            is_complete: true,
        };
        while !left.is_empty() && Instant::now() < ends_at {
            let mut unfinished = Vec::new();
            for (kind, age) in left {
                match self.batch(kind, age).await {
                    Ok(Removal { removed, more }) => {
                        round.removed += removed;
                        self.succeeded(kind);
                        unfinished.extend(more.then_some((kind, age)));
                    }
                    Err(error) => {
                        round.is_complete = false;
                        self.failed(kind, &error);
                    }
                }
            }
            left = unfinished;
            if !left.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        round.is_complete &= left.is_empty();
        if round.removed > 0 || !round.is_complete {
            tracing::info!(
                removed = round.removed,
                is_complete = round.is_complete,
                "removed what is kept no longer"
            );
        }
        round
    }

    fn failed(&self, kind: EndedKind, error: &SchedulerError) {
        let kind = kind.as_str();
        shared::log_failure!(self.failures.failed(kind, error), warn, { kind, %error, source = ?std::error::Error::source(error) }, "could not remove what is kept no longer");
    }

    fn succeeded(&self, kind: EndedKind) {
        let kind = kind.as_str();
        shared::log_end!(
            self.failures.ended(kind),
            { kind },
            "removes what is kept no longer again"
        );
    }

    async fn batch(&self, kind: EndedKind, age: Duration) -> Result<Removal, SchedulerError> {
        let batch = self.store.remove_ended(kind, age, BATCH_SIZE);
        let removal = within_limit(BATCH_LIMIT, batch).await?;
        metrics::counter!("pathbound_retention_removed_total", "kind" => kind.as_str())
            .increment(removal.removed.unsigned_abs());
        Ok(removal)
    }
}
