//! The worker: takes tickets and works slices. It is stateless, runs in any number, and may be killed at any instant.
//!
//! A dead worker's tickets are leased again after its leases run out. Objects that it had fetched and not committed are
//! fetched again.

mod indexer;
mod jobs;
mod runner;

use std::sync::Arc;

use indexer::Indexer;
pub use jobs::work;
use runner::JobRunner;
use shared::{
    config::{Config, ProcessRole},
    intercom::{self, Intercom, ResponseMemory},
    queue::{self, Heartbeat, Queue, QueueError, Slots},
    shutdown::{self, Shutdown},
    store::{Database, StoreError, WorkerStore},
    sync::Context,
    vault::{KeyRing, KeyRingError},
};

/// A worker that is connected to its servers and not running yet.
#[derive(Debug)]
pub struct Worker {
    context: Context,
    queue: Queue,
    indexer: Indexer,
}

impl Worker {
    /// The worker of a process that has this database.
    ///
    /// # Errors
    /// When a setting cannot be used. Redis may be away.
    pub fn open(config: Arc<Config>, database: &Database) -> Result<Self, WorkerError> {
        // Made without a call, because a worker may start before Redis does.
        let queue = Queue::connect(&config)?;
        let context = Context {
            store: database.store(),
            vault: Arc::new(KeyRing::parse(config.encryption_keys.expose())?),
            intercom: Intercom::new(&config)?,
            config,
            stopping: Shutdown::new(),
            failures: Arc::default(),
        };
        let indexer = Indexer::new(database.store());
        Ok(Self {
            context,
            queue,
            indexer,
        })
    }

    /// When this worker last completed a round.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.queue.heartbeat()
    }

    /// Its sessions of Postgres.
    #[must_use]
    pub const fn store(&self) -> &WorkerStore {
        &self.context.store
    }

    /// The memory budget of its response bodies.
    #[must_use]
    pub const fn response_memory(&self) -> &ResponseMemory {
        self.context.intercom.response_memory()
    }

    /// Works until `shutdown`, then finishes the slices in flight.
    ///
    /// # Errors
    /// When the worker ends for a reason of its own.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), WorkerError> {
        // A slice of threads looks at this before each call, so that it ends early.
        self.context.stopping = shutdown.clone();
        let runner = Arc::new(JobRunner::new(self.context.clone(), self.queue.clone()));
        // The indexer ends with the queue, also when that ends for a reason of its own.
        let indexing = shutdown.child_token();
        let config = &self.context.config;
        let slots = Slots::new(config.worker_slots, config.worker_pool);
        let pacing = self.context.intercom.pacing().clone();
        let working = async {
            let ended = tokio::select! {
                ended = queue::run(self.queue, slots, runner, shutdown) => ended,
                () = pacing.share_use() => Ok(()),
            };
            indexing.cancel();
            ended
        };
        let (ended, ()) = tokio::join!(working, self.indexer.run(indexing.clone()));
        Ok(ended?)
    }
}

/// Opens a worker and runs it.
///
/// # Errors
/// See [`Worker::open`] and [`Worker::run`].
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), WorkerError> {
    let database = Database::open(&config, ProcessRole::Worker).await?;
    let ended = Worker::open(config, &database)?.run(shutdown).await;
    // Last, because the slices in flight write until the queue has ended.
    shutdown::close(database.close_all()).await;
    ended
}

/// Why a worker could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("could not reach postgres")]
    Store(#[from] StoreError),
    #[error("could not use the encryption keys")]
    Keys(#[from] KeyRingError),
    #[error("could not make an http client")]
    Intercom(#[from] intercom::Error),
    #[error("could not use redis")]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Ended(#[from] queue::WorkerEnded),
}
