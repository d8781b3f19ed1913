//! How much of all its budgets the fleet uses.
//!
//! Each budget has a ledger of its own, so that budgets spread over the nodes of a cluster, and no ledger knows the others.
//! A process notes what the replies say and shares it every two seconds, in one call for all its budgets of a window. What a
//! dead process has shared stays.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use redis::{RedisError, Script};

use super::protocol::WindowUse;
use crate::link::{RedisConnection, timed_out};

/// Between two calls that share what was noted.
const SHARE_INTERVAL: Duration = Duration::from_secs(2);
/// A call that takes longer fails, and the next one shares more.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Windows of different workspaces end at different seconds. Those that end in the same ten seconds are shown together.
const WINDOW_SECONDS: i64 = 10;
/// What processes have noted of a window is known this long after its end.
const KNOWN_AFTER_SECONDS: i64 = 5;
/// A budget is at its limit if it has used so many hundredths of its allowed calls.
const AT_LIMIT: u64 = 98;

/// The fleet's use of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetWindow {
    /// When the last of its windows has ended.
    pub ends_at: DateTime<Utc>,
    /// Budgets that the fleet has called with.
    pub budgets: u64,
    /// Calls of the fleet.
    pub calls: u64,
    /// Calls that the fleet was allowed.
    pub allowed: u64,
    /// Budgets with no call left, the largest first.
    pub at_limit: Vec<BudgetUse>,
}

/// The use of one budget in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// The workspace's id, or `(app:REGION)`.
    pub budget: String,
    /// Calls of the fleet.
    pub calls: u64,
    /// Calls that Intercom counted, those of other apps included.
    pub used: u64,
    /// The fleet's share of the limit.
    pub allowed: u64,
}

/// What this process has noted of a budget, by window and budget.
type Noted = BTreeMap<i64, HashMap<String, (WindowUse, u32)>>;

/// What a process notes and shares. Clones share it.
#[derive(Clone)]
pub(super) struct FleetUse {
    redis: RedisConnection,
    script: Arc<Script>,
    prefix: Arc<str>,
    noted: Arc<Mutex<Noted>>,
    /// The windows that were read last. Nothing is added to them any more, so that each is read once.
    read: Arc<Mutex<BTreeMap<i64, FleetWindow>>>,
}

impl FleetUse {
    pub(super) fn new(redis: RedisConnection, prefix: Arc<str>) -> Self {
        Self {
            redis,
            script: Arc::new(Script::new(include_str!("fleet_use.lua"))),
            prefix,
            noted: Arc::default(),
            read: Arc::default(),
        }
    }

    /// Notes what a reply said of a window, for the next call.
    pub(super) fn note(&self, budget: &str, window: WindowUse, allowed: u32) {
        let group = window.reset.div_euclid(WINDOW_SECONDS);
        let mut noted = self.noted.lock();
        let of_group = noted.entry(group).or_default();
        match of_group.get_mut(budget) {
            Some(known) => *known = (window, allowed),
            None => drop(of_group.insert(budget.to_owned(), (window, allowed))),
        }
        // While Redis is away, only what will be shown is kept.
        while noted.len() > 6 {
            noted.pop_first();
        }
    }

    /// Shares what was noted, until it is dropped.
    pub(super) async fn share(&self) {
        loop {
            tokio::time::sleep(SHARE_INTERVAL).await;
            let noted = std::mem::take(&mut *self.noted.lock());
            for (group, budgets) in noted {
                if let Err(error) = self.share_window(group, &budgets).await {
                    tracing::debug!(%error, "could not share the use of rate budgets, so it is shown without them");
                }
            }
        }
    }

    async fn share_window(
        &self,
        group: i64,
        budgets: &HashMap<String, (WindowUse, u32)>,
    ) -> Result<(), RedisError> {
        let mut call = self.script.prepare_invoke();
        call.key(self.key(group));
        for (budget, (window, allowed)) in budgets {
            let calls = window.own;
            call.arg(budget)
                .arg(format!("{calls}:{}:{allowed}", window.used));
        }
        let mut redis = self.redis.clone();
        let shared = tokio::time::timeout(TIMEOUT, call.invoke_async::<()>(&mut redis));
        shared.await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// The use of so many windows whose ends have passed, the last one first.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn windows(&self, count: i64) -> Result<Vec<FleetWindow>, RedisError> {
        let mut redis = self.redis.clone();
        let time = redis::cmd("TIME");
        let asked = tokio::time::timeout(TIMEOUT, time.query_async::<(i64, i64)>(&mut redis));
        let (now, _) = asked.await.unwrap_or_else(|_| Err(timed_out()))?;
        let last = (now - KNOWN_AFTER_SECONDS).div_euclid(WINDOW_SECONDS) - 1;
        let mut windows = Vec::new();
        for group in (0..count).map(|ago| last - ago) {
            if let Some(known) = self.read.lock().get(&group) {
                windows.push(known.clone());
                continue;
            }
            let mut redis = self.redis.clone();
            let mut command = redis::cmd("HGETALL");
            command.arg(self.key(group));
            let read = tokio::time::timeout(
                TIMEOUT,
                command.query_async::<HashMap<String, String>>(&mut redis),
            );
            let budgets = read.await.unwrap_or_else(|_| Err(timed_out()))?;
            let window = FleetWindow::of(group, budgets);
            self.read.lock().insert(group, window.clone());
            windows.push(window);
        }
        self.read.lock().retain(|group, _| *group > last - count);
        Ok(windows)
    }

    fn key(&self, group: i64) -> String {
        // A hash tag of its own, because it is no part of a ledger.
        format!("{}:{{rate_use}}:{group}", self.prefix)
    }
}

impl FleetWindow {
    fn of(group: i64, budgets: HashMap<String, String>) -> Self {
        let ends_at = (group + 1) * WINDOW_SECONDS;
        let mut window = Self {
            ends_at: DateTime::from_timestamp(ends_at, 0).unwrap_or_default(),
            ..Self::default()
        };
        for (budget, text) in budgets {
            let numbers: Vec<u64> = text.split(':').filter_map(|n| n.parse().ok()).collect();
            let [calls, used, allowed] = numbers[..] else {
                continue;
            };
            window.budgets += 1;
            window.calls += calls;
            window.allowed += allowed;
            if used * 100 >= allowed * AT_LIMIT {
                window.at_limit.push(BudgetUse {
                    budget,
                    calls,
                    used,
                    allowed,
                });
            }
        }
        window
            .at_limit
            .sort_by(|one, other| (other.calls, &one.budget).cmp(&(one.calls, &other.budget)));
        window
    }
}

impl std::fmt::Debug for FleetUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetUse")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_sum_of_its_budgets() {
        let budgets = [
            ("small", "5:5:8"),
            ("spent", "8:8:8"),
            ("larger", "150:160:160"),
            // Other apps of the customer have left nothing.
            ("crowded", "2:160:160"),
            ("garbled", "x"),
        ];
        let budgets = budgets.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let window = FleetWindow::of(6, budgets.into());
        assert_eq!(
            (
                window.budgets,
                window.calls,
                window.allowed,
                window.ends_at.timestamp()
            ),
            (4, 165, 336, 70)
        );
        let at_limit: Vec<&str> = window
            .at_limit
            .iter()
            .map(|one| one.budget.as_str())
            .collect();
        assert_eq!(at_limit, ["larger", "spent", "crowded"]);
    }
}
