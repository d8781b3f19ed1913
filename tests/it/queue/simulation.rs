//! A fleet in one thread: the model of the queue, Postgres' due rows, fences and cursors, workers and a scheduler,
//! and every fault, all from one seed. The history that comes out is for `history::check`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use shared::{
    domain::{Class, ConnectionId, Stream, TenantId},
    queue::{PauseScope, Ticket},
};
use uuid::Uuid;

use super::{
    history::{End, Event, Rules, What},
    model::{Bug, Key, Model, Room, SUSPECT, Settlement, Verdict, key, ticket},
    rng::Rng,
};

const LEASE: i64 = 6_000;
const RENEWAL: i64 = 2_000;
const TICK: i64 = 1_000;
const AGAIN_AFTER: i64 = 30_000;
/// After so many dead workers the work is quarantined.
const DEATHS: u32 = 3;

/// What a run may do wrong on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) queue: Bug,
    /// Postgres takes writes of any fence.
    pub(crate) unfenced_writes: bool,
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) history: Vec<Event>,
    pub(crate) rules: Rules,
    pub(crate) met: BTreeSet<&'static str>,
}

/// Runs one seed to its end.
pub(crate) fn run(seed: u64, faulty: Faulty) -> Run {
    let mut sim = Sim::new(seed, faulty);
    sim.go();
    let rules = Rules {
        cap: Some(sim.cap as usize),
        lease: Some(LEASE),
        turns: Some(4),
        wait: Some(20_000),
        idle_within: Some(60_000),
    };
    Run { history: sim.history, rules, met: sim.met }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
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
enum Fault {
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
struct Row {
    ticket: Key,
    due: Option<i64>,
    ticketed: Option<i64>,
    fence: i64,
    page: u64,
    pages: u64,
    /// Working on it kills the worker.
    poison: bool,
    /// Comes back soon after it is done, while the run is not quiet.
    returns: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    row: usize,
    crashes: u32,
    begun: bool,
    settled: bool,
}

#[derive(Debug, Default)]
struct Worker {
    generation: u32,
    alive: bool,
    stopping: bool,
    frozen_until: i64,
    held: BTreeMap<i64, Slice>,
    pending: Vec<Settlement>,
    plan: u64,
    planned: i64,
}

/// How a call to Redis went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Answered,
    /// It was done, and nobody heard of it.
    Lost,
    Unreachable,
}

struct Sim {
    rng: Rng,
    faulty: Faulty,
    now: i64,
    clock: i64,
    model: Model,
    filled: bool,
    rows: Vec<Row>,
    workers: Vec<Worker>,
    slots: usize,
    cap: i64,
    paused: Vec<PauseScope>,
    outage_until: i64,
    losing_until: i64,
    quiet_at: i64,
    last_fault: i64,
    quiet: bool,
    idle: bool,
    pace: i64,
    events: BinaryHeap<Reverse<(i64, u64, Then)>>,
    order: u64,
    history: Vec<Event>,
    met: BTreeSet<&'static str>,
}

impl Sim {
    fn new(seed: u64, faulty: Faulty) -> Self {
        let mut rng = Rng::new(seed);
        // Every fifth seed is a storm: more comes back than one slot can serve.
        let storm = seed % 5 == 4;
        let mut rows = Vec::new();
        for tenant in 0..if storm { rng.between(5, 9) } else { rng.between(1, 4) } {
            let tenant = TenantId(Uuid::from_u64_pair(rng.next(), tenant as u64));
            for _ in 0..if storm { 1 } else { rng.between(1, 3) } {
                let connection = ConnectionId(Uuid::from_u64_pair(rng.next(), rng.next()));
                for _ in 0..if storm { 1 } else { rng.between(1, 4) } {
                    let ticket = key(Ticket::new(tenant, connection, *rng.pick(Stream::ALL)));
                    if rows.iter().any(|row: &Row| row.ticket == ticket) {
                        continue;
                    }
                    let giant = storm && rows.is_empty();
                    rows.push(Row {
                        ticket,
                        due: rng.chance(70).then_some(0),
                        ticketed: None,
                        fence: 0,
                        page: 0,
                        pages: if giant { 20 } else { rng.between(1, 5) as u64 },
                        poison: !storm && rng.chance(4),
                        returns: storm && !giant,
                    });
                }
            }
        }
        let workers = if storm { 1 } else { rng.between(1, 4) as usize };
        let quiet_at = rng.between(4_000, 16_000);
        Self {
            faulty,
            now: 0,
            clock: 1_700_000_000_000,
            model: Model::new(faulty.queue),
            filled: false,
            rows,
            workers: (0..workers).map(|_| Worker::default()).collect(),
            slots: if storm { 1 } else { rng.between(1, 4) as usize },
            cap: *rng.pick(&[1, 2, 2, 8]),
            paused: Vec::new(),
            outage_until: 0,
            losing_until: 0,
            quiet_at,
            last_fault: 0,
            quiet: false,
            idle: false,
            pace: if storm { 60 } else { *rng.pick(&[100, 800, 800, 9_000]) },
            events: BinaryHeap::new(),
            order: 0,
            history: Vec::new(),
            met: BTreeSet::new(),
            rng,
        }
    }

    fn go(&mut self) {
        for row in 0..self.rows.len() {
            if !self.rows[row].poison {
                let (ticket, pages) = (ticket(self.rows[row].ticket), 0..self.rows[row].pages);
                self.note(What::Owed { ticket, pages });
            }
            // What is owed later becomes due while the run is not quiet.
            if self.rows[row].due.is_none() {
                let at = self.rng.between(1, self.quiet_at);
                self.rows[row].due = Some(at);
            }
        }
        self.then(0, Then::Tick);
        self.then(self.quiet_at, Then::Quiet);
        for worker in 0..self.workers.len() {
            let at = self.rng.between(0, 500);
            self.then(at, Then::Start(worker));
        }
        for _ in 0..self.rng.between(0, 7) {
            let fault = self.any_fault();
            let at = self.rng.between(100, self.quiet_at);
            self.then(at, Then::Fault(fault));
        }
        while let Some(Reverse((at, _, then))) = self.events.pop() {
            // Work that kills for ever would put off the end for ever.
            if self.idle || at > (self.quiet_at.max(self.last_fault) + 90_000).min(self.quiet_at + 600_000) {
                break;
            }
            self.clock += at - self.now;
            self.now = at;
            self.happen(then);
        }
    }

    fn any_fault(&mut self) -> Fault {
        match self.rng.between(0, 14) {
            0..3 => Fault::Kill,
            3 => Fault::Terminate,
            4..6 => Fault::Freeze(self.rng.between(2_000, 30_000)),
            6 => Fault::Flush,
            7 => Fault::Outage(self.rng.between(200, 9_000)),
            8 => Fault::LoseAnswers(self.rng.between(500, 5_000)),
            9 => Fault::ClockBack(self.rng.between(1_000, 3_600_000)),
            10..12 => Fault::Pushes,
            12 => Fault::Pause,
            _ => Fault::Resume,
        }
    }

    fn happen(&mut self, then: Then) {
        match then {
            Then::Tick => self.tick(),
            Then::Start(worker) => self.start(worker),
            Then::Fault(fault) => self.fault(fault),
            Then::Quiet => self.become_quiet(),
            Then::Return(row) => {
                if !self.quiet && self.rows[row].due.is_none() {
                    self.owe(row);
                    let ticket = self.rows[row].ticket;
                    self.push(&[ticket]);
                }
            }
            Then::Round(worker, generation, _)
            | Then::Renew(worker, generation)
            | Then::Begin(worker, generation, _)
            | Then::Commit(worker, generation, _) => {
                let state = &self.workers[worker];
                if !state.alive || state.generation != generation {
                    return;
                }
                if state.frozen_until > self.now {
                    self.then(state.frozen_until, then);
                    return;
                }
                match then {
                    Then::Round(_, _, plan) if plan == state.plan => self.round(worker),
                    Then::Renew(..) => self.renew(worker),
                    Then::Begin(_, _, fence) => self.begin(worker, fence),
                    Then::Commit(_, _, fence) => self.commit(worker, fence),
                    _ => {}
                }
            }
        }
    }

    // Workers

    fn start(&mut self, worker: usize) {
        let generation = self.workers[worker].generation + 1;
        self.workers[worker] = Worker { generation, alive: true, planned: i64::MAX, ..Worker::default() };
        self.plan(worker, self.now);
        self.then(self.now + RENEWAL, Then::Renew(worker, generation));
    }

    fn plan(&mut self, worker: usize, at: i64) {
        let state = &mut self.workers[worker];
        if at < state.planned {
            state.planned = at;
            state.plan += 1;
            let then = Then::Round(worker, state.generation, state.plan);
            self.then(at, then);
        }
    }

    fn round(&mut self, worker: usize) {
        self.workers[worker].planned = i64::MAX;
        let state = &self.workers[worker];
        let busy: Vec<&Slice> = state.held.values().filter(|slice| !slice.settled).collect();
        let backfill = busy.iter().filter(|slice| self.rows[slice.row].ticket.0 == Class::Backfill.as_str()).count();
        let most = if state.stopping { 0 } else { self.slots - busy.len().min(self.slots) };
        let room = Room {
            most,
            most_backfill: (self.slots * 4 / 5).max(1).saturating_sub(backfill).min(most),
            suspects: u32::from(busy.iter().all(|slice| slice.crashes < SUSPECT)),
            pass_on: false,
        };
        let batch = state.pending.clone();
        let call = self.call();
        if call == Call::Unreachable {
            let at = self.now + self.rng.between(100, 800);
            self.plan(worker, at);
            return;
        }
        let answer = self.model.exchange(self.clock, LEASE, self.cap, room, &batch);
        for (settlement, ours) in batch.iter().zip(&answer.settled) {
            if *ours {
                let end = match settlement.verdict {
                    Verdict::Done => End::Done,
                    Verdict::More => End::More,
                    Verdict::Wait(wait) => End::Wait(wait),
                    Verdict::Back => End::Back,
                };
                self.note(What::Settled { ticket: ticket(settlement.ticket), fence: settlement.fence, end });
            }
        }
        for (swept, fence) in &answer.swept {
            self.met.insert("swept");
            self.note(What::Swept { ticket: ticket(*swept), fence: *fence });
        }
        for claimed in &answer.claimed {
            let (fence, crashes) = (claimed.fence, claimed.crashes);
            self.note(What::Leased { ticket: ticket(claimed.ticket), fence, crashes });
        }
        if call == Call::Lost {
            self.met.insert("lost answer");
            let at = self.now + self.rng.between(100, 800);
            self.plan(worker, at);
            return;
        }
        self.forget(worker, &batch);
        let generation = self.workers[worker].generation;
        for claimed in &answer.claimed {
            let row = self.rows.iter().position(|row| row.ticket == claimed.ticket).unwrap();
            let slice = Slice { row, crashes: claimed.crashes, begun: false, settled: false };
            self.workers[worker].held.insert(claimed.fence, slice);
            let at = self.now + self.rng.between(1, 20);
            self.then(at, Then::Begin(worker, generation, claimed.fence));
        }
        if self.workers[worker].stopping && self.workers[worker].held.is_empty() {
            self.workers[worker].alive = false;
            let at = self.now + self.rng.between(100, 1_000);
            self.then(at, Then::Start(worker));
            return;
        }
        let left = room.most > answer.claimed.len();
        let wait = answer.next_parked.filter(|_| left).map_or(1_000, |parked| (parked + 1).min(1_000));
        self.plan(worker, self.now + wait);
    }

    fn forget(&mut self, worker: usize, batch: &[Settlement]) {
        let state = &mut self.workers[worker];
        for settlement in batch {
            state.held.remove(&settlement.fence);
        }
        state.pending.retain(|pending| !batch.contains(pending));
    }

    fn renew(&mut self, worker: usize) {
        let state = &self.workers[worker];
        let generation = state.generation;
        let leases: Vec<(Key, i64)> =
            state.held.iter().map(|(fence, slice)| (self.rows[slice.row].ticket, *fence)).collect();
        let mut next = RENEWAL;
        if !leases.is_empty() {
            let call = self.call();
            if call == Call::Unreachable {
                next = 300;
            } else {
                let lost = self.model.renew(self.clock, LEASE, &leases);
                if call == Call::Answered {
                    for (renewed, fence) in leases.into_iter().filter(|(ticket, _)| !lost.contains(ticket)) {
                        self.note(What::Renewed { ticket: ticket(renewed), fence });
                    }
                } else {
                    next = 300;
                }
            }
        }
        self.then(self.now + next, Then::Renew(worker, generation));
    }

    fn begin(&mut self, worker: usize, fence: i64) {
        let generation = self.workers[worker].generation;
        let Some(slice) = self.workers[worker].held.get_mut(&fence) else { return };
        if slice.settled {
            return;
        }
        slice.begun = true;
        let slice = *slice;
        let row = &mut self.rows[slice.row];
        if row.fence >= fence {
            self.met.insert("stale fence");
            let least = row.fence;
            if self.call() != Call::Unreachable {
                self.model.raise_fence(least);
            }
            return self.end_slice(worker, fence, Verdict::More);
        }
        if row.due.is_none_or(|due| due > self.now) {
            return self.end_slice(worker, fence, Verdict::Done);
        }
        row.fence = fence;
        if row.poison {
            if slice.crashes >= DEATHS {
                self.met.insert("quarantined");
                row.due = None;
                return self.end_slice(worker, fence, Verdict::Done);
            }
            self.met.insert("killed by its work");
            self.last_fault = self.now;
            self.note(What::Fault);
            return self.kill(worker);
        }
        let pace = if self.quiet { self.pace.min(250) } else { self.pace };
        let at = self.now + self.rng.between(1, pace);
        self.then(at, Then::Commit(worker, generation, fence));
    }

    fn commit(&mut self, worker: usize, fence: i64) {
        let Some(slice) = self.workers[worker].held.get(&fence).copied() else { return };
        let row = &mut self.rows[slice.row];
        if row.fence != fence && !self.faulty.unfenced_writes {
            self.met.insert("fenced write");
            return self.end_slice(worker, fence, Verdict::Done);
        }
        if row.page == row.pages {
            return self.end_slice(worker, fence, Verdict::Done);
        }
        let page = row.page;
        row.page += 1;
        let done = row.page == row.pages;
        if done {
            row.due = None;
        }
        let written = ticket(row.ticket);
        let returns = row.returns;
        self.note(What::Effect { ticket: written, page, fence });
        if !self.quiet && self.rng.chance(10) {
            self.make_due_beside(slice.row);
        }
        let verdict = if done {
            if returns && self.rng.chance(90) {
                let at = self.now + self.rng.between(1, 40);
                self.then(at, Then::Return(slice.row));
            }
            Verdict::Done
        } else if self.rng.chance(75) || returns {
            Verdict::More
        } else {
            Verdict::Wait(self.rng.between(50, 3_000))
        };
        self.end_slice(worker, fence, verdict);
    }

    fn end_slice(&mut self, worker: usize, fence: i64, verdict: Verdict) {
        let Some(slice) = self.workers[worker].held.get_mut(&fence) else { return };
        slice.settled = true;
        let ticket = self.rows[slice.row].ticket;
        self.workers[worker].pending.push(Settlement { ticket, fence, verdict });
        let at = self.now + self.rng.between(0, 15);
        self.plan(worker, at);
    }

    fn kill(&mut self, worker: usize) {
        self.workers[worker].alive = false;
        let at = self.now + self.rng.between(100, 2_000);
        self.then(at, Then::Start(worker));
    }

    // Scheduler and Postgres

    fn tick(&mut self) {
        self.then(self.now + TICK, Then::Tick);
        if self.is_idle() {
            self.idle = true;
            self.note(What::Idle { left_in_redis: self.model.leftovers() });
            return;
        }
        if self.now < self.outage_until {
            return;
        }
        let refill = !self.filled;
        if refill {
            // Pauses first, or what is pushed next would run.
            let paused = self.paused.clone();
            if self.call() != Call::Answered {
                return;
            }
            self.model.pause(self.clock, &paused);
            for scope in paused {
                self.note(What::Paused { scope });
            }
        }
        let now = self.now;
        let due: Vec<Key> = self
            .rows
            .iter_mut()
            .filter(|row| row.due.is_some_and(|due| due <= now))
            .filter(|row| refill || row.ticketed.is_none_or(|at| at < now - AGAIN_AFTER))
            .map(|row| {
                row.ticketed = Some(now);
                row.ticket
            })
            .collect();
        if (due.is_empty() || self.push(&due)) && refill {
            self.filled = true;
        }
    }

    /// More work for a row: due now, as far as Postgres knows.
    fn owe(&mut self, row: usize) {
        let row = &mut self.rows[row];
        let pages = row.pages..row.pages + 1;
        row.pages += 1;
        row.due = Some(self.now);
        row.ticketed = None;
        let what = What::Owed { ticket: ticket(row.ticket), pages };
        self.note(what);
    }

    /// A slice that makes another stream of its tenant due, and pushes it.
    fn make_due_beside(&mut self, row: usize) {
        let tenant = self.rows[row].ticket.1;
        let Some(other) = self.rows.iter().position(|other| other.ticket.1 == tenant && !other.poison) else { return };
        if self.rows[other].due.is_some_and(|due| due > self.now) {
            return;
        }
        self.owe(other);
        let ticket = self.rows[other].ticket;
        self.push(&[ticket]);
    }

    fn push(&mut self, tickets: &[Key]) -> bool {
        let call = self.call();
        if call == Call::Unreachable {
            return false;
        }
        self.model.push(self.clock, tickets);
        for pushed in tickets {
            self.note(What::Pushed { ticket: ticket(*pushed) });
        }
        call == Call::Answered
    }

    fn is_idle(&self) -> bool {
        self.quiet
            && self.rows.iter().all(|row| row.due.is_none())
            && self.model.tickets.is_empty()
            && self.model.parked.len() == 0
            && self.workers.iter().all(|worker| !worker.alive || worker.held.is_empty())
    }

    // Faults

    fn fault(&mut self, fault: Fault) {
        let worker = (self.rng.next() % self.workers.len() as u64) as usize;
        match fault {
            Fault::Kill => {
                if self.workers[worker].alive {
                    self.met.insert("kill");
                    self.kill(worker);
                }
            }
            Fault::Terminate => {
                self.met.insert("terminate");
                self.terminate(worker);
            }
            Fault::Freeze(time) => {
                self.met.insert("freeze");
                self.workers[worker].frozen_until = (self.now + time).min(self.quiet_at);
            }
            Fault::Flush => {
                self.met.insert("flush");
                self.model.flush();
                self.filled = false;
                self.note(What::Flushed);
            }
            Fault::Outage(time) => {
                self.met.insert("outage");
                self.outage_until = (self.now + time).min(self.quiet_at);
            }
            Fault::LoseAnswers(time) => self.losing_until = (self.now + time).min(self.quiet_at),
            Fault::ClockBack(time) => {
                self.met.insert("clock set back");
                self.clock -= time;
            }
            Fault::Pushes => {
                self.met.insert("doubled pushes");
                let tickets: Vec<Key> = (0..self.rng.between(1, 6)).map(|_| self.rng.pick(&self.rows).ticket).collect();
                self.push(&tickets);
            }
            Fault::Pause => {
                let scope = match self.rng.between(0, 5) {
                    0 => PauseScope::Fleet,
                    1 => PauseScope::Class(*self.rng.pick(Class::ALL)),
                    _ => PauseScope::Tenant(self.rng.pick(&self.rows).ticket.1),
                };
                self.paused.push(scope);
                if self.call() != Call::Unreachable {
                    self.met.insert("pause");
                    self.model.pause(self.clock, &[scope]);
                    self.note(What::Paused { scope });
                }
            }
            Fault::Resume => {
                if let Some(scope) = self.paused.pop() {
                    self.resume(scope);
                }
            }
        }
    }

    /// SIGTERM: what has not begun goes back at once, what has is finished.
    fn terminate(&mut self, worker: usize) {
        let state = &mut self.workers[worker];
        if !state.alive || state.stopping {
            return;
        }
        state.stopping = true;
        let unstarted: Vec<i64> =
            state.held.iter().filter(|(_, slice)| !slice.begun && !slice.settled).map(|(fence, _)| *fence).collect();
        for fence in unstarted {
            self.met.insert("handed back");
            self.end_slice(worker, fence, Verdict::Back);
        }
        self.plan(worker, self.now);
    }

    fn resume(&mut self, scope: PauseScope) {
        if self.paused.contains(&scope) {
            return;
        }
        if self.call() == Call::Unreachable {
            // Redis did not hear of it: it stays paused, and the history must not say otherwise.
            self.paused.push(scope);
            return;
        }
        self.note(What::Resumed { scope });
        self.model.resume(self.clock, &[scope]);
    }

    fn become_quiet(&mut self) {
        self.quiet = true;
        self.outage_until = 0;
        self.losing_until = 0;
        for scope in std::mem::take(&mut self.paused) {
            self.model.resume(self.clock, &[scope]);
            self.note(What::Resumed { scope });
        }
        self.note(What::Quiet);
    }

    fn call(&mut self) -> Call {
        if self.now < self.outage_until {
            Call::Unreachable
        } else if self.now < self.losing_until && self.rng.chance(40) {
            Call::Lost
        } else {
            Call::Answered
        }
    }

    fn then(&mut self, at: i64, then: Then) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, then)));
    }

    fn note(&mut self, what: What) {
        self.history.push(Event { at: self.now, what });
    }
}
