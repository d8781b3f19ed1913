//! The age of the last completed tick, as a gauge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How often the gauge is set. It is never older than this.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// When the scheduler last completed a tick. Until the first one, when it started.
#[derive(Clone, Debug)]
pub(crate) struct TickAge(Arc<Mutex<Instant>>);

impl TickAge {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn tick_completed(&self) {
        *self.0.lock() = Instant::now();
    }

    pub(crate) fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }

    /// Publishes the age until it is dropped. It runs beside the ticks, so that the age also grows while a tick
    /// hangs in a call.
    pub(crate) async fn publish(self) {
        loop {
            metrics::gauge!("pathbound_scheduler_tick_age_seconds").set(self.age().as_secs_f64());
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_age_grows_until_a_tick_completes() {
        let age = TickAge::new();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(age.age() >= Duration::from_millis(20));
        let completed_at = Instant::now();
        age.tick_completed();
        assert!(age.age() <= completed_at.elapsed());
    }
}
