#![doc = include_str!("README.md")]

mod breaker;
mod budget;
mod budgets;
mod driver;
mod fleet_use;
mod headers;
mod ledger;
mod limiter;
mod local;
mod permit;
mod protocol;
mod scope;

use std::sync::Arc;

use parking_lot::Mutex;

pub use budget::Budget;
pub use fleet_use::{BudgetUse, FleetWindow};
pub use headers::RateLimitHeaders;
pub use ledger::LEDGER_SCRIPT;
pub use local::{Acquire, FLUSH_DELAY, LocalBudget};
pub use permit::Permit;
pub use protocol::{
    BudgetStatus, CallReport, LedgerReply, LedgerRequest, RawLedgerReply, ThrottleCauses, WindowUse,
};
pub use scope::ScopeCheck;

use breaker::Breaker;
use budgets::Budgets;
use driver::{Driver, ScopeWatch};
use ledger::Ledger;

use crate::{
    config::{Config, RateLimitScope},
    domain::Region,
};

/// The rate budgets of all workspaces, as this process shares them with the fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pacing {
    budgets: Arc<Mutex<Budgets>>,
    ledger: Ledger,
    scope: ScopeWatch,
    /// Calls that one slice has in flight at once.
    slice_concurrency: usize,
}

/// The ledger cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the rate ledger, check redis_url: {0}")]
pub struct PacingError(#[from] redis::RedisError);

impl Pacing {
    /// Opens the rate budgets. Redis itself may be away.
    ///
    /// # Errors
    /// If the Redis URL cannot be used.
    pub fn open(config: &Config) -> Result<Self, PacingError> {
        let scope = config.intercom.rate_limit_scope;
        Ok(Self {
            budgets: Arc::new(Mutex::new(Budgets::new(scope))),
            ledger: Ledger::open(config)?,
            scope: ScopeWatch {
                configured: scope,
                check: Arc::new(Mutex::new(ScopeCheck::new(scope))),
            },
            slice_concurrency: config.conversation_concurrency,
        })
    }

    /// The budget that the calls to a workspace are taken from. It is created when the workspace is met, and kept while
    /// it is in use. An idle one is forgotten after some time.
    #[must_use]
    pub fn budget(&self, region: Region, workspace_id: &str) -> Budget {
        let mut budgets = self.budgets.lock();
        budgets.meet(workspace_id, |of_app| {
            let driver = || {
                let name = self.name(region, workspace_id);
                Driver::new(name, self.ledger.clone(), self.scope.clone())
            };
            let driver = match self.scope.configured {
                RateLimitScope::Workspace => driver(),
                RateLimitScope::App => Arc::clone(of_app.entry(region).or_insert_with(driver)),
            };
            Budget::new(workspace_id, Breaker::new(self.slice_concurrency), driver)
        })
    }

    /// How many workspaces' budgets this process keeps.
    #[must_use]
    pub fn kept_budgets(&self) -> usize {
        self.budgets.lock().len()
    }

    /// The state of a workspace's budget in the whole fleet, or `None` if Redis is away.
    pub async fn status(&self, region: Region, workspace_id: &str) -> Option<BudgetStatus> {
        let name = self.name(region, workspace_id);
        let reply = self.ledger.call(&name, &LedgerRequest::default()).await;
        reply.ok().map(|reply| reply.status)
    }

    /// The fleet's use of all its budgets in so many windows whose ends have passed, the last one first.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn fleet_windows(&self, count: i64) -> Result<Vec<FleetWindow>, PacingError> {
        Ok(self.ledger.fleet_use().windows(count).await?)
    }

    /// Shares what this process sees of its budgets, for those who look at the fleet, until it is dropped.
    pub async fn share_use(&self) {
        self.ledger.fleet_use().share().await;
    }

    /// The fleet's share of each announced limit.
    #[must_use]
    pub const fn max_share(&self) -> f64 {
        self.ledger.max_share()
    }

    /// The budget's name in Redis.
    fn name(&self, region: Region, workspace_id: &str) -> String {
        match self.scope.configured {
            RateLimitScope::Workspace => workspace_id.to_owned(),
            // No workspace has such an id.
            RateLimitScope::App => format!("(app:{region})"),
        }
    }
}
