//! Whether the option `rate_limit_scope` fits what Intercom's responses show.
//!
//! Intercom does not document whether each workspace has its own rate limit or all workspaces of an app share one.
//! The option states it, and this check counts the windows that contradict the option. It changes nothing else.

use std::collections::HashMap;

use super::protocol::WindowUse;
use crate::config::RateLimitScope;

/// The budgets that one process knows, and their windows.
#[derive(Debug)]
pub struct ScopeCheck {
    scope: RateLimitScope,
    windows: HashMap<String, WindowUse>,
    /// The last window that contradicted the option, so that each one counts once.
    counted: i64,
}

impl ScopeCheck {
    #[must_use]
    pub fn new(scope: RateLimitScope) -> Self {
        Self {
            scope,
            windows: HashMap::new(),
            counted: 0,
        }
    }

    /// Takes in a budget's window as the ledger replied it. Returns whether the budget's previous window is over and
    /// contradicts the option.
    pub fn observe(&mut self, budget: &str, window: WindowUse) -> bool {
        let ended = match self.windows.get_mut(budget) {
            Some(known) => std::mem::replace(known, window),
            None => {
                self.windows.insert(budget.to_owned(), window);
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
