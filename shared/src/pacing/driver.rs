//! Runs one budget of this process: the state machine of `local`, with Redis and tokio.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, futures::Notified};

use super::{
    headers::RateLimitHeaders,
    ledger::Ledger,
    local::{Acquire, FLUSH_DELAY, LocalBudget},
    protocol::{LedgerReply, LedgerRequest, ThrottleCauses},
    scope::ScopeCheck,
};
use crate::{config::RateLimitScope, domain::Class};

#[derive(Debug)]
pub(super) struct Driver {
    /// The budget's name in Redis.
    budget: String,
    ledger: Ledger,
    scope: ScopeWatch,
    state: Mutex<DriverState>,
    replied: Notify,
    started_at: Instant,
}

/// The option, and the check that all budgets of a process share.
#[derive(Clone, Debug)]
pub(super) struct ScopeWatch {
    pub(super) configured: RateLimitScope,
    pub(super) check: Arc<Mutex<ScopeCheck>>,
}

#[derive(Debug)]
struct DriverState {
    local: LocalBudget,
    /// Waiting callers by class.
    waiting: [u32; 2],
    flusher_running: bool,
}

impl Driver {
    pub(super) fn new(budget: String, ledger: Ledger, scope: ScopeWatch) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(DriverState {
                local: LocalBudget::new(ledger.max_share()),
                waiting: [0; 2],
                flusher_running: false,
            }),
            budget,
            ledger,
            scope,
            replied: Notify::new(),
            started_at: Instant::now(),
        })
    }

    /// The time since this process knows the budget. No operator sets this clock.
    pub(super) fn now(&self) -> Duration {
        self.started_at.elapsed()
    }

    pub(super) fn instant(&self, at: Duration) -> Instant {
        self.started_at + at
    }

    pub(super) fn acquire(&self, class: Class, now: Duration) -> Acquire {
        self.lock().local.acquire(class, now)
    }

    /// Completes with the ledger's next reply.
    pub(super) fn replied(&self) -> Notified<'_> {
        self.replied.notified()
    }

    /// Counts a caller as waiting until the guard is dropped.
    pub(super) fn enter(&self, class: Class) -> Waiter<'_> {
        // The ledger grants as many permits as callers wait, so an uncounted caller would wait
        // another round.
        self.lock().waiting[class as usize] += 1;
        Waiter {
            driver: self,
            class,
        }
    }

    pub(super) fn on_response(
        self: &Arc<Self>,
        tick: i64,
        sent_at: Duration,
        refused: bool,
        headers: RateLimitHeaders,
    ) {
        let mut state = self.lock();
        state
            .local
            .on_response(tick, sent_at, refused, headers, self.now());
        self.spawn_flusher(&mut state);
    }

    pub(super) fn on_throttled(&self, headers: RateLimitHeaders) -> Duration {
        let now = self.now();
        self.lock().local.on_throttled(headers, now)
    }

    /// Whether this process knows something that the ledger does not know yet.
    pub(super) fn is_needed(self: &Arc<Self>) -> bool {
        // The tasks that call the ledger hold the driver, beside the budget that is kept.
        Arc::strong_count(self) > 1 || self.lock().local.is_needed(self.now())
    }

    /// Makes the call to the ledger that is due, if any. It runs on its own task, because a caller may be cancelled.
    pub(super) fn call_ledger(self: &Arc<Self>) {
        let Some(request) = self.next_request() else {
            return;
        };
        let driver = Arc::clone(self);
        tokio::spawn(async move {
            let mut next = Some(request);
            while let Some(request) = next {
                let reply = driver.ledger.call(&driver.budget, &request).await;
                driver.on_reply(reply.ok());
                next = driver.next_request();
            }
        });
    }

    fn next_request(&self) -> Option<LedgerRequest> {
        let mut state = self.lock();
        let waiting = state.waiting;
        state.local.next_request(waiting, self.now())
    }

    fn on_reply(self: &Arc<Self>, reply: Option<LedgerReply>) {
        let mut state = self.lock();
        let parked = state.local.on_reply(reply.as_ref(), self.now());
        self.spawn_flusher(&mut state);
        drop(state);
        // Callers take the lock when they wake, so it is free by now.
        self.replied.notify_waiters();
        if let Some(reply) = reply {
            self.record(&reply);
        }
        if let Some((class, wait)) = parked {
            metrics::counter!("pathbound_parked_seconds_total", "class" => class.as_str())
                .increment(wait.as_secs_f64().round() as u64);
        }
    }

    /// Makes sure that reports and unused permits reach the ledger even if no caller asks for a permit.
    fn spawn_flusher(self: &Arc<Self>, state: &mut DriverState) {
        if state.flusher_running || !state.local.has_unsettled() {
            return;
        }
        // One flusher per budget. It ends when nothing is left to report, so an idle budget has no
        // task.
        state.flusher_running = true;
        let driver = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_DELAY).await;
                driver.call_ledger();
                let mut state = driver.lock();
                // Decided under the lock, so that a new report finds either this flusher or none.
                if !state.local.has_unsettled() {
                    state.flusher_running = false;
                    return;
                }
            }
        });
    }

    fn record(&self, reply: &LedgerReply) {
        if let Some(used) = reply.closed {
            metrics::histogram!("pathbound_rate_window_used_ratio").record(used);
        }
        let ThrottleCauses { own, foreign, cold } = reply.throttled;
        for (cause, count) in [("own", own), ("foreign", foreign), ("cold", cold)] {
            if count > 0 {
                metrics::counter!("pathbound_intercom_throttled_total", "cause" => cause)
                    .increment(u64::from(count));
            }
        }
        let Some(window) = reply.window else { return };
        let allowed = reply.status.allowed;
        self.ledger.fleet_use().note(&self.budget, window, allowed);
        if self.scope.check.lock().observe(&self.budget, window) {
            let scope = self.scope.configured.as_str();
            metrics::counter!("pathbound_rate_limit_scope_contradictions_total", "scope" => scope)
                .increment(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, DriverState> {
        self.state.lock()
    }
}

/// A waiting caller.
pub(super) struct Waiter<'a> {
    driver: &'a Driver,
    class: Class,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.driver.lock();
        let waiting = &mut state.waiting[self.class as usize];
        *waiting = waiting.saturating_sub(1);
    }
}
