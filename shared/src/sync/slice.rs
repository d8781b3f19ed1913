//! The context of one slice: what every stream uses, whatever it fetches.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, de::DeserializeOwned};

use super::{Context, SliceError};
use crate::{
    config::Config,
    domain::Mode,
    intercom::{Endpoint, Error, Response, Workspace, wire::Page},
    store::{ClaimedStream, SliceKey, StoreError, WorkerTx},
};

/// A full walk that did not show a stored object is repeated after at most this long.
const ABSENCE_RECHECK: Duration = Duration::from_secs(24 * 60 * 60);

/// A slice of pages starts no new call after this. A longer one would keep its slot from the polls of other tenants.
const MAX_READING_TIME: Duration = Duration::from_secs(2);

/// A slice in flight: its key, the stream's state when it began, and a client of its workspace.
#[derive(Debug)]
pub struct SliceContext<'a> {
    pub(super) ctx: &'a Context,
    pub(super) key: SliceKey,
    pub(super) state: ClaimedStream,
    pub(super) workspace: Workspace,
}

impl SliceContext<'_> {
    pub(super) fn config(&self) -> &Config {
        &self.ctx.config
    }

    /// Whether a slice of pages that has worked for so long may read on.
    pub(super) fn may_read_on(&self, worked: Duration) -> bool {
        worked < MAX_READING_TIME && !self.is_stopping()
    }

    /// Whether the process ends. A slice then makes no further call, and stores what the calls in flight bring.
    pub(super) fn is_stopping(&self) -> bool {
        self.ctx.stopping.is_cancelled()
    }

    /// Whether the slice before this one failed. A slice of pages then reads one page, so that an outage costs few calls
    /// and the next failure is counted from a state that is not behind the database's.
    pub(super) const fn is_retry(&self) -> bool {
        self.state.attempts > 0
    }

    /// A transaction that has locked the stream and compared the slice's fence.
    pub(super) async fn begin(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin_fenced(self.key).await
    }

    /// The same for a change of the whole connection: every stream is locked first.
    pub(super) async fn begin_connection(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin_fenced_connection(self.key).await
    }

    /// A transaction that compares the fence itself, as its last step before the commit.
    pub(super) async fn begin_unfenced(&self) -> Result<WorkerTx, StoreError> {
        self.ctx.store.begin(self.key.tenant).await
    }

    /// The walk that an earlier slice saved, if there is one.
    pub(super) fn saved_walk<W: DeserializeOwned>(&self) -> Option<W> {
        // A cursor that an older version wrote and this one cannot read begins a new walk, which
        // loses time and no data.
        serde_json::from_value(self.state.cursor.clone()?).ok()
    }

    /// The walk that an earlier slice saved, or a new one. A new walk begins the runs that wait for it, and a full one
    /// forgets the pages of the walk before it.
    pub(super) async fn open_walk<W: DeserializeOwned>(
        &self,
        begin: impl FnOnce(&Self) -> W,
    ) -> Result<W, StoreError> {
        if let Some(walk) = self.saved_walk() {
            return Ok(walk);
        }
        // A poll has nothing to begin, unless somebody waits for it.
        let is_full = self.since().is_none();
        if is_full || self.state.has_open_run {
            let mut tx = self.begin().await?;
            // Runs that were requested before this moment are served by this walk. Later ones wait for
            // the next.
            tx.start_runs(self.key).await?;
            if is_full {
                tx.begin_absence_scan(self.key).await?;
            }
            tx.commit().await?;
        }
        Ok(begin(self))
    }

    /// Saves the walk when no objects were stored along with it.
    pub(super) async fn save_cursor_only(&self, walk: &impl Serialize) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.save_cursor_only(self.key, walk).await?;
        tx.commit().await
    }

    /// The watermark of a search that started then. The search index lags, so the newest changes may be missing.
    pub(super) fn watermark(&self, started_at: DateTime<Utc>) -> DateTime<Utc> {
        started_at
            - TimeDelta::from_std(self.config().intervals.search_index_lag).unwrap_or_default()
    }

    /// Calls Intercom, and waits for the rate budget if the wait is at most `longest`. A process that ends does not wait.
    pub(super) async fn read_patiently(
        &self,
        read: &Endpoint<'_>,
        longest: Duration,
    ) -> Result<Response, Error> {
        loop {
            match self.workspace.read(read).await {
                Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    // The ticket is parked instead. A slot would otherwise only wait.
                    if wait > longest || self.is_stopping() {
                        return Err(Error::Throttled { until });
                    }
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.ctx.stopping.cancelled() => return Err(Error::Throttled { until }),
                    }
                }
                answer => return answer,
            }
        }
    }

    /// The time after which changes are fetched. `None` walks everything: the first time, on request, and on the slow
    /// timer that repairs what a search by time never shows.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        // A search by time never shows a deleted or archived object, so only a full walk repairs
        // those.
        let walked_lately =
            self.walked_within(self.config().intervals.reconcile) && !self.state.is_walk_retry_due;
        self.state
            .watermark
            .filter(|_| self.state.mode == Mode::Incremental && walked_lately)
    }

    /// Whether the last full walk ended within `every`, or within a day if it did not show a stored object.
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

    /// Whether the last full walk saw fewer objects than there are. The next walk finds objects that were created
    /// during it, and only a new count can tell whether that was all.
    pub(super) fn is_short(&self) -> bool {
        self.state
            .expected
            .is_some_and(|expected| expected > self.state.held)
    }

    /// The number of objects that a search over all times finds now.
    pub(super) async fn total(&self, count: &Endpoint<'_>) -> Result<Option<i64>, SliceError> {
        Ok(Page::split(&self.workspace.read(count).await?.body)?.total_count)
    }

    /// Seconds of an interval, with jitter, so that walks that began together drift apart.
    pub(super) fn every(interval: Duration) -> Option<f64> {
        Some(interval.as_secs_f64() * rand::random_range(0.95..=1.05))
    }
}
