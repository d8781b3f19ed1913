//! A fleet of processes in virtual time: the product's state machine in each, and the product's ledger script in a
//! Redis whose clock is the simulation's. Everything else is drawn from one seed.

mod at_redis;
mod calls;
mod scene;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use shared::{
    config::RateLimitScope,
    domain::Class,
    pacing::{LedgerReply, LedgerRequest, LocalBudget, RateLimitHeaders, ScopeCheck},
};

use super::{
    bucket::{Gcra, Server, WINDOW},
    redis::{EmbeddedRedis, Redis},
};
use crate::rng::Rng;
pub use scene::{Outcome, Policy, Scene};

/// The way to Redis takes this long, and so does the way back.
const TO_REDIS: u64 = 1;
const REDIS_TIMEOUT: u64 = 500;
/// Redis' clock at the start. No other clock agrees with it.
const EPOCH: u64 = 1_800_000_123_456;
/// The budget and the limit of the app. Workspaces have the numbers from 1 on.
const APP: usize = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Try {
        process: usize,
        life: u32,
        caller: u64,
        plan: u64,
    },
    Arrive {
        call: u64,
    },
    Answer {
        call: u64,
    },
    GiveUp {
        call: u64,
    },
    AtRedis {
        process: usize,
        life: u32,
        budget: usize,
    },
    Reply {
        process: usize,
        life: u32,
        budget: usize,
    },
    Flush {
        process: usize,
        life: u32,
        budget: usize,
    },
    Foreign,
    Fresh,
    Kill,
    Start {
        process: usize,
    },
}

struct Process {
    life: u32,
    alive: bool,
    budgets: Vec<Budget>,
    /// The zero of this process' clock. No two processes agree.
    epoch: u64,
    /// When each caller tries next. A newer plan replaces the older one.
    plans: BTreeMap<u64, u64>,
    scope_check: ScopeCheck,
    alone: Gcra,
}

/// One budget as one process has it.
struct Budget {
    local: LocalBudget,
    waiting: BTreeMap<u64, Class>,
    request: Option<LedgerRequest>,
    reply: Option<Option<LedgerReply>>,
    flusher_runs: bool,
}

struct Call {
    process: usize,
    life: u32,
    caller: u64,
    /// The budget that granted it.
    budget: usize,
    tick: i64,
    sent: u64,
    latency: u64,
    refused: bool,
    headers: RateLimitHeaders,
    lost: bool,
}

struct Sim<'a> {
    scene: Scene,
    rng: Rng,
    now: u64,
    redis: &'a mut dyn Redis,
    /// The limit of the app, then the one of each workspace.
    buckets: Vec<Server>,
    processes: Vec<Process>,
    calls: BTreeMap<u64, Call>,
    /// When each waiting fresh call arrived.
    fresh: BTreeMap<u64, u64>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    next: u64,
    /// Redis was away and is back.
    came_back: bool,
    pace: Gcra,
    outcome: Outcome,
}

/// Runs a scene on the embedded Redis. Every backfill slot always has a next call.
pub fn run(scene: &Scene, seed: u64, skewed: bool) -> Outcome {
    run_on(scene, seed, skewed, &mut EmbeddedRedis::new(scene.bug))
}

/// Runs a scene on a given Redis, which has no keys yet.
pub fn run_on(scene: &Scene, seed: u64, skewed: bool, redis: &mut dyn Redis) -> Outcome {
    let mut rng = Rng::new(seed);
    let server = Server {
        limit: scene.limit,
        ahead: 3_600_000 + rng.next() % 100_000,
        date_ahead: scene.date_ahead,
        windows: Vec::new(),
        silent: scene.silent.map(|(from, to)| (from * 1_000, to * 1_000)),
    };
    // The server's clock agrees with Redis' to within some seconds.
    let server = Server {
        ahead: EPOCH - 5_000 + server.ahead % 10_000,
        ..server
    };
    let mut sim = Sim {
        now: 60_000,
        buckets: vec![server; scene.workspaces + 1],
        processes: Vec::new(),
        calls: BTreeMap::new(),
        fresh: BTreeMap::new(),
        events: BinaryHeap::new(),
        next: 1 << 32,
        came_back: false,
        pace: Gcra::new(f64::from(scene.limit) * scene.share),
        outcome: Outcome::default(),
        scene: scene.clone(),
        rng,
        redis,
    };
    for index in 0..scene.processes {
        let epoch = if skewed {
            sim.now - 60_000 + index as u64 * 7_919 % 60_000
        } else {
            0
        };
        sim.processes.push(Process {
            life: 0,
            alive: false,
            budgets: Vec::new(),
            epoch,
            plans: BTreeMap::new(),
            scope_check: ScopeCheck::new(scene.scope),
            alone: Gcra::new(1.0),
        });
        sim.at(index as u64, Event::Start { process: index });
    }
    if scene.foreign > 0.0 {
        sim.at(1, Event::Foreign);
    }
    if scene.fresh_every.is_some() {
        sim.at(1, Event::Fresh);
    }
    if let Some(every) = scene.kill_every {
        sim.at(every * 1_000, Event::Kill);
    }
    sim.go();
    let mut outcome = sim.outcome;
    outcome.buckets = sim
        .buckets
        .into_iter()
        .map(|bucket| bucket.windows)
        .collect();
    outcome
}

impl Sim<'_> {
    fn at(&mut self, after: u64, event: Event) {
        self.next += 1;
        self.events
            .push(Reverse((self.now + after, self.next, event)));
    }

    fn plan(&mut self, process: usize, caller: u64, after: u64) {
        let (life, plan) = (self.processes[process].life, self.next);
        self.processes[process].plans.insert(caller, plan);
        self.at(
            after,
            Event::Try {
                process,
                life,
                caller,
                plan,
            },
        );
    }

    fn go(&mut self) {
        let end = self.now + self.scene.seconds * 1_000;
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > end {
                break;
            }
            self.now = now;
            if let Some((second, limit)) = self.scene.new_limit
                && self.elapsed() >= second * 1_000
            {
                self.buckets
                    .iter_mut()
                    .for_each(|bucket| bucket.limit = limit);
            }
            self.handle(event);
        }
    }

    const fn elapsed(&self) -> u64 {
        self.now - 60_000
    }

    fn is_away(&self) -> bool {
        self.scene
            .redis_away
            .is_some_and(|(from, to)| (from * 1_000..to * 1_000).contains(&self.elapsed()))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Try {
                process,
                life,
                caller,
                plan,
            } if self.lives(process, life)
                && self.processes[process].plans.get(&caller) == Some(&plan) =>
            {
                self.attempt(process, caller);
            }
            Event::Arrive { call } => {
                let of = self.workspace(self.calls[&call].caller);
                let bucket = if self.scene.one_bucket { APP } else { of };
                let (refused, headers) = self.buckets[bucket].count(self.now, false);
                let call = self.calls.get_mut(&call).unwrap();
                (call.refused, call.headers) = (refused, headers);
            }
            Event::Answer { call } => self.answer(call),
            Event::GiveUp { call } => {
                let call = self.calls.remove(&call).unwrap();
                if self.lives(call.process, call.life) {
                    self.outcome.met.insert("lost");
                    self.finish(&call, 1);
                }
            }
            Event::AtRedis {
                process,
                life,
                budget,
            } => self.at_redis(process, life, budget),
            Event::Reply {
                process,
                life,
                budget,
            } if self.lives(process, life) => self.on_reply(process, budget),
            Event::Flush {
                process,
                life,
                budget,
            } if self.lives(process, life) => {
                self.ask(process, budget);
                self.processes[process].budgets[budget].flusher_runs = false;
                self.spawn_flusher(process, budget);
            }
            Event::Foreign => {
                self.buckets[1].count(self.now, true);
                let mean = WINDOW as f64 / (f64::from(self.scene.limit) * self.scene.foreign);
                let after = (-mean * self.unit().ln()).round() as u64;
                self.at(after.max(1), Event::Foreign);
            }
            Event::Fresh => {
                for _ in 0..self.scene.fresh_at_once {
                    let caller = self.next;
                    let process = (self.rng.next() % self.scene.processes as u64) as usize;
                    if self.processes[process].alive {
                        self.fresh.insert(caller, self.now);
                        self.plan(process, caller, 0);
                    }
                }
                let mean = self.scene.fresh_every.unwrap() as f64;
                // Polls are regular apart from their jitter.
                let of_mean = if self.scene.fresh_at_once > 1 {
                    0.9 + 0.2 * self.unit()
                } else {
                    -self.unit().ln()
                };
                self.at(((mean * of_mean).round() as u64).max(1), Event::Fresh);
            }
            Event::Kill => {
                let process = (self.rng.next() % self.scene.processes as u64) as usize;
                self.processes[process].alive = false;
                self.outcome.met.insert("killed");
                self.at(1_000, Event::Start { process });
                self.at(self.scene.kill_every.unwrap() * 1_000, Event::Kill);
            }
            Event::Start { process } => self.start(process),
            _ => {}
        }
    }

    fn start(&mut self, index: usize) {
        let (limit, share, processes) = (self.scene.limit, self.scene.share, self.scene.processes);
        let budget = |_| Budget {
            local: LocalBudget::new(share),
            waiting: BTreeMap::new(),
            request: None,
            reply: None,
            flusher_runs: false,
        };
        let process = &mut self.processes[index];
        process.life += 1;
        process.alive = true;
        process.budgets = (0..=self.scene.workspaces).map(budget).collect();
        process.plans.clear();
        process.scope_check = ScopeCheck::new(self.scene.scope);
        process.alone = Gcra::new(f64::from(limit) * share / processes as f64);
        for slot in 0..self.scene.slots as u64 {
            let after = self.rng.next() % 50;
            self.plan(index, slot, after);
        }
    }

    fn lives(&self, process: usize, life: u32) -> bool {
        self.processes[process].alive && self.processes[process].life == life
    }

    fn workspace(&self, caller: u64) -> usize {
        1 + (caller % self.scene.workspaces as u64) as usize
    }

    /// The budget that a workspace's calls are taken from, chosen as the product does.
    fn budget(&self, workspace: usize) -> usize {
        match self.scene.scope {
            RateLimitScope::Workspace => workspace,
            RateLimitScope::App => APP,
        }
    }

    const fn class(caller: u64) -> Class {
        if caller >= 1 << 32 {
            Class::Fresh
        } else {
            Class::Backfill
        }
    }

    /// Above 0, up to 1.
    fn unit(&mut self) -> f64 {
        (self.rng.next() >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON
    }
}
