//! The scheduler: finds the streams that are due in Postgres and pushes their tickets to Redis.
//!
//! Any number of schedulers may run, and none of them is a leader, because each claims due rows with SKIP LOCKED and
//! Redis refuses a ticket that is live already. A second scheduler costs one more query a second.

mod tick;
mod tick_age;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    config::Config,
    queue::{Queue, QueueError},
    shutdown::Shutdown,
    store::{SchedulerStore, StoreError},
};
pub use tick::{Ticked, apply_pauses, tick};
use tick_age::TickAge;

/// Between two ticks. A tick is one indexed query, however many tenants there are.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// How often Redis gets a copy of Postgres' pauses, because it may have been away when a pause was set.
const PAUSES_INTERVAL: Duration = Duration::from_secs(10);

/// Schedules until `shutdown`. A failure of Postgres or Redis costs a tick and nothing else, because the streams
/// stay due.
///
/// # Errors
/// If Postgres cannot be reached at the start, or if the Redis URL cannot be used.
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), SchedulerError> {
    let store = SchedulerStore::connect(&config.database_url, 2).await?;
    let queue = Queue::connect(&config)?;
    tracing::info!("started the scheduler");
    let age = TickAge::new();
    tokio::select! {
        // Published beside the ticks, so that the age grows while a tick hangs.
        () = age.clone().publish() => {}
        () = schedule(&store, &queue, &age, &shutdown) => {}
    }
    store.close().await;
    Ok(())
}

async fn schedule(store: &SchedulerStore, queue: &Queue, age: &TickAge, shutdown: &Shutdown) {
    let mut pauses_at = Instant::now();
    while !shutdown.is_cancelled() {
        let ticked = async {
            if pauses_at.elapsed() >= PAUSES_INTERVAL {
                // Before the tick, so that no ticket of a paused tenant is leased in between.
                apply_pauses(store, queue).await?;
                pauses_at = Instant::now();
            }
            tick(store, queue).await
        };
        match ticked.await {
            Ok(Ticked { tickets, more }) => {
                age.tick_completed();
                if more {
                    tracing::debug!(tickets, "more streams are due, ticking again at once");
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "could not complete a tick");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(TICK_INTERVAL) => {}
        }
    }
}

/// Why a scheduler could not start, or why a tick failed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("could not use postgres")]
    Store(#[from] StoreError),
    #[error("could not use redis")]
    Queue(#[from] QueueError),
}
