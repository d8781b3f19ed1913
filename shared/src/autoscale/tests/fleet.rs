//! A fleet in steps of a second: tenants with work, a budget for each, and slots that work it.

use crate::autoscale::{Budgets, ClassReading};

/// Seconds of a rate window.
const WINDOW: usize = 10;
/// Minutes over which slices are counted.
const COUNTED: usize = 600;

/// One tenant with one ticket, which runs in one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenant {
    /// Calls that are outstanding.
    pub(super) calls: f64,
    /// Calls that its budget allows in a window.
    pub(super) allowed: f64,
    used: f64,
}

/// The tenants and what was counted.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    /// As Postgres knows the backlog of threads.
    pub(super) knows_backlog: bool,
    pub(super) tenants: Vec<Tenant>,
    /// Calls that one slot makes in a second.
    pub(super) speed: f64,
    /// Calls of one slice.
    pub(super) slice: f64,
    second: usize,
    /// The tenant whose turn is next.
    next: usize,
    /// Calls and seconds of slots in each of the last seconds.
    counted: Vec<(f64, f64)>,
    running: f64,
}

impl Fleet {
    pub(super) fn new(
        knows_backlog: bool,
        tenants: usize,
        allowed: f64,
        speed: f64,
        slice: f64,
    ) -> Self {
        let tenant = Tenant {
            calls: 0.0,
            allowed,
            used: 0.0,
        };
        Self {
            knows_backlog,
            tenants: vec![tenant; tenants],
            speed,
            slice,
            second: 0,
            next: 0,
            counted: Vec::new(),
            running: 0.0,
        }
    }

    /// A second with so many slots. Tenants take turns.
    pub(super) fn work(&mut self, slots: f64) {
        if self.second.is_multiple_of(WINDOW) {
            self.tenants.iter_mut().for_each(|tenant| tenant.used = 0.0);
        }
        self.second += 1;
        let (mut free, count) = (slots, self.tenants.len());
        let mut calls = 0.0;
        for turn in 0..count {
            if free <= 0.0 {
                self.next = (self.next + turn) % count;
                break;
            }
            let tenant = &mut self.tenants[(self.next + turn) % count];
            let can = tenant.calls.min(tenant.allowed - tenant.used);
            let made = can.min(self.speed * free.min(1.0)).max(0.0);
            tenant.calls -= made;
            tenant.used += made;
            calls += made;
            free -= made / self.speed;
        }
        self.running = calls / self.speed;
        self.counted.push((calls, self.running));
    }

    pub(super) fn outstanding(&self) -> f64 {
        self.tenants.iter().map(|tenant| tenant.calls).sum()
    }

    /// Slots that the budgets can feed for longer than a window.
    pub(super) fn feedable(&self) -> f64 {
        let busy = self.tenants.iter().filter(|tenant| tenant.calls >= 1.0);
        busy.map(|tenant| (tenant.allowed / WINDOW as f64 / self.speed).min(1.0))
            .sum()
    }

    /// What a scheduler reads of it now.
    pub(super) fn read(&self) -> (ClassReading, Budgets) {
        let has_work = |tenant: &&Tenant| tenant.calls > 1e-6;
        let spent = |tenant: &Tenant| tenant.allowed - tenant.used < 1e-6;
        let busy: Vec<&Tenant> = self.tenants.iter().filter(has_work).collect();
        let parked = busy.iter().filter(|tenant| spent(tenant)).count() as f64;
        let runnable = busy.len() as f64 - parked;
        let last = &self.counted[self.counted.len().saturating_sub(COUNTED)..];
        let calls: f64 = last.iter().map(|(calls, _)| calls).sum();
        let held_seconds: f64 = last.iter().map(|(_, held)| held).sum();
        let reading = ClassReading {
            ready: (runnable - self.running).max(0.0),
            leased: self.running,
            parked,
            slices: calls / self.slice,
            calls,
            held_seconds,
            outstanding_calls: self.knows_backlog.then(|| self.outstanding()),
        };
        let called = self.tenants.iter().filter(|tenant| tenant.used > 0.0);
        let allowed: f64 = called.clone().map(|tenant| tenant.allowed).sum();
        let budgets = Budgets {
            budgets: called.count() as f64,
            calls_per_second: allowed / WINDOW as f64,
        };
        (reading, budgets)
    }
}
