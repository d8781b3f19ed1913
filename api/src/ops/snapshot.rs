//! What the overview shows, read from each server once a second at most, whoever asks and however many.
//!
//! A server that does not answer costs a caller a second, and then what was read before is shown with its age.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use shared::{
    autoscale::FleetNumbers,
    pacing::{FleetWindow, Pacing},
    queue::{FleetWorker, Minute, Queue, QueueStats},
    store::{FleetCounts, OperatorStore, Pause},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::bounded::COUNT_CAP;

/// Minutes of the charts.
const MINUTES: u32 = 60;
/// How long a read may take.
const READ_LIMIT: Duration = Duration::from_secs(1);
/// How long the numbers of the queue are good.
const QUEUE_GOOD_FOR: Duration = Duration::from_secs(1);
/// Rate windows that are read, each with an entry for every workspace that was called within it.
const WINDOWS: i64 = 3;
/// A window ends every ten seconds.
const RATE_GOOD_FOR: Duration = Duration::from_secs(10);
/// Counts read some ten thousand entries of an index, so they are good for longer.
const FLEET_GOOD_FOR: Duration = Duration::from_secs(5);

/// Pauses of tenants that are listed.
pub(super) const PAUSES: i64 = 100;

/// What Redis says.
#[derive(Debug)]
pub(super) struct QueueReading {
    pub(super) stats: QueueStats,
    pub(super) workers: Vec<FleetWorker>,
    /// The last hour.
    pub(super) minutes: Vec<Minute>,
    pub(super) numbers: FleetNumbers,
}

/// What Postgres says.
#[derive(Debug)]
pub(super) struct FleetReading {
    /// Counted up to one more than the cap, so that more can be told from exactly so many.
    pub(super) counts: FleetCounts,
    pub(super) pauses: Vec<Pause>,
    /// Of the tenants that are named in either.
    pub(super) names: HashMap<Uuid, String>,
}

/// The last readings of both servers. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    queue: Arc<Mutex<Last<QueueReading>>>,
    fleet: Arc<Mutex<Last<FleetReading>>>,
    rate: Arc<Mutex<Last<Vec<FleetWindow>>>>,
}

/// What was last read from one server.
#[derive(Debug)]
pub(super) struct Reading<T> {
    /// `None` if it was never read.
    pub(super) value: Option<(Arc<T>, DateTime<Utc>)>,
    /// Why the last attempt failed.
    pub(super) fault: Option<String>,
}

#[derive(Debug)]
struct Last<T> {
    asked_at: Option<Instant>,
    value: Option<(Arc<T>, DateTime<Utc>)>,
    fault: Option<String>,
}

impl Snapshot {
    pub(super) fn new() -> Self {
        Self {
            queue: Arc::new(Mutex::new(Last::never())),
            fleet: Arc::new(Mutex::new(Last::never())),
            rate: Arc::new(Mutex::new(Last::never())),
        }
    }

    /// The numbers of the queue.
    pub(super) async fn queue(&self, queue: &Queue) -> Reading<QueueReading> {
        let read = async {
            Ok::<_, shared::queue::QueueError>(QueueReading {
                stats: queue.stats().await?,
                workers: queue.workers().await?,
                minutes: queue.minutes(MINUTES).await?,
                numbers: FleetNumbers::read(&queue.fleet_numbers().await?.unwrap_or_default()),
            })
        };
        // Held while the server is asked, so that callers that come meanwhile share the answer.
        let mut last = self.queue.lock().await;
        last.read(QUEUE_GOOD_FOR, "redis", read).await
    }

    /// The counts of the fleet.
    pub(super) async fn fleet(&self, store: &OperatorStore) -> Reading<FleetReading> {
        let read = async {
            let counts = store.fleet_counts(COUNT_CAP + 1).await?;
            let pauses = store.newest_pauses(PAUSES + 1).await?;
            let paused = pauses.iter().filter_map(|pause| pause.scope.parse().ok());
            let named: Vec<Uuid> = paused.chain(counts.latest_tenant).collect();
            let names = store.tenant_names(&named).await?;
            Ok::<_, shared::store::StoreError>(FleetReading {
                counts,
                pauses,
                names: names.into_iter().collect(),
            })
        };
        let mut last = self.fleet.lock().await;
        last.read(FLEET_GOOD_FOR, "postgres", read).await
    }

    /// The use of rate budgets.
    pub(super) async fn rate(&self, pacing: &Pacing) -> Reading<Vec<FleetWindow>> {
        let read = pacing.fleet_windows(WINDOWS);
        let mut last = self.rate.lock().await;
        last.read(RATE_GOOD_FOR, "redis", read).await
    }

    /// A change of an operator shows at once.
    pub(super) async fn forget_fleet(&self) {
        self.fleet.lock().await.asked_at = None;
    }
}

impl<T> Last<T> {
    const fn never() -> Self {
        Self {
            asked_at: None,
            value: None,
            fault: None,
        }
    }

    async fn read<E: fmt::Display>(
        &mut self,
        good_for: Duration,
        server: &'static str,
        read: impl Future<Output = Result<T, E>>,
    ) -> Reading<T> {
        // A failed read is repeated after a second, so that the page is back as soon as the server is.
        let good_for = if self.fault.is_some() {
            QUEUE_GOOD_FOR
        } else {
            good_for
        };
        if self.asked_at.is_none_or(|at| at.elapsed() >= good_for) {
            let answer = tokio::time::timeout(READ_LIMIT, read).await;
            self.fault = match answer {
                Ok(Ok(value)) => {
                    self.value = Some((Arc::new(value), Utc::now()));
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("{server} did not answer within {READ_LIMIT:?}")),
            };
            self.asked_at = Some(Instant::now());
        }
        Reading {
            value: self.value.clone(),
            fault: self.fault.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_read_shows_what_was_read_before() {
        let mut last = Last::never();
        let first = last
            .read(Duration::ZERO, "redis", async { Ok::<_, String>(7) })
            .await;
        assert_eq!(first.fault, None);
        let second = last
            .read(Duration::ZERO, "redis", async { Err("away".to_owned()) })
            .await;
        assert_eq!(second.fault.as_deref(), Some("away"));
        let (value, at) = second.value.unwrap();
        assert_eq!((*value, at), (7, first.value.unwrap().1));
    }

    #[tokio::test]
    async fn callers_share_an_answer_while_it_is_good() {
        let mut last = Last::never();
        for n in 0..3 {
            let read = async move { Ok::<_, String>(n) };
            let reading = last.read(Duration::from_secs(3600), "redis", read).await;
            assert_eq!(*reading.value.unwrap().0, 0);
        }
    }
}
