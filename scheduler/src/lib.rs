//! The scheduler: finds what is due in Postgres and makes tickets of it in Redis.
//!
//! Any number run at once and none is the leader: due rows are claimed with SKIP LOCKED, and a ticket
//! that exists already is not made twice. Two schedulers cost one more query a second, nothing else.

mod tick;

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

/// Between two looks at what is due: one indexed query, however many tenants there are.
const TICK: Duration = Duration::from_secs(1);
/// A pause that Redis could not be told of is applied after this at most.
const PAUSES: Duration = Duration::from_secs(10);

/// Schedules until `shutdown`. Trouble with a server is waited out: the rows stay due.
///
/// # Errors
/// When Postgres cannot be reached at start, or the Redis URL cannot be used.
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), SchedulerError> {
    let store = SchedulerStore::connect(&config.database_url, 2).await?;
    let queue = Queue::connect(&config)?;
    tracing::info!("scheduling");
    let mut pauses_at = Instant::now();
    loop {
        let ticked = async {
            if pauses_at.elapsed() >= PAUSES {
                apply_pauses(&store, &queue).await?;
                pauses_at = Instant::now();
            }
            tick(&store, &queue).await
        };
        match ticked.await {
            Ok(Ticked {
                tickets,
                more: true,
            }) => {
                tracing::debug!(tickets, "more is due");
                continue;
            }
            Ok(_) => metrics::gauge!("pathbound_scheduler_tick_age_seconds").set(0.0),
            Err(error) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "could not schedule");
                metrics::gauge!("pathbound_scheduler_tick_age_seconds")
                    .increment(TICK.as_secs_f64());
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(TICK) => {}
        }
    }
    store.close().await;
    Ok(())
}

/// Why a scheduler could not start, or a tick did nothing.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("could not use postgres")]
    Store(#[from] StoreError),
    #[error("could not use redis")]
    Queue(#[from] QueueError),
}
