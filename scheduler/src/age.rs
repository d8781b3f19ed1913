//! The age of what a loop last completed, as a gauge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How often the gauge is set. It is never older than this.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// When a loop last completed its work. Until the first time, when it started.
#[derive(Clone, Debug)]
pub(crate) struct Age(Arc<Mutex<Instant>>);

impl Age {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn completed(&self) {
        *self.0.lock() = Instant::now();
    }

    pub(crate) fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }

    /// Publishes the age until it is dropped. It runs beside the loop, so that the age also grows while the loop hangs in
    /// a call.
    pub(crate) async fn publish(self, gauge: impl Fn(f64)) {
        loop {
            gauge(self.age().as_secs_f64());
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_grows_until_the_work_is_completed() {
        let age = Age::new();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(age.age() >= Duration::from_millis(20));
        let completed_at = Instant::now();
        age.completed();
        assert!(age.age() <= completed_at.elapsed());
    }
}
