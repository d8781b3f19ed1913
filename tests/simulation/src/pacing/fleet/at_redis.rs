//! The fleet's calls to Redis: the real script, at the simulation's time.

use std::time::Duration;

use shared::{
    domain::Class,
    pacing::{FLUSH_DELAY, LedgerReply},
};

use super::{EPOCH, Event, Policy, REDIS_TIMEOUT, Sim, TO_REDIS};

impl Sim<'_> {
    pub(super) fn spawn_flusher(&mut self, process: usize, budget: usize) {
        let of = &mut self.processes[process];
        let life = of.life;
        let of = &mut of.budgets[budget];
        if !of.flusher_runs && of.local.has_unsettled() {
            of.flusher_runs = true;
            self.at(
                FLUSH_DELAY.as_millis() as u64,
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

    /// The script runs even if the process is dead by now.
    pub(super) fn at_redis(&mut self, index: usize, life: u32, budget: usize) {
        if self.processes[index].life != life {
            return;
        }
        let request = self.processes[index].budgets[budget]
            .request
            .take()
            .unwrap();
        if self.is_away() {
            self.processes[index].budgets[budget].reply = Some(None);
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
            // It comes back empty, as a server without a disk does.
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
        let reply: LedgerReply = self.redis.ledger(budget, &arguments, clock).into();
        self.outcome.throttled.own += reply.throttled.own;
        self.outcome.throttled.foreign += reply.throttled.foreign;
        self.outcome.throttled.cold += reply.throttled.cold;
        let lost = self.rng.next() % 1_000 < self.scene.redis_lost;
        self.processes[index].budgets[budget].reply = Some((!lost).then_some(reply));
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
        let reply = of.reply.take().unwrap();
        of.local.on_reply(reply.as_ref(), now);
        if let Some(window) = reply.and_then(|reply| reply.window)
            && process.scope_check.observe(&budget.to_string(), window)
        {
            let contradiction = (self.now - 60_000, index);
            self.outcome.contradictions.push(contradiction);
        }
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
}
