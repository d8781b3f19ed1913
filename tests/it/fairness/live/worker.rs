//! Workers of this process, and queues for them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Connection;
use shared::{
    domain::{ConnectionId, Secret, Stream, TenantId, Verdict},
    queue::{self, Fleet, Lease, Queue, QueueError, SliceEnd, Slots, Ticket, scripts},
    shutdown::Shutdown,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::{PATIENCE, servers, wait_for};

/// Tickets of one call, as many as the product pushes at once.
const BATCH: usize = 64;

/// A fleet that does what a closure says, and remembers what it did.
struct Jobs<F> {
    work: F,
    seen: Mutex<Vec<Lease>>,
    slices: AtomicUsize,
}

impl<F, A> Fleet for Jobs<F>
where
    F: Fn(Lease) -> A + Send + Sync + 'static,
    A: Future<Output = Verdict> + Send,
{
    async fn work(&self, lease: Lease) -> SliceEnd {
        // Noted before the work, so that a slice that never ends is seen too.
        self.seen.lock().unwrap().push(lease);
        let verdict = (self.work)(lease).await;
        self.slices.fetch_add(1, Ordering::Relaxed);
        verdict.into()
    }

    /// A slice ends when its test says so, and not when a busy machine has taken too long.
    fn drain_limit(&self) -> Duration {
        PATIENCE
    }
}

/// A worker of this process.
pub(super) struct Worker<F> {
    jobs: Arc<Jobs<F>>,
    pub(super) shutdown: Shutdown,
    pub(super) running: JoinHandle<()>,
}

impl<F, A> Worker<F>
where
    F: Fn(Lease) -> A + Send + Sync + 'static,
    A: Future<Output = Verdict> + Send + 'static,
{
    pub(super) fn start(queue: &Queue, slots: impl Into<Slots>, work: F) -> Self {
        let jobs = Arc::new(Jobs {
            work,
            seen: Mutex::default(),
            slices: AtomicUsize::new(0),
        });
        let shutdown = Shutdown::new();
        let run = queue::run(queue.clone(), slots.into(), jobs.clone(), shutdown.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        Self {
            jobs,
            shutdown,
            running,
        }
    }

    pub(super) fn slices(&self) -> usize {
        self.jobs.slices.load(Ordering::Relaxed)
    }

    pub(super) fn seen(&self) -> Vec<Lease> {
        self.jobs.seen.lock().unwrap().clone()
    }

    pub(super) fn has_begun(&self, ticket: Ticket) -> bool {
        self.seen().iter().any(|lease| lease.ticket == ticket)
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} until {what}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the worker has asked the queue twice from now on. What it did not take then, it will not take.
    pub(super) async fn until_asked_again(&self, queue: &Queue) {
        let heartbeat = queue.heartbeat();
        for _ in 0..2 {
            let begun = Instant::now();
            self.until("it asks again", |_| {
                heartbeat
                    .last_answer()
                    .is_some_and(|ago| ago < begun.elapsed())
            })
            .await;
        }
    }

    /// SIGTERM.
    pub(super) async fn stop(self) -> Vec<Lease> {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.jobs.seen.lock().unwrap().clone()
    }
}

/// A queue that no other test uses, in the shared Redis, and a connection that looks behind it.
pub(super) fn shared_queue() -> (Queue, Connection, String) {
    open(&servers().redis_url())
}

pub(super) fn open(redis_url: &str) -> (Queue, Connection, String) {
    // Tests run at once in one Redis.
    let prefix = uuid::Uuid::now_v7().simple().to_string();
    let queue = Queue::open(&Secret::new(redis_url.to_owned()), &prefix).unwrap();
    (
        queue,
        redis::Client::open(redis_url)
            .unwrap()
            .get_connection()
            .unwrap(),
        format!("{prefix}:{{{prefix}}}"),
    )
}

pub(super) use crate::support::own_redis;

pub(super) fn ticket(stream: Stream) -> Ticket {
    Ticket::new(TenantId::new(), ConnectionId::new(), stream)
}

pub(super) fn tickets(count: usize, stream: Stream) -> Vec<Ticket> {
    (0..count).map(|_| ticket(stream)).collect()
}

/// Asks Redis until it answers. The queue gives up after three seconds, which is too soon on a machine that stands
/// still. What is asked must be safe to repeat.
pub(super) async fn heard<T>(ask: impl AsyncFn() -> Result<T, QueueError>) -> T {
    wait_for("redis answers", async || {
        ask().await.map_err(|error| error.to_string())
    })
    .await
}

/// A push whose answer does not come may have been heard nevertheless. The same ticket again changes nothing, unless it
/// was worked meanwhile.
pub(super) async fn push_until_heard(queue: &Queue, tickets: &[Ticket]) {
    heard(|| queue.push(tickets)).await;
}

/// The same push, whose answer is waited for. No ticket is pushed twice, so each is worked as often as it was pushed.
pub(super) fn push_once(redis: &mut Connection, prefix: &str, tickets: &[Ticket]) -> u64 {
    let script = redis::Script::new(scripts::PUSH);
    let pushed = tickets.chunks(BATCH).map(|batch| {
        let mut call = script.key(prefix);
        for ticket in batch {
            call.arg(ticket.to_string());
        }
        call.invoke::<u64>(redis).unwrap()
    });
    pushed.sum()
}

/// A slice that ends when it is told to.
pub(super) async fn done_when(mut ends: watch::Receiver<bool>) -> Verdict {
    // The sender may be gone, and the test with it.
    let _ = ends.wait_for(|ends| *ends).await;
    Verdict::Done
}
