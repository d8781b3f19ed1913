//! The budgets that a process keeps: those that are in use, and those of the workspaces that it met lately.
//!
//! Any process meets every workspace of the fleet in time. The ledger forgets a budget a minute after its last request,
//! so a process loses nothing that the fleet still knows if it forgets the budget of an idle workspace.

use std::{collections::HashMap, sync::Arc};

use super::{budget::Budget, driver::Driver};
use crate::{config::RateLimitScope, domain::Region};

/// An idle budget is forgotten once this many other workspaces were met without it.
const RECENT: usize = 1_024;

/// A process's budgets by workspace, and those that workspaces share.
#[derive(Debug)]
pub(super) struct Budgets {
    scope: RateLimitScope,
    by_workspace: HashMap<String, KeptBudget>,
    /// The budgets that workspaces share, if the scope is the app.
    of_app: HashMap<Region, Arc<Driver>>,
    /// With this many budgets, idle ones are forgotten.
    forget_at: usize,
}

#[derive(Debug)]
struct KeptBudget {
    budget: Budget,
    /// Whether the workspace was met since idle budgets were forgotten last.
    is_recent: bool,
}

impl Budgets {
    pub(super) fn new(scope: RateLimitScope) -> Self {
        Self {
            scope,
            by_workspace: HashMap::new(),
            of_app: HashMap::new(),
            forget_at: RECENT,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_workspace.len()
    }

    /// The budget of a workspace, which is met now. `new` makes it if there is none.
    pub(super) fn meet(
        &mut self,
        workspace_id: &str,
        new: impl FnOnce(&mut HashMap<Region, Arc<Driver>>) -> Budget,
    ) -> Budget {
        if let Some(kept) = self.by_workspace.get_mut(workspace_id) {
            kept.is_recent = true;
            return kept.budget.clone();
        }
        if self.by_workspace.len() >= self.forget_at {
            self.forget_idle();
        }
        let budget = new(&mut self.of_app);
        let kept = KeptBudget {
            budget: budget.clone(),
            is_recent: true,
        };
        self.by_workspace.insert(workspace_id.to_owned(), kept);
        budget
    }

    fn forget_idle(&mut self) {
        // A shared budget outlives its workspaces, so it keeps none of them.
        let has_own = self.scope == RateLimitScope::Workspace;
        let mut needed = 0;
        self.by_workspace.retain(|_, kept| {
            let is_recent = std::mem::take(&mut kept.is_recent);
            let is_needed = kept.budget.is_needed() || has_own && kept.budget.driver.is_needed();
            needed += usize::from(is_needed);
            is_needed || is_recent
        });
        // As many more as are needed, so that a new workspace costs the same on average however many there are.
        self.forget_at = self.by_workspace.len() + RECENT.max(needed);
        self.by_workspace.shrink_to(self.forget_at);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Weak,
        time::{Duration, Instant},
    };

    use parking_lot::Mutex;

    use super::{
        super::{Pacing, RateLimitHeaders, breaker::Breaker, permit::Permit},
        *,
    };
    use crate::config::{Config, Environment, ProcessRole};

    /// No call is made to the ledger here, so Redis need not be there.
    fn pacing(scope: &str) -> Pacing {
        let environment: Environment = [
            ("PATHBOUND_PROFILE", "development"),
            ("PATHBOUND_DATABASE_URL", "postgres://u@db/x"),
            ("PATHBOUND_REDIS_URL", "redis://r"),
            ("PATHBOUND_RATE_LIMIT_SCOPE", scope),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        Pacing::open(&Config::load(None, &environment, ProcessRole::Worker).unwrap()).unwrap()
    }

    fn meet(pacing: &Pacing, workspace: &str) -> Budget {
        pacing.budget(Region::Us, workspace)
    }

    /// More workspaces than an idle budget outlives.
    fn meet_others(pacing: &Pacing) {
        for number in 0..3 * RECENT {
            meet(pacing, &number.to_string());
        }
    }

    /// Something that lives as long as the budget, and does not keep it.
    fn watch(budget: &Budget) -> Weak<Mutex<Breaker>> {
        Arc::downgrade(&budget.breaker)
    }

    fn is_kept(watched: &Weak<Mutex<Breaker>>) -> bool {
        watched.strong_count() > 0
    }

    fn permit_of(budget: &Budget) -> Permit {
        Permit {
            workspace_id: Arc::clone(&budget.workspace_id),
            breaker: Arc::clone(&budget.breaker),
            driver: Arc::clone(&budget.driver),
            tick: 0,
            sent_at: Duration::ZERO,
        }
    }

    #[test]
    fn few_budgets_of_many_workspaces_are_kept() {
        for scope in ["workspace", "app"] {
            let pacing = pacing(scope);
            let mut most = 0;
            for number in 0..100_000 {
                meet(&pacing, &number.to_string());
                most = most.max(pacing.kept_budgets());
            }
            assert!(most <= 2 * RECENT, "{most} budgets were kept");
        }
    }

    #[test]
    fn the_workspaces_that_are_met_again_and_again_are_kept() {
        let pacing = pacing("workspace");
        let watched = watch(&meet(&pacing, "often"));
        for number in 0..20 * RECENT {
            meet(&pacing, &number.to_string());
            meet(&pacing, "often");
        }
        assert!(is_kept(&watched));
        meet_others(&pacing);
        assert!(!is_kept(&watched));
    }

    #[test]
    fn a_budget_stays_while_a_reader_or_a_call_has_it() {
        let pacing = pacing("workspace");
        let reader = meet(&pacing, "read");
        let call = permit_of(&meet(&pacing, "called"));
        let watched = [watch(&reader), Arc::downgrade(&call.breaker)];
        meet_others(&pacing);
        assert!(watched.iter().all(is_kept));
        // The next reader shares it, so that the process keeps one account of the workspace.
        assert!(Arc::ptr_eq(&meet(&pacing, "read").driver, &reader.driver));
        drop((reader, call));
        meet_others(&pacing);
        assert!(!watched.iter().any(is_kept));
    }

    #[test]
    fn a_budget_stays_while_its_breaker_is_open() {
        for scope in ["workspace", "app"] {
            let pacing = pacing(scope);
            let call = permit_of(&meet(&pacing, "failing"));
            while call.breaker.lock().check(Duration::ZERO).is_ok() {
                call.on_failure();
            }
            let watched = Arc::downgrade(&call.breaker);
            drop(call);
            meet_others(&pacing);
            assert!(is_kept(&watched));
        }
    }

    #[tokio::test]
    async fn a_budget_stays_while_its_reports_or_a_refusal_wait() {
        let pacing = pacing("workspace");
        let reported = watch(&meet(&pacing, "reported"));
        permit_of(&meet(&pacing, "reported")).on_response(RateLimitHeaders::default(), false);
        let refused = meet(&pacing, "refused");
        let until = refused.driver.on_throttled(RateLimitHeaders::default());
        assert!(refused.driver.instant(until) > Instant::now());
        let refused = watch(&refused);
        meet_others(&pacing);
        assert!(is_kept(&reported) && is_kept(&refused));
    }

    #[tokio::test]
    async fn a_shared_budget_keeps_no_workspace() {
        let pacing = pacing("app");
        let watched = watch(&meet(&pacing, "reported"));
        permit_of(&meet(&pacing, "reported")).on_response(RateLimitHeaders::default(), false);
        meet_others(&pacing);
        assert!(!is_kept(&watched));
    }
}
