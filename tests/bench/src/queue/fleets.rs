//! Fleets that do nothing, and write down when.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use shared::{
    domain::{ConnectionId, Stream, TenantId, Verdict},
    queue::{Fleet, Lease, Queue, SliceEnd, Ticket},
    shutdown::Shutdown,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::report::Failure;

/// A worker in this process, until [`stop`](Self::stop).
pub(super) struct Worker {
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start<F: Fleet>(queue: &Queue, slots: usize, fleet: &Arc<F>) -> Self {
        let shutdown = Shutdown::new();
        let running = shared::queue::run(queue.clone(), slots, Arc::clone(fleet), shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = running.await {
                eprintln!("bench: {error}");
            }
        });
        Self { shutdown, task }
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        let _ = self.task.await;
    }
}

/// One ticket for each of so many tenants.
pub(super) fn tickets(tenants: usize) -> Vec<Ticket> {
    (0..tenants)
        .map(|_| Ticket::new(TenantId::new(), ConnectionId::new(), Stream::Contacts))
        .collect()
}

/// Works nothing, so many times.
pub(super) struct Noop {
    wanted: u64,
    /// Whether a ticket goes back while slices are wanted, or is done after one.
    again: bool,
    count: AtomicU64,
    begun: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    end: Notify,
}

impl Noop {
    /// Tickets go round until so many slices have been worked.
    pub(super) fn rounds(wanted: u64) -> Arc<Self> {
        Self::new(wanted, true)
    }

    /// Each ticket is done after one slice.
    pub(super) fn once(wanted: u64) -> Arc<Self> {
        Self::new(wanted, false)
    }

    fn new(wanted: u64, again: bool) -> Arc<Self> {
        Arc::new(Self {
            wanted,
            again,
            count: AtomicU64::new(0),
            begun: OnceLock::new(),
            ended: OnceLock::new(),
            end: Notify::new(),
        })
    }

    /// Waits for the last slice. Returns slices a second.
    pub(super) async fn rate(&self, patience: Duration) -> Result<f64, Failure> {
        let ended = self.end.notified();
        if self.ended.get().is_none() && tokio::time::timeout(patience, ended).await.is_err() {
            let worked = self.count.load(Ordering::Relaxed);
            return Err(format!("only {worked} of {} slices in {patience:?}", self.wanted).into());
        }
        let (Some(begun), Some(ended)) = (self.begun.get(), self.ended.get()) else {
            return Err("no slice".into());
        };
        Ok(self.wanted as f64 / (*ended - *begun).as_secs_f64())
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.begun.get().copied()
    }
}

impl Fleet for Noop {
    async fn work(&self, _: Lease) -> SliceEnd {
        self.begun.get_or_init(Instant::now);
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if number == self.wanted {
            self.ended.get_or_init(Instant::now);
            self.end.notify_one();
        }
        let verdict = if self.again && number < self.wanted {
            Verdict::Requeue
        } else {
            Verdict::Done
        };
        verdict.into()
    }
}

/// Records when each ticket's first slice began. Each slice takes a while.
#[derive(Default)]
pub(super) struct Starts {
    first: Mutex<HashMap<Ticket, Instant>>,
}

impl Starts {
    pub(super) fn note(&self, ticket: Ticket) {
        let now = Instant::now();
        self.first.lock().entry(ticket).or_insert(now);
    }

    pub(super) fn len(&self) -> usize {
        self.first.lock().len()
    }

    pub(super) fn of(&self, ticket: &Ticket) -> Option<Instant> {
        self.first.lock().get(ticket).copied()
    }

    /// Waits until so many tickets have begun.
    pub(super) async fn until(&self, wanted: usize, patience: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.len() < wanted {
            if begun.elapsed() > patience {
                return Err(format!(
                    "only {} of {wanted} tickets begun in {patience:?}",
                    self.len()
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

/// Done at once.
impl Fleet for Starts {
    async fn work(&self, lease: Lease) -> SliceEnd {
        self.note(lease.ticket);
        Verdict::Done.into()
    }
}

/// The value below which this share of the values is.
pub(super) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(place).copied().unwrap_or(f64::NAN)
}
