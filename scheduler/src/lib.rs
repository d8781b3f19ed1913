//! The scheduler: finds the streams that are due in Postgres and pushes their tickets to Redis. Its janitor removes what
//! ended long ago, and it works through the bulk actions of operators. One scheduler at a time also measures the fleet.
//!
//! Any number of schedulers may run, and none of them is a leader, because each claims due rows with SKIP LOCKED and
//! Redis refuses a ticket that is live already. A second scheduler costs one more query a second.

mod age;
mod bulk;
mod janitor;
mod step;
mod tick;
mod watch;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use age::Age;
pub use bulk::BulkWorker;
pub use janitor::{Janitor, Round};
use shared::{
    config::{Config, ProcessRole},
    pacing::{Pacing, PacingError},
    pulse::Pulse,
    queue::{Queue, QueueError},
    shutdown::{self, Shutdown},
    store::{Database, SchedulerStore, StoreError},
    telemetry::{FleetRecorder, Repeats},
};
use step::within;
pub use tick::{Ticked, apply_pauses, tick};
pub use watch::FleetWatch;

/// Between two ticks. A tick is one indexed query, however many tenants there are.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// A tick under way at the shutdown may go on for this long.
const LAST_TICK: Duration = Duration::from_secs(2);
/// How often Redis gets a copy of Postgres' pauses, because it may have been away when a pause was set.
const PAUSES_INTERVAL: Duration = Duration::from_secs(10);

/// A scheduler that is connected to its servers and not running yet.
#[derive(Debug)]
pub struct Scheduler {
    store: SchedulerStore,
    queue: Queue,
    janitor: Janitor,
    bulk: BulkWorker,
    watch: FleetWatch,
    pulse: Pulse,
}

impl Scheduler {
    /// The scheduler of a process that has this database.
    ///
    /// # Errors
    /// If the Redis URL cannot be used. Redis may be away.
    pub fn open(config: &Config, database: &Database) -> Result<Self, SchedulerError> {
        let queue = Queue::connect(config)?;
        Ok(Self {
            store: database.store(),
            bulk: BulkWorker::new(database.store(), queue.clone()),
            watch: FleetWatch::new(
                config,
                database.store(),
                queue.clone(),
                Pacing::open(config)?,
            ),
            queue,
            janitor: Janitor::new(database.store(), config.retention),
            pulse: Pulse::default(),
        })
    }

    /// Beats with each step of a tick, whether it succeeds or not.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// What it exports of the whole fleet while it measures it.
    #[must_use]
    pub fn fleet_recorder(&self) -> FleetRecorder {
        self.watch.recorder()
    }

    /// Its sessions of Postgres.
    #[must_use]
    pub const fn store(&self) -> &SchedulerStore {
        &self.store
    }

    /// Schedules until `shutdown`. A failure of Postgres or Redis costs a tick and nothing else, because the streams
    /// stay due.
    pub async fn run(self, shutdown: Shutdown) {
        tracing::info!("started the scheduler");
        let age = Age::new();
        let publish_age = age.clone().publish(|seconds| {
            metrics::gauge!("pathbound_scheduler_tick_age_seconds").set(seconds);
        });
        let stopped = async {
            shutdown.cancelled().await;
            // A tick that hangs is dropped after that, because its streams stay due.
            tokio::time::sleep(LAST_TICK).await;
        };
        tokio::select! {
            // Published beside the ticks, so that the age grows while a tick hangs.
            () = publish_age => {}
            // It is dropped with the last tick, because a batch that is not committed removes nothing.
            () = self.janitor.run() => {}
            // The same holds for a batch of letters. In a box, so that the others need no stack for it.
            () = Box::pin(self.bulk.run()) => {}
            () = Box::pin(self.watch.run()) => {}
            () = self.schedule(&age, &shutdown) => {}
            () = stopped => {}
        }
        self.watch.leave().await;
    }

    async fn schedule(&self, age: &Age, shutdown: &Shutdown) {
        let mut pauses_at = Instant::now();
        let failures = Repeats::new();
        while !shutdown.is_cancelled() {
            let ticked = self.tick(&mut pauses_at).await;
            self.pulse.beat();
            match ticked {
                Ok(Ticked { tickets, more }) => {
                    age.completed();
                    shared::log_end!(failures.ended(), "completes ticks again");
                    if more {
                        tracing::debug!(tickets, "more streams are due, ticking again at once");
                        continue;
                    }
                }
                Err(error) => {
                    shared::log_failure!(failures.failed(&error), warn, { %error, source = ?std::error::Error::source(&error) }, "could not complete a tick");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(TICK_INTERVAL) => {}
            }
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn tick(&self, pauses_at: &mut Instant) -> Result<Ticked, SchedulerError> {
        if pauses_at.elapsed() >= PAUSES_INTERVAL {
            // Before the tick, so that no ticket of a paused tenant is leased in between.
            within(apply_pauses(&self.store, &self.queue)).await?;
            *pauses_at = Instant::now();
        }
        tick::tick_with(&self.store, &self.queue, &self.pulse).await
    }
}

/// Opens a scheduler and runs it.
///
/// # Errors
/// See [`Scheduler::open`].
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), SchedulerError> {
    let database = Database::open(&config, ProcessRole::Scheduler).await?;
    Scheduler::open(&config, &database)?.run(shutdown).await;
    shutdown::close(database.close_all()).await;
    Ok(())
}

/// Why a scheduler could not start, or why a tick failed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    #[error("could not use postgres")]
    Store(#[from] StoreError),
    #[error("could not use redis")]
    Queue(#[from] QueueError),
    #[error("could not use the rate budgets")]
    Pacing(#[from] PacingError),
    #[error("a step took longer than {0:?}, so it was given up")]
    Late(Duration),
}
