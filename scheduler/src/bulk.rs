//! Works through the bulk actions of operators: retries and drops of many dead letters.
//!
//! Each scheduler does, and none of them is a leader. A batch is one transaction, so a scheduler may be killed at any instant.

use std::{sync::Arc, time::Duration};

use shared::{
    queue::{Queue, Ticket},
    store::{BulkStep, Due, SchedulerStore},
    telemetry::{Repeats, RepeatsOf},
};
use uuid::Uuid;

use super::{SchedulerError, step::within};

/// Letters that one batch reads. It takes some tens of milliseconds, because the scheduler's ticks use the same session.
const BATCH_SIZE: i32 = 500;
/// Between two looks at what is asked for, and at whether workers have taken a batch.
const INTERVAL: Duration = Duration::from_secs(1);

/// Works through bulk actions.
#[derive(Clone, Debug)]
pub struct BulkWorker {
    store: SchedulerStore,
    queue: Queue,
    batch_size: i32,
    unlisted: Arc<Repeats>,
    unworked: Arc<RepeatsOf<Uuid>>,
}

impl BulkWorker {
    #[must_use]
    pub fn new(store: SchedulerStore, queue: Queue) -> Self {
        Self {
            store,
            queue,
            batch_size: BATCH_SIZE,
            unlisted: Arc::default(),
            unworked: Arc::default(),
        }
    }

    /// The same with batches of so many letters.
    #[must_use]
    pub const fn in_batches_of(mut self, letters: i32) -> Self {
        self.batch_size = letters;
        self
    }

    /// Works until it is dropped.
    pub async fn run(&self) {
        loop {
            match self.round().await {
                Ok(goes_on) => {
                    shared::log_end!(self.unlisted.ended(), "lists bulk actions again");
                    if goes_on {
                        continue;
                    }
                }
                Err(error) => {
                    shared::log_failure!(self.unlisted.failed(&error), warn, { %error, source = ?std::error::Error::source(&error) }, "could not list bulk actions");
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// One step of each open bulk action. Returns whether any of them can go on at once. A step that fails keeps no other
    /// action waiting, and the next round tries it again.
    ///
    /// # Errors
    /// If Postgres does not say which are open.
    pub async fn round(&self) -> Result<bool, SchedulerError> {
        let mut goes_on = false;
        for action in within(self.store.open_bulk_actions()).await? {
            match self.step(action).await {
                Ok(step) => {
                    goes_on |= matches!(step, BulkStep::Worked { .. });
                    shared::log_end!(self.unworked.ended(action), { %action }, "works a bulk action again");
                }
                Err(error) => {
                    shared::log_failure!(self.unworked.failed(action, &error), warn, { %action, %error, source = ?std::error::Error::source(&error) }, "could not work a bulk action");
                }
            }
        }
        Ok(goes_on)
    }

    /// One step of a bulk action, and the tickets of what it has made due.
    ///
    /// # Errors
    /// If Postgres fails. Nothing was done then.
    pub async fn step(&self, action: Uuid) -> Result<BulkStep, SchedulerError> {
        let worked = self.store.work_bulk_action(action, self.batch_size);
        let step = within(worked).await?;
        match &step {
            BulkStep::Worked { due } => self.push(due).await,
            BulkStep::Finished { due } => {
                self.push(due).await;
                tracing::info!(%action, "a bulk action has ended");
            }
            BulkStep::Passed | BulkStep::Waits { .. } => {}
        }
        Ok(step)
    }

    /// If this is lost, the next tick finds the streams, because they are due in Postgres.
    async fn push(&self, due: &[Due]) {
        let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
        self.queue.push_due_tickets(&tickets).await;
    }
}
