//! The fleet's calls to Redis: the real scripts, at a time of the simulation's.

use std::time::Duration;

use shared::{
    domain::Class,
    pacing::{FLUSH, LedgerReply, Seen},
};

use super::{APP, EPOCH, Event, Policy, REDIS_TIMEOUT, Sim, TO_REDIS};

impl Sim<'_> {
    pub(super) fn spawn_flusher(&mut self, process: usize, budget: usize) {
        let of = &mut self.processes[process];
        let life = of.life;
        let of = &mut of.budgets[budget];
        if !of.flusher_runs && of.local.has_unsettled() {
            of.flusher_runs = true;
            self.at(
                FLUSH.as_millis() as u64,
                Event::Flush {
                    process,
                    life,
                    budget,
                },
            );
        }
    }

    pub(super) fn ask(&mut self, index: usize, budget: usize) {
        if self.scene.policy != Policy::Ledger {
            return;
        }
        let process = &mut self.processes[index];
        let now = Duration::from_millis(self.now - process.epoch);
        let life = process.life;
        let of = &mut process.budgets[budget];
        let fresh = of
            .waiting
            .values()
            .filter(|class| **class == Class::Fresh)
            .count() as u32;
        let waiting = [fresh, of.waiting.len() as u32 - fresh];
        if let Some(request) = of.local.next_request(waiting, now) {
            of.request = Some(request);
            self.at(
                TO_REDIS,
                Event::AtRedis {
                    process: index,
                    life,
                    budget,
                },
            );
        }
    }

    /// The script runs even if who asked is dead by now.
    pub(super) fn at_redis(&mut self, index: usize, life: u32, budget: usize) {
        if self.processes[index].life != life {
            return;
        }
        let request = self.processes[index].budgets[budget]
            .request
            .take()
            .unwrap();
        if self.is_away() {
            self.processes[index].budgets[budget].told = Some(None);
            self.at(
                50,
                Event::Reply {
                    process: index,
                    life,
                    budget,
                },
            );
            return;
        }
        if self
            .scene
            .redis_away
            .is_some_and(|(_, to)| self.elapsed() >= to * 1_000)
            && !self.came_back
        {
            // Empty, as a server without a disk does.
            self.came_back = true;
            self.redis.flush();
        }
        self.outcome.redis_calls += 1;
        let mut clock = EPOCH + self.now;
        if let Some((second, by)) = self.scene.redis_clock
            && self.elapsed() >= second * 1_000
        {
            clock = clock.saturating_add_signed(by);
        }
        let arguments = request.arguments(&format!("{index}:{life}"), self.scene.share);
        let told: LedgerReply = self.redis.ledger(budget, &arguments, clock).into();
        self.outcome.throttled.own += told.throttled.own;
        self.outcome.throttled.foreign += told.throttled.foreign;
        self.outcome.throttled.cold += told.throttled.cold;
        let lost = self.rng.next() % 1_000 < self.scene.redis_lost;
        self.processes[index].budgets[budget].told = Some((!lost).then_some(told));
        self.at(
            if lost { REDIS_TIMEOUT } else { TO_REDIS },
            Event::Reply {
                process: index,
                life,
                budget,
            },
        );
    }

    pub(super) fn on_reply(&mut self, index: usize, budget: usize) {
        let process = &mut self.processes[index];
        let now = Duration::from_millis(self.now - process.epoch);
        let of = &mut process.budgets[budget];
        let told = of.told.take().unwrap();
        of.local.on_reply(told.as_ref(), now);
        let waiting: Vec<u64> = of.waiting.keys().copied().collect();
        self.ask(index, budget);
        for caller in waiting.into_iter().rev() {
            if self.processes[index].budgets[budget]
                .waiting
                .contains_key(&caller)
            {
                self.attempt(index, caller);
            }
        }
        self.spawn_flusher(index, budget);
    }

    /// What a process saw of a window goes to the fleet; or nothing, and it hears what the fleet judges.
    pub(super) fn notice(&mut self, process: usize, seen: Option<Seen>) {
        self.processes[process].seen.push_back(seen);
        let life = self.processes[process].life;
        self.at(TO_REDIS, Event::Seen { process, life });
    }

    pub(super) fn seen(&mut self, process: usize, life: u32) {
        if self.processes[process].life != life {
            return;
        }
        let seen = self.processes[process].seen.pop_front().unwrap();
        if self.is_away() {
            let shared = self.processes[process].shared;
            self.at(
                50,
                Event::Judged {
                    process,
                    life,
                    shared,
                },
            );
            return;
        }
        self.outcome.redis_calls += 1;
        let arguments = seen.as_ref().map(Seen::arguments).unwrap_or_default();
        let shared = self.redis.app(APP, &arguments, EPOCH + self.now);
        self.at(
            TO_REDIS,
            Event::Judged {
                process,
                life,
                shared,
            },
        );
    }
}
