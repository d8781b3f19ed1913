//! Whether the option `rate_limit_scope` fits what Intercom's responses show.
//!
//! Intercom does not document whether each workspace has its own rate limit or all workspaces of an app share one.
//! The option states it, and this check counts the windows that contradict the option. It changes nothing else.

use std::collections::HashMap;

use super::protocol::WindowUse;
use crate::config::RateLimitScope;

/// A window that ended this long before another budget's is not compared any more. Seconds of Intercom's clock.
const COMPARED: i64 = 60;
/// The fewest windows at which old ones are removed.
const MIN_WINDOWS: usize = 1_024;

/// The budgets that one process called lately, and their windows.
#[derive(Debug)]
pub struct ScopeCheck {
    scope: RateLimitScope,
    windows: HashMap<String, WindowUse>,
    /// With this many windows, old ones are removed.
    prune_at: usize,
    /// The last window that contradicted the option, so that each one counts once.
    counted: i64,
}

impl ScopeCheck {
    #[must_use]
    pub fn new(scope: RateLimitScope) -> Self {
        Self {
            scope,
            windows: HashMap::new(),
            prune_at: MIN_WINDOWS,
            counted: 0,
        }
    }

    /// Takes in a budget's window as the ledger replied it. Returns whether the budget's previous window is over and
    /// contradicts the option.
    pub fn observe(&mut self, budget: &str, window: WindowUse) -> bool {
        let ended = match self.windows.get_mut(budget) {
            Some(known) => std::mem::replace(known, window),
            None => {
                self.remember(budget, window);
                return false;
            }
        };
        if window.reset <= ended.reset || ended.reset <= self.counted {
            return false;
        }
        let contradicts = match self.scope {
            RateLimitScope::App => is_not_shared(&ended),
            // The other budgets' windows are compared while they still have the same Reset.
            RateLimitScope::Workspace => {
                is_large(ended.foreign, ended.limit)
                    && self.windows.values().any(|other| are_one(&ended, other))
            }
        };
        if contradicts {
            self.counted = ended.reset;
        }
        contradicts
    }

    /// A process meets every workspace of the fleet in time, so idle ones are forgotten.
    fn remember(&mut self, budget: &str, window: WindowUse) {
        if self.windows.len() >= self.prune_at {
            let oldest = window.reset - COMPARED;
            self.windows.retain(|_, known| known.reset >= oldest);
            // Twice what is left, so that a new budget costs the same on average however many there are.
            self.prune_at = MIN_WINDOWS.max(2 * self.windows.len());
        }
        self.windows.insert(budget.to_owned(), window);
    }
}

/// The fleet alone made more calls than Intercom counted in the one limit, so there are several limits.
fn is_not_shared(window: &WindowUse) -> bool {
    is_large(window.own.saturating_sub(window.used), window.limit)
}

/// Two budgets describe one limit if Intercom counted about the same in both, and the calls that each one cannot
/// explain are about as many as the fleet's calls of the other.
///
/// Two customers whose own apps use as much, in the same window, look the same.
fn are_one(one: &WindowUse, other: &WindowUse) -> bool {
    let explains = |foreign: u32, own: u32| is_large(own, one.limit) && 5 * foreign >= 4 * own;
    one.reset == other.reset
        && one.limit == other.limit
        && one.used.abs_diff(other.used) <= one.limit / 10
        && explains(one.foreign, other.own)
        && explains(other.foreign, one.own)
}

/// A twentieth of the limit, and never fewer than eight calls, so that calls on their way do not count.
const fn is_large(calls: u32, limit: u32) -> bool {
    calls >= 8 && calls >= limit / 20
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn window(reset: i64, used: u32, own: u32, foreign: u32) -> WindowUse {
        WindowUse {
            reset,
            limit: 167,
            used,
            own,
            foreign,
        }
    }

    fn contradicts(scope: RateLimitScope, windows: &[(&str, WindowUse)]) -> bool {
        let mut check = ScopeCheck::new(scope);
        for (budget, window) in windows {
            assert!(!check.observe(budget, *window), "its window is not over");
        }
        let next = window(20, 1, 1, 0);
        let ended = windows
            .iter()
            .filter(|(budget, _)| check.observe(budget, next));
        let ended = ended.count();
        assert!(ended <= 1, "a window counts once");
        ended == 1
    }

    #[test]
    fn two_workspaces_that_use_up_one_limit_contradict_workspace() {
        let workspaces = [
            ("a", window(10, 160, 80, 78)),
            ("b", window(10, 164, 80, 84)),
        ];
        assert!(contradicts(RateLimitScope::Workspace, &workspaces));
    }

    #[test]
    fn windows_of_idle_budgets_are_forgotten() {
        let mut check = ScopeCheck::new(RateLimitScope::Workspace);
        for number in 0..20 * MIN_WINDOWS {
            // A hundred budgets per window.
            let reset = 10 * (number / 100 + 1) as i64;
            check.observe(&number.to_string(), window(reset, 1, 1, 0));
        }
        let known = check.windows.len();
        assert!(known <= 2 * MIN_WINDOWS, "{known} windows");
        let busy = |known: &&WindowUse| known.reset >= 10 * (20 * MIN_WINDOWS as i64 / 100);
        assert!(check.windows.values().filter(busy).count() >= 100);
    }

    #[test]
    fn foreign_calls_of_one_workspace_contradict_nothing() {
        let others = [
            ("a", window(10, 167, 80, 87)),
            ("b", window(10, 160, 160, 0)),
        ];
        assert!(!contradicts(RateLimitScope::Workspace, &others));
        let both = [
            ("a", window(10, 167, 130, 37)),
            ("b", window(10, 167, 130, 37)),
        ];
        assert!(!contradicts(RateLimitScope::Workspace, &both));
    }

    #[test]
    fn more_own_calls_than_were_counted_contradict_app() {
        assert!(contradicts(
            RateLimitScope::App,
            &[("app", window(10, 60, 120, 0))]
        ));
        assert!(!contradicts(
            RateLimitScope::App,
            &[("app", window(10, 120, 122, 0))]
        ));
    }
}
