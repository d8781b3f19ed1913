//! Pacing: how many calls a workspace may still be asked in this 10-second window.
//!
//! Intercom counts fixed windows and announces them in each answer. This is the process's own view:
//! what others spend shows in `Remaining`, so two processes share a window without knowing each other.

mod window;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::Notify;
pub use window::Announced;
use window::{Window, jittered};

/// The budgets of all workspaces that this process reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pacing {
    budgets: Arc<Mutex<HashMap<String, Budget>>>,
    max_share: f64,
}

/// One workspace's budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    window: Mutex<Window>,
    answered: Notify,
}

/// The right to send one call. Given back when dropped, answered or not.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
}

impl Pacing {
    /// Spends at most `max_share` of each announced limit.
    #[must_use]
    pub fn new(max_share: f64) -> Self {
        Self { budgets: Arc::default(), max_share }
    }

    /// The budget of a workspace, made at its first use.
    #[must_use]
    pub fn budget(&self, workspace_id: &str) -> Budget {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get(workspace_id) {
            return budget.clone();
        }
        let budget =
            Budget(Arc::new(Inner { window: Mutex::new(Window::new(self.max_share)), answered: Notify::new() }));
        budgets.insert(workspace_id.to_owned(), budget.clone());
        budget
    }
}

impl Budget {
    /// A permit for one call.
    ///
    /// Nothing is known of the window before the first answer, so then one call goes alone; and towards
    /// the window's end each answer tells how much is left. Waiting for an answer is short, and no
    /// reason to park.
    ///
    /// # Errors
    /// When our share of the window is spent: the time at which the next one begins, with jitter.
    pub async fn acquire(&self) -> Result<Permit, SystemTime> {
        loop {
            let answered = self.0.answered.notified();
            match self.lock().take(SystemTime::now()) {
                window::Taken::Yes => return Ok(Permit { budget: self.clone() }),
                window::Taken::Until(reset) => return Err(jittered(reset)),
                window::Taken::AfterAnAnswer => {}
            }
            // The time limit covers an answer that came between the check and the wait.
            let _ = tokio::time::timeout(Duration::from_millis(100), answered).await;
        }
    }

    /// Takes in what an answer announced.
    pub fn learn(&self, announced: Announced) {
        self.lock().learn(announced, SystemTime::now());
        self.0.answered.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Window> {
        self.0.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Takes in what this call's answer announced.
    pub fn learn(&self, announced: Announced) {
        self.budget.learn(announced);
    }

    /// A 429: the window counts as spent. Returns when to try again.
    #[must_use]
    pub fn throttled(&self, retry_after: Option<SystemTime>) -> SystemTime {
        let reset = self.budget.lock().throttled(SystemTime::now());
        jittered(retry_after.map_or(reset, |at| at.max(reset)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.lock().returned();
        self.budget.0.answered.notify_waiters();
    }
}
