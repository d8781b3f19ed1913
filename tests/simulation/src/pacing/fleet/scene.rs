//! What is simulated, and what came out.

use std::collections::BTreeSet;

use shared::{domain::Class, pacing::ThrottleCauses};

use crate::pacing::bucket::Counted;

/// Who decides when a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Ledger,
    /// The baseline of one process: `governor` with its share of the limit.
    EachAlone,
    /// The baseline of a fleet: one pace for all in Redis, asked for each call.
    PaceInRedis,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scene {
    pub policy: Policy,
    pub limit: u32,
    pub share: f64,
    pub seconds: u64,
    pub processes: usize,
    pub slots: usize,
    /// Median and sigma of the answer's time, lognormal.
    pub latency: (f64, f64),
    /// Of a thousand answers, so many never come.
    pub lost: u64,
    /// Of a thousand calls to the ledger, so many are done and their answer never comes.
    pub redis_lost: u64,
    /// Of the limit, what others use, evenly spread by chance.
    pub foreign: f64,
    pub kill_every: Option<u64>,
    /// Mean milliseconds between fresh calls of the whole fleet.
    pub fresh_every: Option<u64>,
    /// So many come together: the polls of connections that were made together.
    pub fresh_at_once: usize,
    /// Seconds.
    pub redis_away: Option<(u64, u64)>,
    /// Second, and the limit from then on.
    pub new_limit: Option<(u64, u32)>,
    /// Second, and by how many milliseconds Redis' clock is set.
    pub redis_clock: Option<(u64, i64)>,
    pub date_ahead: i64,
    pub silent: Option<(u64, u64)>,
    /// The slots are spread over so many workspaces.
    pub workspaces: usize,
    /// Seconds between which all workspaces share one bucket, which is then the only one.
    pub one_bucket: Option<(u64, u64)>,
    /// Changes of the script: a bug on purpose.
    pub bug: Option<(&'static str, &'static str)>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            policy: Policy::Ledger,
            limit: 167,
            share: 1.0,
            seconds: 120,
            processes: 8,
            slots: 8,
            latency: (120.0, 0.35),
            lost: 0,
            redis_lost: 0,
            foreign: 0.0,
            kill_every: None,
            fresh_every: None,
            fresh_at_once: 1,
            redis_away: None,
            new_limit: None,
            redis_clock: None,
            date_ahead: 0,
            silent: None,
            workspaces: 1,
            one_bucket: None,
            bug: None,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of each bucket: that of all workspaces first, then each one's own.
    pub buckets: Vec<Vec<Counted>>,
    pub calls: u64,
    pub redis_calls: u64,
    pub throttled: ThrottleCauses,
    /// How long each fresh call waited for its permit, milliseconds.
    pub fresh_waits: Vec<u64>,
    /// Every decision: time, process, class.
    pub sent: Vec<(u64, usize, Class)>,
    pub met: BTreeSet<&'static str>,
    /// When each process took the bucket for one, and when not any more.
    pub judged: Vec<(u64, usize, bool)>,
}

impl Outcome {
    /// The windows of the one workspace, where there is one.
    pub fn windows(&self) -> &[Counted] {
        &self.buckets[1]
    }
}
