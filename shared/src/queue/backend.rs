//! The apalis `Backend` over our scripts.
//!
//! Two tasks do the work beside apalis' poll loop: the *claimer* leases tickets while slots are free,
//! and the *keeper* renews leases and sweeps dead workers' ones. A Redis error never reaches apalis,
//! which would end the worker for it: both tasks back off and go on.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, task_id::RandomId},
    worker::context::WorkerContext,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tower::layer::util::Identity;

use super::{Lease, Queue, Ticket, Verdict, client::Claimed};
use crate::{domain::Class, shutdown::Shutdown};

const RENEWAL: Duration = Duration::from_secs(2);
const SWEEP: Duration = Duration::from_secs(1);
/// Without a wake-up a claimer looks again after this long.
const IDLE: Duration = Duration::from_secs(1);

/// A lease with the slot that it takes; the slot is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub lease: Lease,
    pub claimed_at: Instant,
    _slot: OwnedSemaphorePermit,
}

/// What claimer, keeper and jobs share.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub queue: Queue,
    free: Arc<Semaphore>,
    /// At most this many slots may hold backfill, so that fresh work always finds one.
    most_backfill: usize,
    held: Arc<Mutex<HashMap<Ticket, i64>>>,
}

/// The stream of leases that apalis polls.
#[derive(Debug)]
pub(super) struct TicketBackend {
    leases: mpsc::Receiver<Held>,
    slots: Slots,
    keeper: Shutdown,
}

impl Slots {
    pub(super) fn new(queue: Queue, slots: usize) -> Self {
        Self {
            queue,
            free: Arc::new(Semaphore::new(slots)),
            most_backfill: (slots * 4 / 5).max(1),
            held: Arc::default(),
        }
    }

    /// Starts claimer and keeper. After `shutdown` nothing is claimed any more; leases in hand are
    /// renewed until the backend is closed, so a long drain loses none.
    pub(super) fn start(&self, shutdown: Shutdown) -> TicketBackend {
        // The channel never holds more than the slots: nothing waits unstarted in memory.
        let (sender, leases) = mpsc::channel(self.free.available_permits().max(1));
        let keeper = Shutdown::new();
        tokio::spawn(self.clone().claim_until(shutdown, sender));
        tokio::spawn(self.clone().keep_until(keeper.clone()));
        TicketBackend { leases, slots: self.clone(), keeper }
    }

    /// Ends a lease, trying again while Redis is away: up to a lease's life, after which the sweep
    /// of some worker has the same effect.
    pub(super) async fn settle(&self, lease: Lease, verdict: Verdict) {
        let ticket = lease.ticket.to_string();
        let begun = Instant::now();
        loop {
            match self.queue.settle(&ticket, lease.fence, verdict).await {
                Ok(true) => break,
                Ok(false) => {
                    tracing::info!(%ticket, fence = lease.fence, "the lease had been given to someone else");
                    break;
                }
                Err(error) if begun.elapsed() < super::client::LEASE => {
                    tracing::warn!(%ticket, %error, "could not settle, trying again");
                    pause(begun.elapsed()).await;
                }
                Err(error) => {
                    tracing::warn!(%ticket, %error, "could not settle: the ticket will be swept");
                    break;
                }
            }
        }
        self.lock().remove(&lease.ticket);
    }

    async fn claim_until(self, shutdown: Shutdown, sender: mpsc::Sender<Held>) {
        let mut listener = None;
        let mut trouble = None;
        loop {
            // A free slot first: a claimed ticket must never wait for one.
            let slot = tokio::select! {
                () = shutdown.cancelled() => return,
                slot = self.free.clone().acquire_owned() => slot,
            };
            let Ok(slot) = slot else { return };
            let most = self.free.available_permits() + 1;
            match self.queue.claim(most, self.room_for_backfill()).await {
                Ok(claimed) if claimed.leases.is_empty() => {
                    drop(slot);
                    trouble = None;
                    self.idle(&mut listener, &claimed, &shutdown).await;
                }
                Ok(claimed) => {
                    trouble = None;
                    self.hand_out(claimed, slot, &sender, &shutdown).await;
                }
                Err(error) => {
                    drop(slot);
                    let since = *trouble.get_or_insert_with(Instant::now);
                    tracing::warn!(%error, "could not claim, trying again");
                    pause(since.elapsed()).await;
                }
            }
        }
    }

    async fn hand_out(
        &self,
        claimed: Claimed,
        first: OwnedSemaphorePermit,
        sender: &mpsc::Sender<Held>,
        shutdown: &Shutdown,
    ) {
        let mut first = Some(first);
        for (text, fence) in claimed.leases {
            let ticket = match text.parse::<Ticket>() {
                Ok(ticket) => ticket,
                Err(error) => {
                    metrics::counter!("pathbound_tickets_refused_total").increment(1);
                    tracing::error!(%error, "refused a ticket");
                    if let Err(error) = self.queue.settle(&text, fence, Verdict::Done).await {
                        tracing::warn!(%error, "could not drop a refused ticket");
                    }
                    continue;
                }
            };
            let lease = Lease { ticket, fence };
            let slot = match first.take() {
                Some(slot) => Some(slot),
                None => self.free.clone().try_acquire_owned().ok(),
            };
            self.lock().insert(ticket, fence);
            match slot {
                Some(slot) if !shutdown.is_cancelled() => {
                    if sender.send(Held { lease, claimed_at: Instant::now(), _slot: slot }).await.is_err() {
                        self.settle(lease, Verdict::Back).await;
                    }
                }
                _ => self.settle(lease, Verdict::Back).await,
            }
        }
    }

    /// Waits for a push (or a slice that left more), a parked ticket's time, or the end.
    async fn idle(
        &self,
        listener: &mut Option<redis::aio::MultiplexedConnection>,
        claimed: &Claimed,
        shutdown: &Shutdown,
    ) {
        let most = claimed.next_parked.unwrap_or(IDLE).min(IDLE);
        if listener.is_none() {
            *listener = self.queue.listener().await.ok();
        }
        let Some(connection) = listener else {
            tokio::time::sleep(most).await;
            return;
        };
        let broken = tokio::select! {
            () = shutdown.cancelled() => false,
            woken = self.queue.woken(connection, most) => woken.is_err(),
        };
        if broken {
            *listener = None;
        }
    }

    async fn keep_until(self, end: Shutdown) {
        let mut renewal = tokio::time::interval(RENEWAL);
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                _ = renewal.tick() => self.renew().await,
                _ = sweep.tick() => match self.queue.sweep().await {
                    Ok(0) => {}
                    Ok(recovered) => {
                        metrics::counter!("pathbound_orphans_recovered_total").increment(recovered);
                        tracing::warn!(recovered, "took back the tickets of a worker that died");
                    }
                    Err(error) => tracing::debug!(%error, "could not sweep"),
                },
            }
        }
    }

    async fn renew(&self) {
        let leases: Vec<Lease> =
            self.lock().iter().map(|(ticket, fence)| Lease { ticket: *ticket, fence: *fence }).collect();
        if leases.is_empty() {
            return;
        }
        match self.queue.renew(&leases).await {
            Ok(lost) if lost.is_empty() => {}
            // Settled since they were listed here, or given to someone else: then their slices end by
            // themselves, since Postgres refuses what they would write.
            Ok(lost) => tracing::debug!(?lost, "leases are no longer ours"),
            Err(error) => tracing::warn!(%error, "could not renew leases"),
        }
    }

    fn room_for_backfill(&self) -> usize {
        let held = self.lock().keys().filter(|ticket| ticket.class() == Class::Backfill).count();
        self.most_backfill.saturating_sub(held)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Ticket, i64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longer the longer the trouble lasts, with jitter, up to a second.
async fn pause(trouble: Duration) {
    let most = (trouble.as_millis() as u64 / 2).clamp(20, 1_000);
    tokio::time::sleep(Duration::from_millis(rand::random_range(most / 2..=most))).await;
}

impl Backend for TicketBackend {
    type Task = Task<Arc<Held>>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.leases.poll_recv(cx).map(|held| held.map(|held| Ok(Task::new(Arc::new(held)))))
    }

    /// Called when every running job has ended: what was claimed and not begun goes back at once.
    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.leases.close();
        while let Ok(held) = self.leases.try_recv() {
            let slots = self.slots.clone();
            tokio::spawn(async move { slots.settle(held.lease, Verdict::Back).await });
        }
        self.keeper.cancel();
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for TicketBackend {
    type Args = Arc<Held>;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
