//! The scene that a run simulates, and its outcome.

use std::collections::BTreeSet;

use shared::{config::RateLimitScope, domain::Class, pacing::ThrottleCauses};

use crate::pacing::bucket::Counted;

/// What decides when a call is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Ledger,
    /// The baseline of one process: `governor` with its share of the limit.
    EachAlone,
    /// The baseline of a fleet: one pace for all in Redis, asked for each call.
    PaceInRedis,
}

/// One scene.
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
    /// Of a thousand responses, this many never come.
    pub lost: u64,
    /// Of a thousand calls to the ledger, this many run and their reply never comes.
    pub redis_lost: u64,
    /// The share of the limit that other apps use, at random times.
    pub foreign: f64,
    pub kill_every: Option<u64>,
    /// Mean milliseconds between fresh calls of the whole fleet.
    pub fresh_every: Option<u64>,
    /// This many fresh calls come together, as the polls of connections that were made together do.
    pub fresh_at_once: usize,
    /// Seconds.
    pub redis_away: Option<(u64, u64)>,
    /// Second, and the limit from then on.
    pub new_limit: Option<(u64, u32)>,
    /// Second, and by how many milliseconds Redis' clock is set.
    pub redis_clock: Option<(u64, i64)>,
    pub date_ahead: i64,
    pub silent: Option<(u64, u64)>,
    /// The slots are spread over this many workspaces.
    pub workspaces: usize,
    /// The option `rate_limit_scope`.
    pub scope: RateLimitScope,
    /// Intercom counts all workspaces against one limit.
    pub one_bucket: bool,
    /// A change of the script: a bug on purpose.
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
            scope: RateLimitScope::Workspace,
            one_bucket: false,
            bug: None,
        }
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The windows of each limit: the app's first, then each workspace's.
    pub buckets: Vec<Vec<Counted>>,
    pub calls: u64,
    pub redis_calls: u64,
    pub throttled: ThrottleCauses,
    /// How long each fresh call waited for its permit, milliseconds.
    pub fresh_waits: Vec<u64>,
    /// Every decision: time, process, class.
    pub sent: Vec<(u64, usize, Class)>,
    pub met: BTreeSet<&'static str>,
    /// Windows that contradicted the scope: when, and which process noticed.
    pub contradictions: Vec<(u64, usize)>,
}

impl Outcome {
    /// The windows of the one workspace, where there is one.
    pub fn windows(&self) -> &[Counted] {
        &self.buckets[1]
    }
}
