//! A workspace's calls: its breaker, and the budget that the calls are taken from.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    breaker::Breaker,
    driver::Driver,
    headers::RateLimitHeaders,
    local::Acquire,
    permit::{Permit, jitter},
};
use crate::domain::Class;

/// The rate budget of one workspace, its own or the one of the app. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget {
    pub(super) workspace_id: Arc<str>,
    /// Failures are a workspace's own, even if the budget is shared.
    pub(super) breaker: Arc<Mutex<Breaker>>,
    pub(super) driver: Arc<Driver>,
}

impl Budget {
    pub(super) fn new(workspace_id: &str, breaker: Breaker, driver: Arc<Driver>) -> Self {
        Self {
            workspace_id: workspace_id.into(),
            breaker: Arc::new(Mutex::new(breaker)),
            driver,
        }
    }

    /// Acquires a permit for one call of a class. The caller sends the call at once.
    ///
    /// Short waits happen here: for the ledger's reply, or for responses that are about to show what is left.
    ///
    /// # Errors
    /// If the budget is spent or the breaker is open: the time until which to park the tenant. No call was sent.
    #[tracing::instrument(
        name = "permit.acquire",
        level = "debug",
        skip_all,
        fields(workspace.id = %self.workspace_id, class = class.as_str())
    )]
    pub async fn acquire(&self, class: Class) -> Result<Permit, Instant> {
        let started_at = Instant::now();
        let acquired = self.wait_for_permit(class).await;
        // A parked tenant waits until it is due again, so that time counts too.
        let ended_at = acquired
            .as_ref()
            .err()
            .copied()
            .unwrap_or_else(Instant::now);
        metrics::histogram!("pathbound_permit_wait_seconds", "class" => class.as_str())
            .record(ended_at.saturating_duration_since(started_at).as_secs_f64());
        acquired
    }

    async fn wait_for_permit(&self, class: Class) -> Result<Permit, Instant> {
        let mut waiter = None;
        loop {
            // The listener starts before the decision, so that no reply in between is missed.
            let replied = self.driver.replied();
            tokio::pin!(replied);
            replied.as_mut().enable();
            let now = self.driver.now();
            match self.try_acquire(class, now) {
                Acquire::Permit { tick } => {
                    return Ok(Permit {
                        workspace_id: Arc::clone(&self.workspace_id),
                        breaker: Arc::clone(&self.breaker),
                        driver: Arc::clone(&self.driver),
                        tick,
                        sent_at: now,
                    });
                }
                // A parked caller gives its slot back, and the ledger still hears of its demand.
                Acquire::Park(until) => {
                    self.driver.call_ledger();
                    return Err(self.driver.instant(until) + jitter(class));
                }
                Acquire::Wait(until) => {
                    // Counted once, however often this caller wakes and waits again.
                    waiter.get_or_insert_with(|| self.driver.enter(class));
                    self.driver.call_ledger();
                    let until = self.driver.instant(until).into();
                    let _ = tokio::time::timeout_at(until, replied).await;
                }
            }
        }
    }

    /// The breaker stays locked until the permit is taken, so that only one probe is sent. Lock order: the breaker,
    /// then the driver.
    fn try_acquire(&self, class: Class, now: Duration) -> Acquire {
        let mut breaker = self.breaker.lock();
        if let Err(until) = breaker.check(now) {
            return Acquire::until(until, now);
        }
        let acquired = self.driver.acquire(class, now);
        if matches!(acquired, Acquire::Permit { .. }) {
            breaker.on_send(now);
        }
        acquired
    }

    /// Takes in the headers of a response to a call that was sent without a permit.
    pub fn on_response(&self, headers: RateLimitHeaders) {
        self.driver
            .on_response(0, self.driver.now(), false, headers);
    }

    /// Whether a reader or a call has the budget, or the breaker is not closed.
    pub(super) fn is_needed(&self) -> bool {
        // Every reader and every permit holds the breaker, beside the budget that is kept.
        Arc::strong_count(&self.breaker) > 1 || self.breaker.lock().is_needed(self.driver.now())
    }
}
