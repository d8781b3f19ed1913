//! The tasks of a worker process, beside apalis' poll loop.
//!
//! - The *exchanger* settles what ended and claims for the free slots, in one call; what ends while a call is
//!   under way goes together with the next. It goes round at least once a second, which is also the sweep of
//!   dead workers' leases.
//! - The *keeper* renews the leases in hand.
//! - The *listener* waits to be woken, while there is room.
//!
//! A Redis error ends none of them: they back off and go on.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use backon::Retryable;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Lease, Queue, QueueError,
    exchange::{LEASE, Room, Settlement},
    exchanger::{Books, Exchanger},
    listener::{Armed, Woken, listen},
};
use crate::{backoff::Backoff, domain::Verdict, shutdown::Shutdown};

const RENEWAL: Duration = Duration::from_secs(2);
/// The exchanger goes round at least this often.
pub(super) const ROUND: Duration = Duration::from_secs(1);
const GAUGES: Duration = Duration::from_secs(10);
/// Between two tries of a call to Redis that failed.
pub(super) const REDIS_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(20), Duration::from_secs(1)).with_half_jitter();

/// A lease on its way to its slice.
#[derive(Debug)]
pub(super) struct Held {
    pub lease: Lease,
    /// How long the ticket had been ready when it was leased.
    pub waited: Duration,
    pub claimed_at: Instant,
}

/// Leases claimed and not begun. Shared, since at the end the exchanger takes back what apalis has not taken.
pub(super) type Unstarted = Arc<Mutex<mpsc::Receiver<Held>>>;

/// What the tasks and the jobs share.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub(super) queue: Queue,
    /// Leases in hand by fence, from the claim until Redis has heard how they ended.
    held: Arc<Mutex<HashMap<i64, Lease>>>,
    ended: mpsc::UnboundedSender<Settlement>,
}

/// The running tasks; dropped, they end.
#[derive(Debug)]
pub(super) struct Tasks {
    pub slots: Slots,
    pub unstarted: Unstarted,
    exchanger: AbortOnDropHandle<()>,
    _keeper: AbortOnDropHandle<()>,
    _listener: AbortOnDropHandle<()>,
    close: Shutdown,
}

impl Slots {
    /// Starts the tasks. After `stop` nothing is claimed and what has not begun is handed back at once.
    /// `stop` is cancelled when one of the tasks ends by itself.
    pub(super) fn start(queue: Queue, count: usize, stop: &Shutdown) -> Tasks {
        let count = count.max(1);
        let (ended, settlements) = mpsc::unbounded_channel();
        let (jobs, unstarted) = mpsc::channel(count);
        let unstarted = Arc::new(Mutex::new(unstarted));
        let (armed, arming) = watch::channel(Armed::No);
        let slots = Self {
            queue,
            held: Arc::default(),
            ended,
        };
        let close = Shutdown::new();
        let woken = Arc::new(Woken::default());
        let exchanger = Exchanger {
            slots: slots.clone(),
            count,
            // So that fresh work always finds a slot.
            most_backfill: (count * 4 / 5).max(1),
            settlements,
            jobs,
            unstarted: unstarted.clone(),
            armed,
            woken: woken.clone(),
            stop: stop.clone(),
            close: close.clone(),
            books: Books::new(),
        };
        let guarded = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = stop.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                // Also when the task panics.
                let _guard = stop.drop_guard();
                task.await;
            }))
        };
        Tasks {
            exchanger: guarded(Box::pin(exchanger.run())),
            _keeper: guarded(Box::pin(slots.clone().keep())),
            _listener: guarded(Box::pin(listen(slots.queue.clone(), arming, woken))),
            slots,
            unstarted,
            close,
        }
    }

    /// Ends a lease. Redis hears of it with the next exchange.
    pub(super) fn settle(&self, lease: Lease, verdict: Verdict) {
        let settlement = Settlement {
            ticket: lease.ticket.to_string().into_bytes(),
            fence: lease.fence,
            verdict,
        };
        if let Err(mpsc::error::SendError(settlement)) = self.ended.send(settlement) {
            // The exchanger died: this one call, and else the lease runs out.
            let queue = self.queue.clone();
            tokio::spawn(async move {
                if let Err(error) = queue.exchange(&[settlement], Room::default()).await {
                    tracing::warn!(%error, "could not settle: the ticket will be swept");
                }
            });
        }
    }

    async fn keep(self) {
        let mut gauges = Instant::now();
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.renew().await;
            if gauges.elapsed() >= GAUGES {
                gauges = Instant::now();
                if let Err(error) = self.queue.record_depth().await {
                    tracing::debug!(%error, "could not measure the queue");
                }
            }
        }
    }

    /// Retries until Redis has answered, because a lease lasts only a few seconds.
    async fn renew(&self) {
        let renewed = (|| self.renew_once())
            .retry(REDIS_BACKOFF)
            .notify(|error, _| tracing::warn!(%error, "could not renew leases, trying again"))
            .await;
        if let Ok(lost) = renewed
            && !lost.is_empty()
        {
            // They were settled since they were listed here, or another worker has them. In that case their
            // slices end by themselves, because Postgres refuses what they would write.
            tracing::debug!(?lost, "leases are no longer ours");
        }
    }

    /// Renews the leases of this moment, because a slice may end between two tries.
    async fn renew_once(&self) -> Result<Vec<String>, QueueError> {
        let leases: Vec<Lease> = self.held().values().copied().collect();
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.queue.renew(&leases).await
    }

    pub(super) fn held(&self) -> MutexGuard<'_, HashMap<i64, Lease>> {
        self.held.lock()
    }
}

impl Tasks {
    /// Waits until Redis has heard how every lease ended, though not for longer than a lease lasts: then the
    /// sweep of some other worker does the same.
    pub(super) async fn close(self) {
        self.close.cancel();
        if tokio::time::timeout(LEASE, self.exchanger).await.is_err() {
            tracing::warn!(
                "redis did not hear how the last slices ended: their tickets will be swept"
            );
        }
    }
}
