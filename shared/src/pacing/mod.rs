//! Pacing: how many calls the whole fleet may still send to a workspace in this 10-second window.
//!
//! Every worker of every process spends from one ledger per workspace, in Redis. Intercom counts fixed windows and
//! announces them in each answer; what it announces is the only truth, and the ledger is what is known of it.
//!
//! | file           | what                                                                           |
//! |----------------|--------------------------------------------------------------------------------|
//! | `ledger/*.lua` | the ledger, one atomic step: settle answers, lease permits (Redis' clock only) |
//! | `ledger.rs`    | the step as a call                                                             |
//! | `local.rs`     | a process' own side: leases, answers not yet settled, Redis being away; pure   |
//! | `app.lua`      | whether the app's workspaces share one bucket, as all processes' answers show  |
//! | `app.rs`       | the app's budget, and that judgement as this process heard it                  |
//! | `sightings.rs` | what one process' answers show of it; pure                                     |
//! | `breaker.rs`   | 5xx and time-outs: apart from the budget                                       |
//! | `pace.rs`      | `governor`: smooths what a process sends, and paces it while Redis is away     |

mod app;
mod breaker;
mod ledger;
mod limiter;
mod local;
mod sightings;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use tokio::sync::Notify;

pub use app::STALE;
use app::{APP, App};
use ledger::Ledger;
pub use ledger::{
    BudgetStatus, CallReport, LEDGER_SCRIPT, LedgerReply, LedgerRequest, RawReply, ThrottleCauses,
};
pub use local::{Acquire, FLUSH, LocalBudget};
pub use sightings::{Seen, Sightings};

use crate::{config::Config, domain::Class};

/// What an answer's headers say; each may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// Calls allowed in the window.
    pub limit: Option<u64>,
    /// Calls left in it.
    pub remaining: Option<u64>,
    /// Its end, Unix seconds of the server's clock.
    pub reset: Option<u64>,
    /// That clock itself.
    pub date: Option<u64>,
    /// Not documented by Intercom, honoured where it comes.
    pub retry_after: Option<Duration>,
}

impl RateLimitHeaders {
    /// How long until the next window has begun, as far as the headers say: both are of the server's clock, which
    /// counts whole seconds. A whole window where they are missing or absurd; longer where `Retry-After` asks for it.
    #[must_use]
    pub fn until_reset(&self) -> Duration {
        let left = self
            .reset
            .zip(self.date)
            .and_then(|(reset, date)| reset.checked_sub(date))
            .map(Duration::from_secs);
        let left = left
            .filter(|left| *left <= local::WINDOW)
            .unwrap_or(local::WINDOW);
        left.max(self.retry_after.unwrap_or_default())
    }
}

/// The budgets of all workspaces, as this process takes part in them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pacing {
    budgets: Arc<Mutex<HashMap<String, Budget>>>,
    ledger: Ledger,
    app: Arc<App>,
}

/// One workspace's budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workspace_id: String,
    ledger: Ledger,
    /// `None` for the app's own budget.
    app: Option<Arc<App>>,
    state: Mutex<State>,
    replied: Notify,
    began: Instant,
}

#[derive(Debug)]
struct State {
    local: LocalBudget,
    /// Callers that wait, by class.
    waiting: [u32; 2],
    /// A task looks after what has to be settled soon.
    flusher_runs: bool,
}

/// The right to send one call, now.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    tick: i64,
    sent: Duration,
    /// The app's, which the call was granted by where all workspaces share a bucket.
    app: Option<Box<Permit>>,
}

/// The ledger cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the rate ledger cannot be used: {0}")]
pub struct PacingError(#[from] redis::RedisError);

impl Pacing {
    /// # Errors
    /// When the Redis URL cannot be used. Redis itself may be away.
    pub fn open(config: &Config) -> Result<Self, PacingError> {
        let ledger = Ledger::open(config)?;
        Ok(Self {
            budgets: Arc::default(),
            app: Arc::new(App::new(&ledger)),
            ledger,
        })
    }

    /// The budget of a workspace, made at its first use.
    #[must_use]
    pub fn budget(&self, workspace_id: &str) -> Budget {
        let mut budgets = self.budgets.lock();
        if let Some(budget) = budgets.get(workspace_id) {
            return budget.clone();
        }
        let budget = Budget::new(workspace_id, &self.ledger, Some(&self.app));
        budgets.insert(workspace_id.to_owned(), budget.clone());
        budget
    }

    /// How the budget stands in the whole fleet that the calls to a workspace are taken from: its own, or the app's
    /// where all share one. `None` when Redis is away.
    pub async fn status(&self, workspace_id: &str) -> Option<BudgetStatus> {
        let budget = if self.ledger.is_shared(APP, None).await.ok()? {
            APP
        } else {
            workspace_id
        };
        self.ledger
            .ask(budget, &LedgerRequest::default())
            .await
            .ok()
            .map(|reply| reply.status)
    }

    /// Our share of each announced limit.
    #[must_use]
    pub const fn max_share(&self) -> f64 {
        self.ledger.max_share()
    }
}

impl Budget {
    fn new(workspace_id: &str, ledger: &Ledger, app: Option<&Arc<App>>) -> Self {
        let state = State {
            local: LocalBudget::new(ledger.max_share()),
            waiting: [0; 2],
            flusher_runs: false,
        };
        Self(Arc::new(Inner {
            workspace_id: workspace_id.to_owned(),
            ledger: ledger.clone(),
            app: app.cloned(),
            state: Mutex::new(state),
            replied: Notify::new(),
            began: Instant::now(),
        }))
    }

    /// A permit for one call of a class; the call has to be sent at once.
    ///
    /// Waiting for the ledger's answer, or for calls under way that are about to tell how much is left, is short
    /// and no reason to park.
    ///
    /// # Errors
    /// When there is nothing to spend, or Intercom only fails: until when the tenant should be parked. No call was
    /// made.
    pub async fn acquire(&self, class: Class) -> Result<Permit, Instant> {
        let begun = Instant::now();
        let taken = self.acquire_somewhere(class).await;
        let ended = taken.as_ref().err().copied().unwrap_or_else(Instant::now);
        metrics::histogram!("pathbound_permit_wait_seconds", "class" => class.as_str())
            .record(ended.saturating_duration_since(begun).as_secs_f64());
        taken
    }

    async fn acquire_somewhere(&self, class: Class) -> Result<Permit, Instant> {
        let Some(app) = &self.0.app else {
            return self.acquire_here(class).await;
        };
        if !app.is_shared().await {
            return self.acquire_here(class).await;
        }
        // The workspace's own ledger would take the neighbours' calls for foreign ones.
        self.lock()
            .local
            .breaker
            .check(self.now())
            .map_err(|until| self.0.began + until)?;
        let of_app = app.budget.acquire_here(class).await?;
        let now = self.now();
        self.lock().local.breaker.on_send(now);
        Ok(Permit {
            budget: self.clone(),
            tick: 0,
            sent: now,
            app: Some(Box::new(of_app)),
        })
    }

    async fn acquire_here(&self, class: Class) -> Result<Permit, Instant> {
        let mut waiter = None;
        loop {
            let replied = self.0.replied.notified();
            tokio::pin!(replied);
            replied.as_mut().enable();
            let until = {
                let mut state = self.lock();
                let now = self.now();
                match state.local.acquire(class, now) {
                    Acquire::Permit { tick } => {
                        return Ok(Permit {
                            budget: self.clone(),
                            tick,
                            sent: now,
                            app: None,
                        });
                    }
                    Acquire::Park(until) => {
                        drop(state);
                        self.ask();
                        return Err(self.0.began + until + jitter(class));
                    }
                    Acquire::Wait(until) => {
                        if waiter.is_none() {
                            state.waiting[class as usize] += 1;
                            waiter = Some(Waiter {
                                budget: self,
                                class,
                            });
                        }
                        until
                    }
                }
            };
            self.ask();
            let _ = tokio::time::timeout_at((self.0.began + until).into(), replied).await;
        }
    }

    /// Takes in what a response announced that was asked for without a permit.
    pub fn learn(&self, headers: RateLimitHeaders) {
        let now = self.now();
        self.answered(0, now, false, headers, now);
    }

    fn answered(
        &self,
        tick: i64,
        sent: Duration,
        refused: bool,
        headers: RateLimitHeaders,
        now: Duration,
    ) {
        let mut state = self.lock();
        state.local.answered(tick, sent, refused, headers, now);
        self.spawn_flusher(&mut state);
    }

    /// Makes the call to the ledger that is due, if one is; on a task of its own, since a caller may go away.
    fn ask(&self) {
        let Some(request) = self.next_request() else {
            return;
        };
        let budget = self.clone();
        tokio::spawn(async move {
            let mut next = Some(request);
            while let Some(request) = next {
                let reply = budget.0.ledger.ask(&budget.0.workspace_id, &request).await;
                budget.on_reply(reply.ok());
                next = budget.next_request();
            }
        });
    }

    fn next_request(&self) -> Option<LedgerRequest> {
        let mut state = self.lock();
        let waiting = state.waiting;
        state.local.next_request(waiting, self.now())
    }

    fn on_reply(&self, reply: Option<LedgerReply>) {
        let mut state = self.lock();
        let parked = state.local.on_reply(reply.as_ref(), self.now());
        self.spawn_flusher(&mut state);
        drop(state);
        self.0.replied.notify_waiters();
        if let Some(reply) = reply {
            record(&reply);
        }
        if let Some((class, wait)) = parked {
            metrics::counter!("pathbound_parked_seconds_total", "class" => class.as_str())
                .increment(wait.as_secs_f64().round() as u64);
        }
    }

    /// Sees to it that answers and unused permits reach the ledger when nobody asks for more.
    fn spawn_flusher(&self, state: &mut State) {
        if state.flusher_runs || !state.local.has_unsettled() {
            return;
        }
        state.flusher_runs = true;
        let budget = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH).await;
                budget.ask();
                let mut state = budget.lock();
                if !state.local.has_unsettled() {
                    state.flusher_runs = false;
                    return;
                }
            }
        });
    }

    /// Since this process knows the budget: a clock that nobody sets.
    fn now(&self) -> Duration {
        self.0.began.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl Permit {
    /// Takes in what this call's answer headers. A 5xx was counted like any other call, and is a failure too.
    pub fn answered(self, headers: RateLimitHeaders, is_failure: bool) {
        if let Some(app) = &self.budget.0.app {
            app.notice(&self.budget.0.workspace_id, headers);
        }
        if is_failure {
            self.failed();
        } else {
            self.budget.lock().local.breaker.answered();
        }
        self.granted().settle(false, headers);
    }

    /// A 429: whoever spent it, this window has nothing left. Returns when to try again.
    #[must_use]
    pub fn throttled(self, headers: RateLimitHeaders) -> Instant {
        self.budget.lock().local.breaker.answered();
        let granted = self.granted();
        let until = granted
            .budget
            .lock()
            .local
            .throttled(headers, granted.budget.now());
        granted.settle(true, headers);
        granted.budget.0.began + until + jitter(Class::Backfill)
    }

    /// The permit that the ledger gave: the app's where that is what was asked.
    fn granted(&self) -> &Self {
        self.app.as_deref().unwrap_or(self)
    }

    fn settle(&self, refused: bool, headers: RateLimitHeaders) {
        self.budget
            .answered(self.tick, self.sent, refused, headers, self.budget.now());
    }

    /// A 5xx, a time-out, a cut connection: whether the call was counted is for the ledger to find out.
    pub fn failed(&self) {
        let now = self.budget.now();
        if self.budget.lock().local.breaker.failed(now) {
            tracing::warn!(workspace = %self.budget.0.workspace_id, "intercom only fails: its calls wait");
        }
    }
}

/// A caller that waits; leaves when dropped.
struct Waiter<'a> {
    budget: &'a Budget,
    class: Class,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        let waiting = &mut state.waiting[self.class as usize];
        *waiting = waiting.saturating_sub(1);
    }
}

fn record(reply: &LedgerReply) {
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
}

/// A fleet should not start on one tick; a few fresh calls are no fleet.
fn jitter(class: Class) -> Duration {
    Duration::from_millis(rand::random_range(
        5..=if class == Class::Fresh { 10 } else { 60 },
    ))
}
