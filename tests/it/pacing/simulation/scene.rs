//! What is simulated, and what came out.

use std::collections::BTreeSet;

use shared::{domain::Class, pacing::ThrottleCauses};

use super::super::server::Counted;

/// Who decides when a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Ledger,
    /// The baseline of one process: `governor` with its share of the limit.
    EachAlone,
    /// The baseline of a fleet: one pace for all in Redis, asked for each call.
    PaceInRedis,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) policy: Policy,
    pub(crate) limit: u32,
    pub(crate) share: f64,
    pub(crate) seconds: u64,
    pub(crate) processes: usize,
    pub(crate) slots: usize,
    /// Median and sigma of the answer's time, lognormal.
    pub(crate) latency: (f64, f64),
    /// Of a thousand answers, so many never come.
    pub(crate) lost: u64,
    /// Of a thousand calls to the ledger, so many are done and their answer never comes.
    pub(crate) redis_lost: u64,
    /// Of the limit, what others use, evenly spread by chance.
    pub(crate) foreign: f64,
    pub(crate) kill_every: Option<u64>,
    /// Mean milliseconds between fresh calls of the whole fleet.
    pub(crate) fresh_every: Option<u64>,
    /// So many come together: the polls of connections that were made together.
    pub(crate) fresh_at_once: usize,
    /// Seconds.
    pub(crate) redis_away: Option<(u64, u64)>,
    /// Second, and the limit from then on.
    pub(crate) new_limit: Option<(u64, u32)>,
    /// Second, and by how many milliseconds Redis' clock is set.
    pub(crate) redis_clock: Option<(u64, i64)>,
    pub(crate) date_ahead: i64,
    pub(crate) silent: Option<(u64, u64)>,
    /// The slots are spread over so many workspaces.
    pub(crate) workspaces: usize,
    /// Seconds between which all workspaces share one bucket, which is then the only one.
    pub(crate) one_bucket: Option<(u64, u64)>,
    /// Changes of the script: a bug on purpose.
    pub(crate) bug: Option<(&'static str, &'static str)>,
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
pub(crate) struct Outcome {
    /// Of each bucket: that of all workspaces first, then each one's own.
    pub(crate) buckets: Vec<Vec<Counted>>,
    pub(crate) calls: u64,
    pub(crate) redis_calls: u64,
    pub(crate) throttled: ThrottleCauses,
    /// How long each fresh call waited for its permit, milliseconds.
    pub(crate) fresh_waits: Vec<u64>,
    /// Every decision: time, process, class.
    pub(crate) sent: Vec<(u64, usize, Class)>,
    pub(crate) met: BTreeSet<&'static str>,
    /// When each process took the bucket for one, and when not any more.
    pub(crate) judged: Vec<(u64, usize, bool)>,
}

impl Outcome {
    /// The windows of the one workspace, where there is one.
    pub(crate) fn windows(&self) -> &[Counted] {
        &self.buckets[1]
    }
}
