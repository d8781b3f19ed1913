//! The context of one slice: what every stream uses, whatever it fetches.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Context, SliceError};
use crate::{
    config::Config,
    domain::Mode,
    intercom::{Endpoint, Error, Response, Workspace, wire::Page},
    store::{SliceKey, StoreError, StreamState, WorkerTx},
};

/// A full walk that did not show a stored object is repeated after at most this long.
const ABSENCE_RECHECK: Duration = Duration::from_secs(24 * 60 * 60);

/// A slice under way: its key, the stream's state when it began, and a reader of its workspace.
#[derive(Debug)]
pub struct SliceContext<'a> {
    pub(super) ctx: &'a Context,
    pub(super) key: SliceKey,
    pub(super) state: StreamState,
    pub(super) workspace: Workspace,
}

impl SliceContext<'_> {
    pub(super) fn config(&self) -> &Config {
        &self.ctx.config
    }

    /// A transaction that has locked the stream and compared the slice's fence.
    pub(super) async fn begin(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin_fenced(self.key).await
    }

    /// The same for what changes the connection as a whole: every stream is locked first.
    pub(super) async fn begin_connection(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin_fenced_whole(self.key).await
    }

    /// A transaction that compares the fence itself, as its last step before the commit.
    pub(super) async fn begin_unfenced(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin(self.key.tenant).await
    }

    /// Keeps where the walk is when nothing was stored that would say so.
    pub(super) async fn save_place(&self, walk: &impl Serialize) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.save_place(self.key, walk).await?;
        tx.commit().await
    }

    /// What a search that started then leaves: who has just changed may not be found by it yet.
    pub(super) fn watermark(&self, started_at: DateTime<Utc>) -> DateTime<Utc> {
        started_at
            - TimeDelta::from_std(self.config().intervals.search_index_lag).unwrap_or_default()
    }

    /// Reads, and waits where the rate budget is spent for no longer than `longest`.
    pub(super) async fn read_patiently(
        &self,
        read: &Endpoint<'_>,
        longest: Duration,
    ) -> Result<Response, Error> {
        loop {
            match self.workspace.read(read).await {
                Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    if wait > longest {
                        return Err(Error::Throttled { until });
                    }
                    tokio::time::sleep(wait).await;
                }
                answer => return answer,
            }
        }
    }

    /// Changes after this are asked for. `None` walks everything: the first time, when asked to, and on the
    /// slow timer that repairs what a search by time never shows.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        let walked_lately = self.walked_within(self.config().intervals.reconcile);
        self.state
            .watermark
            .filter(|_| self.state.mode == Mode::Incremental && walked_lately)
    }

    /// Whether the last full walk is no longer ago than this; a day, where it did not show something that is held.
    pub(super) fn walked_within(&self, every: Duration) -> bool {
        let every = if self.state.absent {
            every.min(ABSENCE_RECHECK)
        } else {
            every
        };
        let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        self.state
            .walked_at
            .is_some_and(|walked_at| self.state.now - walked_at < every)
    }

    /// Whether the last full walk saw fewer than there are. What was created while it went on comes with the
    /// next walk, and only a new count can tell whether that was all.
    pub(super) fn is_short(&self) -> bool {
        self.state
            .expected
            .is_some_and(|expected| expected > self.state.held)
    }

    /// How many objects a search over all times finds now.
    pub(super) async fn total(&self, count: &Endpoint<'_>) -> Result<Option<i64>, SliceError> {
        Ok(Page::split(&self.workspace.read(count).await?.body)?.total_count)
    }

    /// Seconds of an interval, as the store takes them: with jitter, so that what began together drifts apart.
    pub(super) fn every(interval: Duration) -> Option<f64> {
        Some(interval.as_secs_f64() * rand::random_range(0.95..=1.05))
    }
}
