//! The queue's state machine in plain Rust: what `shared/src/queue/scripts` do, without Redis.
//!
//! `conformance` holds it against the real scripts, step by step. `fleet` runs a fleet on it.
//! A [`Bug`] breaks it in one place, to see that the tests would notice.

mod poll;
mod types;
mod zset;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::{
    domain::{Class, TenantId},
    queue::PauseScope,
};
pub use types::{
    Bug, Capacity, Claimed, Entry, Key, Leased, PollReply, Settlement, State, Verdict, key, ticket,
};
use zset::Zset;

/// As in `lease.lua`.
pub const BITE: usize = 64;
pub const SUSPECT: u32 = 2;
/// As in `keys.lua`: a turn in virtual time, which is whole numbers.
const TURN: f64 = 65_536.0;
const UNHEARD: i64 = 3_000;
const ONE_LEASE: i64 = 6_000;
const CLASSES: [Class; 2] = [Class::Fresh, Class::Backfill];

/// What one class has of its own.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub ring: Zset<TenantId>,
    pub ready: BTreeMap<TenantId, VecDeque<Entry>>,
    pub vtime: f64,
    pub token: bool,
    awake: bool,
    pub ready_count: i64,
    pub leased_count: i64,
    pub parked_count: i64,
}

/// The whole of Redis' state.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub bug: Bug,
    pub fresh: Lane,
    pub backfill: Lane,
    pub tickets: BTreeMap<Key, State>,
    pub parked: Zset<Key>,
    pub leases: Zset<Key>,
    pub inflight: BTreeMap<TenantId, i64>,
    pub capped: BTreeSet<TenantId>,
    pub paused: BTreeSet<String>,
    pub fence: i64,
    pub last: i64,
    pub ahead: i64,
    /// Until when no lease is taken back, because no worker was heard for a while before.
    pub grace: i64,
    now: i64,
}

impl Model {
    pub fn new(bug: Bug) -> Self {
        Self {
            bug,
            ..Self::default()
        }
    }

    /// `FLUSHALL`.
    pub fn flush(&mut self) {
        *self = Self::new(self.bug);
    }

    pub fn push(&mut self, raw: i64, tickets: &[Key]) -> u64 {
        self.begin(raw);
        let mut pushed = 0;
        for &ticket in tickets {
            let (class, tenant) = (class(ticket), ticket.1);
            let doubles = self.bug == Bug::PushDoubles;
            let parked = self.parked.score(&ticket).is_some();
            match self.tickets.get(&ticket).copied() {
                None if !parked || self.bug == Bug::PushUnparks => {
                    if self.parked.remove(&ticket) {
                        self.lane(class).parked_count -= 1;
                    }
                    self.ready(ticket, false, self.now, 0, self.start(class));
                    pushed += 1;
                }
                Some(_) if doubles => {
                    self.ready(ticket, false, self.now, 0, self.start(class));
                    pushed += 1;
                }
                None => {}
                Some(State::Ready) => {
                    let vtime = self.lane_ref(class).vtime;
                    if self.lane_ref(class).ready.contains_key(&tenant) {
                        self.reenter(class, tenant, vtime);
                    } else {
                        self.lane(class).ready_count -= 1;
                        self.ready(ticket, false, self.now, 0, vtime);
                    }
                }
                Some(State::Leased(leased)) => {
                    if self.bug != Bug::AgainLost {
                        self.tickets.insert(
                            ticket,
                            State::Leased(Leased {
                                again: true,
                                ..leased
                            }),
                        );
                    }
                    if self.leases.score(&ticket).is_none() {
                        self.leases.add(ticket, self.now as f64);
                    }
                }
            }
        }
        self.wake();
        pushed
    }

    pub fn poll(
        &mut self,
        raw: i64,
        lease: i64,
        cap: i64,
        capacity: Capacity,
        settlements: &[Settlement],
    ) -> PollReply {
        self.begin(raw);
        let settled = settlements
            .iter()
            .map(|settlement| self.settle(*settlement, cap))
            .collect();
        let reaped = self.reap(cap);
        self.promote();
        let (leases, refused) = self.claim(raw, cap, capacity);
        let mut claimed = Vec::new();
        for (leased, ticket) in leases {
            self.tickets.insert(ticket, State::Leased(leased));
            self.leases.add(ticket, (self.now + lease) as f64);
            let waited = (self.now - leased.since).max(0);
            claimed.push(Claimed {
                ticket,
                fence: leased.fence,
                crashes: leased.crashes,
                waited,
            });
        }
        if !claimed.is_empty() || capacity.pass_on {
            self.fresh.awake = true;
            self.backfill.awake = true;
        }
        self.wake();
        let next_parked = self
            .parked
            .first()
            .map(|(_, at)| (at as i64 - self.now).max(0));
        PollReply {
            next_parked,
            reaped,
            settled,
            claimed,
            refused,
        }
    }

    pub fn renew(&mut self, raw: i64, lease: i64, leases: &[(Key, i64)]) -> Vec<Key> {
        self.begin(raw);
        if self.bug == Bug::RenewDoesNothing {
            return Vec::new();
        }
        let mut lost = Vec::new();
        for &(ticket, fence) in leases {
            match self.tickets.get(&ticket) {
                Some(State::Leased(leased)) if leased.fence == fence => {
                    self.leases.add(ticket, (self.now + lease) as f64);
                }
                _ => lost.push(ticket),
            }
        }
        lost
    }

    pub fn pause(&mut self, raw: i64, scopes: &[PauseScope]) {
        self.begin(raw);
        for scope in scopes {
            self.paused.insert(scope.to_string());
            if let PauseScope::Tenant(tenant) = scope {
                for class in CLASSES {
                    self.leave(class, *tenant);
                }
            }
        }
    }

    pub fn resume(&mut self, raw: i64, scopes: &[PauseScope]) {
        self.begin(raw);
        for scope in scopes {
            self.paused.remove(&scope.to_string());
            for class in CLASSES {
                if let PauseScope::Tenant(tenant) = scope {
                    let vtime = self.lane_ref(class).vtime;
                    self.reenter(class, *tenant, vtime);
                }
                self.lane(class).awake = true;
            }
        }
        self.wake();
    }

    pub fn raise_fence(&mut self, least: i64) {
        self.fence = self.fence.max(least);
    }

    /// An idle worker takes the wake-up.
    pub fn take_token(&mut self, class: Class) -> bool {
        std::mem::take(&mut self.lane(class).token)
    }

    /// What is left when no work is owed. It must be empty.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut note = |name: &str, size: usize| {
            if size > 0 {
                left.push(format!("{name}: {size}"));
            }
        };
        note("tickets", self.tickets.len());
        note("parked", self.parked.len());
        note("leases", self.leases.len());
        note("inflight", self.inflight.len());
        note("capped", self.capped.len());
        for class in CLASSES {
            let lane = self.lane_ref(class);
            note("ring", lane.ring.len());
            note("ready", lane.ready.len());
            let counted =
                lane.ready_count.abs() + lane.leased_count.abs() + lane.parked_count.abs();
            note("counts", counted as usize);
        }
        left
    }

    pub fn lane_ref(&self, class: Class) -> &Lane {
        match class {
            Class::Fresh => &self.fresh,
            Class::Backfill => &self.backfill,
        }
    }

    fn lane(&mut self, class: Class) -> &mut Lane {
        match class {
            Class::Fresh => &mut self.fresh,
            Class::Backfill => &mut self.backfill,
        }
    }

    /// The clock of `clock.lua`.
    fn begin(&mut self, raw: i64) {
        if raw + self.ahead < self.last && self.bug != Bug::ClockBelieved {
            self.ahead = self.last - raw;
        }
        if self.last > 0 && raw + self.ahead - self.last > UNHEARD {
            self.grace = raw + self.ahead + ONE_LEASE;
        }
        self.last = raw + self.ahead;
        self.now = self.last;
        self.fresh.awake = false;
        self.backfill.awake = false;
    }

    fn is_paused(&self, scope: &str) -> bool {
        !self.paused.is_empty() && self.paused.contains(scope)
    }

    fn enter(&mut self, class: Class, tenant: TenantId, at: f64) {
        let paused = self.bug != Bug::EnterIgnoresPause
            && !self.paused.is_empty()
            && self.paused.contains(&tenant.to_string());
        if paused || self.capped.contains(&tenant) {
            return;
        }
        let lane = self.lane(class);
        if lane.ring.score(&tenant).is_none() {
            lane.ring.add(tenant, at);
        }
        lane.awake = true;
    }

    fn reenter(&mut self, class: Class, tenant: TenantId, at: f64) {
        if self.lane_ref(class).ready.contains_key(&tenant) {
            self.enter(class, tenant, at);
        }
    }

    /// The virtual time at which a tenant begins that comes, or comes back.
    fn start(&self, class: Class) -> f64 {
        (self.lane_ref(class).vtime - TURN).max(0.0)
    }

    fn leave(&mut self, class: Class, tenant: TenantId) {
        self.lane(class).ring.remove(&tenant);
    }

    fn ready(&mut self, ticket: Key, front: bool, since: i64, crashes: u32, at: f64) {
        let (class, tenant) = (class(ticket), ticket.1);
        self.tickets.insert(ticket, State::Ready);
        let entry = Entry {
            since,
            crashes,
            ticket,
        };
        let list = self.lane(class).ready.entry(tenant).or_default();
        if front {
            list.push_front(entry);
        } else {
            list.push_back(entry);
        }
        self.lane(class).ready_count += 1;
        self.enter(class, tenant, at);
    }

    fn wake(&mut self) {
        if self.is_paused("fleet") {
            return;
        }
        for class in CLASSES {
            let paused = self.is_paused(class.as_str());
            let lane = self.lane(class);
            if lane.awake && !paused && lane.ring.len() > 0 {
                lane.token = true;
            }
        }
    }
}

fn class(ticket: Key) -> Class {
    if ticket.0 == Class::Fresh.as_str() {
        Class::Fresh
    } else {
        Class::Backfill
    }
}
