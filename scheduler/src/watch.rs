//! Measures the whole fleet: gauges, the freshness objective, and how many workers each pool should have.
//!
//! One scheduler does it at a time. It has the watch, which ends by itself if it does not keep it, and what it exports ends
//! with it, so no scheduler says what is no longer so. The decisions go to Redis, and the next holder goes on from them.

mod measure;

use std::time::{Duration, Instant};

use measure::Measured;
use shared::{
    autoscale::{FleetNumbers, Settings},
    config::Config,
    pacing::Pacing,
    queue::Queue,
    store::SchedulerStore,
    telemetry::{FleetRecorder, Repeats},
};
use uuid::Uuid;

use super::SchedulerError;

/// A measurement that takes long is made less often, so that it costs Postgres two hundredths of a core at most.
const REST: u32 = 50;
/// Intervals after which a silent holder loses the watch.
const PATIENCE: u32 = 3;

/// The measuring part of a scheduler.
#[derive(Debug)]
pub struct FleetWatch {
    /// Of one start of the scheduler.
    name: String,
    store: SchedulerStore,
    queue: Queue,
    pacing: Pacing,
    recorder: FleetRecorder,
    freshness_target: Duration,
    drains: measure::Drains,
    settings: Settings,
    interval: Duration,
}

/// What a holder knows between two measurements.
#[derive(Debug)]
pub(crate) struct Term {
    numbers: FleetNumbers,
    measured_at: Option<Instant>,
}

impl FleetWatch {
    #[must_use]
    pub fn new(config: &Config, store: SchedulerStore, queue: Queue, pacing: Pacing) -> Self {
        let fleet = &config.fleet;
        Self {
            name: Uuid::now_v7().simple().to_string(),
            store,
            queue,
            pacing,
            recorder: FleetRecorder::default(),
            freshness_target: fleet.freshness_target,
            drains: measure::Drains {
                fresh: fleet.fresh_drain,
                backfill: fleet.backfill_drain,
            },
            settings: Settings {
                slots: fleet.slots,
                min_workers: fleet.min_workers,
                max_workers: fleet.max_workers,
            },
            interval: fleet.interval,
        }
    }

    /// What it exports.
    #[must_use]
    pub fn recorder(&self) -> FleetRecorder {
        self.recorder.clone()
    }

    /// Measures until it is dropped.
    pub async fn run(&self) {
        let mut term = None;
        let failures = Repeats::new();
        loop {
            let began_at = Instant::now();
            match self.round(&mut term).await {
                Ok(()) => {
                    shared::log_end!(failures.ended(), "measures the fleet again");
                }
                Err(error) => {
                    shared::log_failure!(failures.failed(&error), warn, { %error, source = ?std::error::Error::source(&error) }, "could not measure the fleet");
                }
            }
            tokio::time::sleep(self.interval.max(began_at.elapsed() * REST)).await;
        }
    }

    /// Gives the watch up, so that another scheduler measures at once.
    pub async fn leave(&self) {
        self.recorder.end();
        if let Err(error) = self.queue.leave_watch(&self.name).await {
            tracing::debug!(%error, "could not give the watch up, leaving it to expire");
        }
    }

    /// Measures once, if this scheduler has the watch or can take it.
    async fn round(&self, term: &mut Option<Term>) -> Result<(), SchedulerError> {
        let began_at = Instant::now();
        let good_for = self.interval * PATIENCE;
        let Some(numbers) = self.queue.keep_watch(&self.name, good_for).await? else {
            *term = None;
            self.recorder.end();
            return Ok(());
        };
        let term = term.get_or_insert_with(|| Term {
            numbers: FleetNumbers::read(&numbers),
            measured_at: None,
        });
        let measured = self.measure().await?;
        let since = term.measured_at.map_or(self.interval, |at| at.elapsed());
        for (pool, sample) in measured.samples(since, self.drains) {
            term.numbers.step(pool, sample, &self.settings);
        }
        let counted = term.measured_at.map(|_| since);
        term.measured_at = Some(Instant::now());
        // A slow measurement is made less often.
        let good_for = good_for.max(began_at.elapsed() * REST * 2);
        let asked_at = Instant::now();
        if self.tell(good_for, &term.numbers).await? {
            // No longer than the watch is surely ours.
            let good_for = good_for.saturating_sub(asked_at.elapsed());
            self.recorder
                .write(good_for, || measured.export(&term.numbers, counted));
        } else {
            self.recorder.end();
        }
        Ok(())
    }

    async fn tell(
        &self,
        good_for: Duration,
        numbers: &FleetNumbers,
    ) -> Result<bool, SchedulerError> {
        let text = numbers.write();
        Ok(self
            .queue
            .tell_fleet_numbers(&self.name, good_for, &text)
            .await?)
    }

    async fn measure(&self) -> Result<Measured, SchedulerError> {
        Measured::read(
            &self.store,
            &self.queue,
            &self.pacing,
            self.freshness_target,
        )
        .await
    }
}
