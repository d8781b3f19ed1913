//! The permits that the ledger leased to this process and that no call has used yet.

use std::{collections::VecDeque, time::Duration};

use crate::domain::Class;

/// One call to the ledger asks for at most this many permits.
pub(super) const MAX_REQUESTED: u32 = 64;

#[derive(Debug)]
pub(super) struct Leases {
    by_class: [VecDeque<PermitLease>; 2],
    /// Permits to ask for beyond the waiting callers. It doubles with each lease that is used up in time.
    prefetch: [u32; 2],
    unused: Vec<(i64, u32)>,
}

/// Permits of one grant.
#[derive(Debug)]
pub(super) struct PermitLease {
    pub(super) tick: i64,
    pub(super) left: u32,
    pub(super) until: Duration,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            by_class: [VecDeque::new(), VecDeque::new()],
            prefetch: [1; 2],
            unused: Vec::new(),
        }
    }
}

impl Leases {
    pub(super) fn add(&mut self, class: Class, lease: PermitLease) {
        self.by_class[index(class)].push_back(lease);
    }

    /// Whether a call of this class has a permit.
    pub(super) fn has(&self, class: Class) -> bool {
        self.source(class).is_some()
    }

    /// Uses one permit and returns the tick of its grant.
    pub(super) fn spend(&mut self, class: Class) -> Option<i64> {
        let source = self.source(class)?;
        let lease = self.by_class[source].front_mut()?;
        lease.left -= 1;
        let tick = lease.tick;
        if lease.left == 0 {
            self.by_class[source].pop_front();
            // Fresh calls do not prefetch, because the rest of the reserve is for other processes.
            if source == index(Class::Backfill) {
                self.prefetch[source] = (self.prefetch[source] * 2).min(MAX_REQUESTED);
            }
        }
        Some(tick)
    }

    /// Permits to ask the ledger for, so that this many waiting callers can go on.
    pub(super) fn lacking(&self, class: Class, waiting: u32) -> u32 {
        let leased = self.by_class[index(class)].iter().map(|lease| lease.left);
        match waiting.saturating_sub(leased.sum()) {
            0 => 0,
            lacking => lacking.max(self.prefetch[index(class)]).min(MAX_REQUESTED),
        }
    }

    /// Moves expired permits to the unused ones. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let mut expired = false;
        for (leases, prefetch) in self.by_class.iter_mut().zip(&mut self.prefetch) {
            while let Some(lease) = leases.pop_front_if(|lease| lease.until <= now) {
                self.unused.push((lease.tick, lease.left));
                *prefetch = 1;
                expired = true;
            }
        }
        expired
    }

    pub(super) fn take_unused(&mut self) -> Vec<(i64, u32)> {
        std::mem::take(&mut self.unused)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unused.is_empty() && self.by_class.iter().all(VecDeque::is_empty)
    }

    /// Backfill's permits are good for fresh calls too.
    fn source(&self, class: Class) -> Option<usize> {
        let sources: &[usize] = match class {
            Class::Fresh => &[0, 1],
            Class::Backfill => &[1],
        };
        let mut sources = sources.iter().copied();
        sources.find(|source| !self.by_class[*source].is_empty())
    }
}

pub(super) const fn index(class: Class) -> usize {
    match class {
        Class::Fresh => 0,
        Class::Backfill => 1,
    }
}
