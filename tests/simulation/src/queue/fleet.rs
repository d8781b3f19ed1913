//! A fleet in one thread: the model of the queue, Postgres' due rows, fences and cursors, workers and a scheduler,
//! and every fault, all from one seed. The history that comes out is for `history::check`.

mod faults;
mod state;
mod workers;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use shared::{
    domain::{Class, ConnectionId, Stream, TenantId},
    queue::{PauseScope, Ticket},
};
use uuid::Uuid;

use super::{
    history::{End, Event, Rules, What},
    model::{Bug, Capacity, Key, Model, SUSPECT, Settlement, Verdict, key, ticket},
};
use crate::rng::Rng;
use state::{Call, Fault, Row, Slice, Then, Worker};

const LEASE: i64 = 6_000;
const RENEWAL: i64 = 2_000;
const TICK: i64 = 1_000;
const AGAIN_AFTER: i64 = 30_000;
/// After so many dead workers the work is quarantined.
const DEATHS: u32 = 3;

/// What a run may do wrong on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faulty {
    pub queue: Bug,
    /// Postgres takes writes of any fence.
    pub unfenced_writes: bool,
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    pub history: Vec<Event>,
    pub rules: Rules,
    pub met: BTreeSet<&'static str>,
}

/// Runs one seed to its end.
pub fn run(seed: u64, faulty: Faulty) -> Run {
    let mut sim = Sim::new(seed, faulty);
    sim.go();
    let rules = Rules {
        cap: Some(sim.cap as usize),
        lease: Some(LEASE),
        turns: Some(4),
        wait: Some(20_000),
        idle_within: Some(60_000),
    };
    Run {
        history: sim.history,
        rules,
        met: sim.met,
    }
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
        for tenant in 0..if storm {
            rng.between(5, 9)
        } else {
            rng.between(1, 4)
        } {
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
            pace: if storm {
                60
            } else {
                *rng.pick(&[100, 800, 800, 9_000])
            },
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
            if self.idle
                || at > (self.quiet_at.max(self.last_fault) + 90_000).min(self.quiet_at + 600_000)
            {
                break;
            }
            self.clock += at - self.now;
            self.now = at;
            self.happen(then);
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

    fn tick(&mut self) {
        self.then(self.now + TICK, Then::Tick);
        if self.is_idle() {
            self.idle = true;
            self.note(What::Idle {
                left_in_redis: self.model.leftovers(),
            });
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
        let what = What::Owed {
            ticket: ticket(row.ticket),
            pages,
        };
        self.note(what);
    }

    /// A slice that makes another stream of its tenant due, and pushes it.
    fn make_due_beside(&mut self, row: usize) {
        let tenant = self.rows[row].ticket.1;
        let Some(other) = self
            .rows
            .iter()
            .position(|other| other.ticket.1 == tenant && !other.poison)
        else {
            return;
        };
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
            self.note(What::Pushed {
                ticket: ticket(*pushed),
            });
        }
        call == Call::Answered
    }

    fn is_idle(&self) -> bool {
        self.quiet
            && self.rows.iter().all(|row| row.due.is_none())
            && self.model.tickets.is_empty()
            && self.model.parked.len() == 0
            && self
                .workers
                .iter()
                .all(|worker| !worker.alive || worker.held.is_empty())
    }

    // Faults

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
