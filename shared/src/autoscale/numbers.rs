//! The decisions for all pools, as they go to Redis. Operators read them, and the scheduler that has the watch next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Decision, Pool, PoolState, Sample, Settings};

/// What was decided last for each pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetNumbers {
    #[serde(default)]
    pools: BTreeMap<String, PoolNumbers>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PoolNumbers {
    state: PoolState,
    decision: Option<Decision>,
}

impl FleetNumbers {
    /// From the text in Redis. What another version has written, or nothing, begins anew.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text for Redis.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes a measurement of a pool in.
    pub fn step(&mut self, pool: Pool, sample: Sample, settings: &Settings) {
        let numbers = self.pools.entry(pool.as_str().to_owned()).or_default();
        numbers.decision = numbers.state.step(sample, settings);
    }

    /// The last decision for a pool. `None` until enough was measured.
    #[must_use]
    pub fn decision(&self, pool: Pool) -> Option<Decision> {
        self.pools.get(pool.as_str())?.decision
    }
}
