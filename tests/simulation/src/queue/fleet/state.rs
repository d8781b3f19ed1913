//! What a simulated fleet consists of, and what may happen next.

use std::collections::BTreeMap;

use crate::queue::model::{Key, Settlement};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    Tick,
    /// Worker, its generation, and the number of this plan: a newer plan outdates it.
    Round(usize, u32, u64),
    Renew(usize, u32),
    Begin(usize, u32, i64),
    Commit(usize, u32, i64),
    Fault(Fault),
    Start(usize),
    Return(usize),
    Quiet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Kill,
    Terminate,
    Freeze(i64),
    Flush,
    Outage(i64),
    LoseAnswers(i64),
    ClockBack(i64),
    Pushes,
    Pause,
    Resume,
}

/// A row of `streams`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) ticket: Key,
    pub(super) due: Option<i64>,
    pub(super) ticketed: Option<i64>,
    pub(super) fence: i64,
    pub(super) page: u64,
    pub(super) pages: u64,
    /// Working on it kills the worker.
    pub(super) poison: bool,
    /// Comes back soon after it is done, while the run is not quiet.
    pub(super) returns: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) row: usize,
    pub(super) crashes: u32,
    pub(super) begun: bool,
    pub(super) settled: bool,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) generation: u32,
    pub(super) alive: bool,
    pub(super) stopping: bool,
    pub(super) frozen_until: i64,
    pub(super) held: BTreeMap<i64, Slice>,
    pub(super) pending: Vec<Settlement>,
    pub(super) plan: u64,
    pub(super) planned: i64,
}

/// How a call to Redis went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Answered,
    /// It was done, and its reply was lost.
    Lost,
    Unreachable,
}
