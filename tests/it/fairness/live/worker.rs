//! Workers of this process, and queues for them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Connection;
use servers::Servers;
use shared::{
    domain::{ConnectionId, Secret, Stream, TenantId, Verdict},
    queue::{self, Fleet, Lease, Queue, Ticket},
    shutdown::Shutdown,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::{PATIENCE, servers};

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
    async fn work(&self, lease: Lease) -> Verdict {
        // Noted before the work, so that a slice that never ends is seen too.
        self.seen.lock().unwrap().push(lease);
        let verdict = (self.work)(lease).await;
        self.slices.fetch_add(1, Ordering::Relaxed);
        verdict
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
    pub(super) fn start(queue: &Queue, slots: usize, work: F) -> Self {
        let jobs = Arc::new(Jobs {
            work,
            seen: Mutex::default(),
            slices: AtomicUsize::new(0),
        });
        let shutdown = Shutdown::new();
        let run = queue::run(queue.clone(), slots, jobs.clone(), shutdown.clone());
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
    open(servers())
}

pub(super) fn open(servers: &Servers) -> (Queue, Connection, String) {
    // Tests run at once in one Redis.
    let prefix = uuid::Uuid::now_v7().simple().to_string();
    let queue = Queue::open(&Secret::new(servers.redis_url()), &prefix).unwrap();
    (
        queue,
        redis::Client::open(servers.redis_url())
            .unwrap()
            .get_connection()
            .unwrap(),
        format!("{prefix}:{{{prefix}}}"),
    )
}

pub(super) use crate::support::own_servers;

pub(super) fn ticket(stream: Stream) -> Ticket {
    Ticket::new(TenantId::new(), ConnectionId::new(), stream)
}

pub(super) fn tickets(count: usize, stream: Stream) -> Vec<Ticket> {
    (0..count).map(|_| ticket(stream)).collect()
}

/// A slice that ends when it is told to.
pub(super) async fn done_when(mut ends: watch::Receiver<bool>) -> Verdict {
    // The sender may be gone, and the test with it.
    let _ = ends.wait_for(|ends| *ends).await;
    Verdict::Done
}
