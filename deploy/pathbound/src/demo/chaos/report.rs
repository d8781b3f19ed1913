//! What the demo tells a caller, and how a fault ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::door::Settings;
use crate::cli::ChaosFault;

/// The line of a caller.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    Play(ChaosFault),
    Settings,
}

/// A line of the demo.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// What has just happened, so many seconds after the fault was asked for.
    Said {
        seconds: f64,
        text: String,
    },
    /// The comparison has ended.
    Ended(ChaosReport),
    /// The fault could not be played.
    Failed(String),
    Settings(Settings),
}

/// How a fault ended.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ChaosReport {
    pub fault: String,
    /// Whether every record of every tenant is stored as the simulator's truth says, and no other.
    pub exact: bool,
    pub records: u64,
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    /// Objects that simulated people changed meanwhile.
    pub changes: u64,
    /// From the fault until records were written again.
    pub healthy_seconds: f64,
    /// From the first change to the end of the comparison.
    pub seconds: f64,
    /// The first differences, a sentence each.
    pub examples: Vec<String>,
}

impl ChaosReport {
    /// The result in one line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Self {
            records,
            missing,
            extra,
            different,
            changes,
            healthy_seconds,
            ..
        } = self;
        if self.exact {
            format!(
                "every record is exact: {records} records after {changes} changes meanwhile, well again after {healthy_seconds:.1} s"
            )
        } else {
            format!(
                "NOT exact: {records} records, {missing} missing, {extra} extra, {different} different"
            )
        }
    }
}
