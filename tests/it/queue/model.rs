//! The queue's state machine in plain Rust: what `shared/src/queue/scripts` do, without Redis.
//!
//! `conformance` holds it against the real scripts, step by step; `simulation` runs a fleet on it.
//! A [`Bug`] breaks it in one place, to see that the tests would notice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::{
    domain::{Class, ConnectionId, Stream, TenantId},
    queue::{PauseScope, Ticket},
};

/// As in `exchange.lua`.
pub(crate) const BITE: usize = 64;
pub(crate) const SUSPECT: u32 = 2;
/// As in `lib.lua`: a turn in virtual time, which is whole numbers.
const TURN: f64 = 65_536.0;
const CLASSES: [Class; 2] = [Class::Fresh, Class::Backfill];

/// A ticket in the order of its text, which breaks ties in sorted sets.
pub(crate) type Key = (&'static str, TenantId, ConnectionId, &'static str);

pub(crate) fn key(ticket: Ticket) -> Key {
    (ticket.class().as_str(), ticket.tenant, ticket.connection, ticket.stream.as_str())
}

pub(crate) fn ticket((_, tenant, connection, stream): Key) -> Ticket {
    let stream = *Stream::ALL.iter().find(|known| known.as_str() == stream).unwrap();
    Ticket::new(tenant, connection, stream)
}

/// One deliberate fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bug {
    #[default]
    None,
    /// `settle` takes any fence for the lease's own.
    SettleIgnoresFence,
    /// `sweep` puts the ticket back and leaves its lease.
    SweepKeepsLease,
    /// `sweep` does not count the death.
    SweepForgetsDeath,
    /// `push` makes a ticket ready that is live already.
    PushDoubles,
    /// `push` of a leased ticket leaves no mark.
    AgainLost,
    /// `push` of a parked ticket readies it.
    PushUnparks,
    /// A paused tenant is let into the ring.
    EnterIgnoresPause,
    /// `claim` does not move the virtual time on.
    VtimeStands,
    /// `claim` does not look at the cap.
    CapIgnored,
    /// The end of a lease does not make room under the cap.
    CapNotGivenBack,
    /// A tenant that is below its cap again does not come back into the ring.
    UncapForgotten,
    /// A parked ticket becomes ready, and its tenant does not come into the ring.
    PromoteForgetsRing,
    /// `renew` says yes and does nothing.
    RenewDoesNothing,
    /// A ticket handed back is dropped.
    BackDrops,
    /// The server's clock is believed when it runs back.
    ClockBelieved,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Leased {
    pub(crate) fence: i64,
    pub(crate) again: bool,
    pub(crate) finish: f64,
    pub(crate) since: i64,
    pub(crate) crashes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    Ready,
    Leased(Leased),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) since: i64,
    pub(crate) crashes: u32,
    pub(crate) ticket: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    More,
    Wait(i64),
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settlement {
    pub(crate) ticket: Key,
    pub(crate) fence: i64,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) most: usize,
    pub(crate) most_backfill: usize,
    pub(crate) suspects: u32,
    pub(crate) pass_on: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) ticket: Key,
    pub(crate) fence: i64,
    pub(crate) crashes: u32,
    pub(crate) waited: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Exchanged {
    pub(crate) next_parked: Option<i64>,
    pub(crate) swept: Vec<(Key, i64)>,
    pub(crate) settled: Vec<bool>,
    pub(crate) claimed: Vec<Claimed>,
    pub(crate) refused: Vec<&'static str>,
}

/// What one class has of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) ring: Zset<TenantId>,
    pub(crate) ready: BTreeMap<TenantId, VecDeque<Entry>>,
    pub(crate) vtime: f64,
    pub(crate) token: bool,
    awake: bool,
    pub(crate) ready_count: i64,
    pub(crate) leased_count: i64,
    pub(crate) parked_count: i64,
}

/// The whole of Redis' state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) bug: Bug,
    pub(crate) fresh: Lane,
    pub(crate) backfill: Lane,
    pub(crate) tickets: BTreeMap<Key, State>,
    pub(crate) parked: Zset<Key>,
    pub(crate) leases: Zset<Key>,
    pub(crate) inflight: BTreeMap<TenantId, i64>,
    pub(crate) capped: BTreeSet<TenantId>,
    pub(crate) paused: BTreeSet<String>,
    pub(crate) fence: i64,
    pub(crate) last: i64,
    pub(crate) ahead: i64,
    now: i64,
}

impl Model {
    pub(crate) fn new(bug: Bug) -> Self {
        Self { bug, ..Self::default() }
    }

    /// `FLUSHALL`.
    pub(crate) fn flush(&mut self) {
        *self = Self::new(self.bug);
    }

    pub(crate) fn push(&mut self, raw: i64, tickets: &[Key]) -> u64 {
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
                    self.ready(ticket, false, self.now, 0, self.lane_ref(class).vtime);
                    pushed += 1;
                }
                Some(_) if doubles => {
                    self.ready(ticket, false, self.now, 0, self.lane_ref(class).vtime);
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
                        self.tickets.insert(ticket, State::Leased(Leased { again: true, ..leased }));
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

    pub(crate) fn exchange(
        &mut self,
        raw: i64,
        lease: i64,
        cap: i64,
        room: Room,
        settlements: &[Settlement],
    ) -> Exchanged {
        self.begin(raw);
        let settled = settlements.iter().map(|settlement| self.settle(*settlement, cap)).collect();
        let swept = self.sweep(cap);
        self.promote();
        let (leases, refused) = self.claim(raw, cap, room);
        let mut claimed = Vec::new();
        for (leased, ticket) in leases {
            self.tickets.insert(ticket, State::Leased(leased));
            self.leases.add(ticket, (self.now + lease) as f64);
            let waited = (self.now - leased.since).max(0);
            claimed.push(Claimed { ticket, fence: leased.fence, crashes: leased.crashes, waited });
        }
        if !claimed.is_empty() || room.pass_on {
            self.fresh.awake = true;
            self.backfill.awake = true;
        }
        self.wake();
        let next_parked = self.parked.first().map(|(_, at)| (at as i64 - self.now).max(0));
        Exchanged { next_parked, swept, settled, claimed, refused }
    }

    pub(crate) fn renew(&mut self, raw: i64, lease: i64, leases: &[(Key, i64)]) -> Vec<Key> {
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

    pub(crate) fn pause(&mut self, raw: i64, scopes: &[PauseScope]) {
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

    pub(crate) fn resume(&mut self, raw: i64, scopes: &[PauseScope]) {
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

    pub(crate) fn raise_fence(&mut self, least: i64) {
        self.fence = self.fence.max(least);
    }

    /// An idle worker takes the wake-up.
    pub(crate) fn take_token(&mut self, class: Class) -> bool {
        std::mem::take(&mut self.lane(class).token)
    }

    /// What is left when nothing is owed; must be nothing.
    pub(crate) fn leftovers(&self) -> Vec<String> {
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
            let counted = lane.ready_count.abs() + lane.leased_count.abs() + lane.parked_count.abs();
            note("counts", counted as usize);
        }
        left
    }

    pub(crate) fn lane_ref(&self, class: Class) -> &Lane {
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

    /// `lib.lua`'s clock.
    fn begin(&mut self, raw: i64) {
        if raw + self.ahead < self.last && self.bug != Bug::ClockBelieved {
            self.ahead = self.last - raw;
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
        let paused =
            self.bug != Bug::EnterIgnoresPause && !self.paused.is_empty() && self.paused.contains(&tenant.to_string());
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

    fn leave(&mut self, class: Class, tenant: TenantId) {
        self.lane(class).ring.remove(&tenant);
    }

    fn ready(&mut self, ticket: Key, front: bool, since: i64, crashes: u32, at: f64) {
        let (class, tenant) = (class(ticket), ticket.1);
        self.tickets.insert(ticket, State::Ready);
        let entry = Entry { since, crashes, ticket };
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

    fn release(&mut self, ticket: Key, cap: i64) -> bool {
        self.leases.remove(&ticket);
        self.lane(class(ticket)).leased_count -= 1;
        let tenant = ticket.1;
        let inflight = self.inflight.entry(tenant).or_insert(0);
        if self.bug != Bug::CapNotGivenBack {
            *inflight -= 1;
        }
        let inflight = *inflight;
        if inflight <= 0 {
            self.inflight.remove(&tenant);
        }
        inflight < cap && self.capped.remove(&tenant)
    }

    fn uncap(&mut self, tenant: TenantId) {
        if self.bug == Bug::UncapForgotten {
            return;
        }
        for class in CLASSES {
            let vtime = self.lane_ref(class).vtime;
            self.reenter(class, tenant, vtime);
        }
    }

    fn settle(&mut self, Settlement { ticket, fence, verdict }: Settlement, cap: i64) -> bool {
        let Some(State::Leased(leased)) = self.tickets.get(&ticket).copied() else { return false };
        if leased.fence != fence && self.bug != Bug::SettleIgnoresFence {
            return false;
        }
        let uncapped = self.release(ticket, cap);
        let class = class(ticket);
        let vtime = self.lane_ref(class).vtime;
        match verdict {
            Verdict::Back if self.bug == Bug::BackDrops => {
                self.tickets.remove(&ticket);
            }
            Verdict::Back => self.ready(ticket, true, leased.since, leased.crashes, vtime),
            Verdict::Wait(wait) => {
                self.tickets.remove(&ticket);
                self.parked.add(ticket, (self.now + wait) as f64);
                self.lane(class).parked_count += 1;
            }
            _ if verdict == Verdict::More || leased.again => {
                self.ready(ticket, false, self.now, 0, vtime.max(leased.finish));
            }
            _ => {
                self.tickets.remove(&ticket);
            }
        }
        if uncapped {
            self.uncap(ticket.1);
        }
        true
    }

    fn sweep(&mut self, cap: i64) -> Vec<(Key, i64)> {
        let mut swept = Vec::new();
        for ticket in self.leases.until(self.now as f64, BITE) {
            let Some(State::Leased(leased)) = self.tickets.get(&ticket).copied() else {
                self.leases.remove(&ticket);
                continue;
            };
            let uncapped = self.release(ticket, cap);
            let vtime = self.lane_ref(class(ticket)).vtime;
            let crashes = leased.crashes + u32::from(self.bug != Bug::SweepForgetsDeath);
            self.ready(ticket, true, leased.since, crashes, vtime);
            if self.bug == Bug::SweepKeepsLease {
                self.tickets.insert(ticket, State::Leased(leased));
                self.leases.add(ticket, self.now as f64);
            }
            if uncapped {
                self.uncap(ticket.1);
            }
            swept.push((ticket, leased.fence));
        }
        swept
    }

    fn promote(&mut self) {
        for ticket in self.parked.until(self.now as f64, BITE) {
            self.parked.remove(&ticket);
            let class = class(ticket);
            self.lane(class).parked_count -= 1;
            if self.tickets.contains_key(&ticket) {
                continue;
            }
            let vtime = self.lane_ref(class).vtime;
            let was_in = self.lane_ref(class).ring.score(&ticket.1).is_some();
            self.ready(ticket, false, self.now, 0, vtime);
            if self.bug == Bug::PromoteForgetsRing && !was_in {
                self.leave(class, ticket.1);
            }
        }
    }

    fn claim(&mut self, raw: i64, cap: i64, room: Room) -> (Vec<(Leased, Key)>, Vec<&'static str>) {
        let (mut leases, mut refused) = (Vec::new(), Vec::new());
        if room.most == 0 {
            return (leases, refused);
        }
        if self.fence == 0 {
            self.fence = raw * 1_000;
        }
        let base = self.fence;
        let mut suspects = room.suspects;
        if !self.is_paused("fleet") {
            if !self.is_paused("fresh") {
                self.take(Class::Fresh, room.most, cap, &mut suspects, &mut leases, &mut refused);
            }
            if !self.is_paused("backfill") {
                let most = room.most_backfill.min(room.most - leases.len());
                self.take(Class::Backfill, most, cap, &mut suspects, &mut leases, &mut refused);
            }
        }
        for (i, (leased, _)) in leases.iter_mut().enumerate() {
            leased.fence = base + 1 + i as i64;
        }
        self.fence = base + leases.len() as i64;
        (leases, refused)
    }

    fn take(
        &mut self,
        class: Class,
        mut limit: usize,
        cap: i64,
        suspects: &mut u32,
        leases: &mut Vec<(Leased, Key)>,
        refused: &mut Vec<&'static str>,
    ) {
        let mut aside = Vec::new();
        let mut probes = 2 * BITE;
        while limit > 0 && probes > 0 {
            probes -= 1;
            let lane = self.lane(class);
            let Some((tenant, at)) = lane.ring.pop_first() else { break };
            let left = lane.ring.len();
            let (entry, suspect) = self.first(class, tenant, *suspects, refused);
            let mut inflight = 0;
            if let Some(entry) = entry {
                let counted = self.inflight.entry(tenant).or_insert(0);
                *counted += 1;
                inflight = *counted;
                let bug = self.bug;
                let lane = self.lane(class);
                if bug != Bug::VtimeStands {
                    lane.vtime = at.max(lane.vtime + (TURN / (left + 1) as f64).floor().max(1.0));
                }
                lane.ready_count -= 1;
                lane.leased_count += 1;
                let Entry { since, crashes, ticket } = entry;
                leases.push((Leased { fence: 0, again: false, finish: at + TURN, since, crashes }, ticket));
                limit -= 1;
                if crashes >= SUSPECT {
                    *suspects = suspects.saturating_sub(1);
                }
            }
            if suspect {
                aside.push((tenant, at));
                if aside.len() >= 16 {
                    limit = 0;
                }
            } else if inflight >= cap && self.bug != Bug::CapIgnored {
                self.capped.insert(tenant);
                self.leave(Class::Fresh, tenant);
                self.leave(Class::Backfill, tenant);
            } else {
                let lane = self.lane(class);
                if lane.ready.contains_key(&tenant) {
                    let turn = if entry.is_some() { TURN } else { 0.0 };
                    lane.ring.add(tenant, lane.vtime.max(at + turn));
                }
            }
        }
        for (tenant, at) in aside {
            self.lane(class).ring.add(tenant, at);
        }
    }

    fn first(
        &mut self,
        class: Class,
        tenant: TenantId,
        suspects: u32,
        refused: &mut Vec<&'static str>,
    ) -> (Option<Entry>, bool) {
        let Some(list) = self.lane(class).ready.get_mut(&tenant) else { return (None, false) };
        let Some(entry) = list.pop_front() else { return (None, false) };
        if list.is_empty() {
            self.lane(class).ready.remove(&tenant);
        }
        if self.tickets.get(&entry.ticket) != Some(&State::Ready) {
            refused.push("foreign");
            (None, false)
        } else if entry.crashes >= SUSPECT && suspects == 0 {
            self.lane(class).ready.entry(tenant).or_default().push_front(entry);
            (None, true)
        } else {
            (Some(entry), false)
        }
    }
}

fn class(ticket: Key) -> Class {
    if ticket.0 == Class::Fresh.as_str() { Class::Fresh } else { Class::Backfill }
}

/// A sorted set: by score, then by member.
#[derive(Clone, Debug)]
pub(crate) struct Zset<M> {
    sorted: BTreeSet<(Score, M)>,
    scores: BTreeMap<M, f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<M> Default for Zset<M> {
    fn default() -> Self {
        Self { sorted: BTreeSet::new(), scores: BTreeMap::new() }
    }
}

impl<M: Copy + Ord> Zset<M> {
    pub(crate) fn score(&self, member: &M) -> Option<f64> {
        self.scores.get(member).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (M, f64)> {
        self.sorted.iter().map(|(score, member)| (*member, score.0))
    }

    fn first(&self) -> Option<(M, f64)> {
        self.sorted.first().map(|(score, member)| (*member, score.0))
    }

    fn add(&mut self, member: M, score: f64) {
        self.remove(&member);
        self.scores.insert(member, score);
        self.sorted.insert((Score(score), member));
    }

    fn remove(&mut self, member: &M) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.sorted.remove(&(Score(score), *member))
    }

    fn pop_first(&mut self) -> Option<(M, f64)> {
        let (member, score) = self.first()?;
        self.remove(&member);
        Some((member, score))
    }

    /// Up to `most` members whose score is not above `score`.
    fn until(&self, score: f64, most: usize) -> Vec<M> {
        self.sorted.iter().take_while(|(at, _)| at.0 <= score).take(most).map(|(_, member)| *member).collect()
    }
}
