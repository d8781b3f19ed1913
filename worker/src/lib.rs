//! The worker: takes tickets, works slices. Stateless, any number of them, killable at any instant.
//!
//! A dead worker's tickets come back after its leases run out; what it had fetched and not committed is
//! fetched again, and what it had committed is not.

mod fleet;

use std::sync::Arc;

pub use fleet::Jobs;
use shared::{
    config::Config,
    intercom::{self, Intercom},
    queue::{self, Queue, QueueError},
    shutdown::Shutdown,
    store::{Role, Store, StoreError},
    sync::Context,
    vault::{KeyRing, KeyRingError},
};

/// Works until `shutdown`, then finishes the slices in hand.
///
/// # Errors
/// When a server cannot be reached at start, or the worker ends for a reason of its own.
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), WorkerError> {
    let context = Context {
        store: Store::connect(&config.database_url, Role::Worker, config.database_connections).await?,
        vault: Arc::new(KeyRing::parse(config.encryption_keys.expose())?),
        intercom: Intercom::new(&config)?,
        config: config.clone(),
    };
    let queue = Queue::connect(&config)?;
    let jobs = Arc::new(Jobs::new(context.clone(), queue.clone()));
    queue::run(queue, config.worker_slots, jobs, shutdown).await?;
    context.store.close().await;
    Ok(())
}

/// Why a worker could not start or go on.
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
