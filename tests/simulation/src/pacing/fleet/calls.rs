//! A call, from the first try through its permit to its response.

use std::time::Duration;

use shared::{
    domain::Class,
    pacing::{Acquire, RateLimitHeaders},
};

use super::{APP, Call, Event, Policy, Sim};

const REQUEST_TIMEOUT: u64 = 10_000;

impl Sim<'_> {
    pub(super) fn attempt(&mut self, index: usize, caller: u64) {
        let class = Self::class(caller);
        let now = Duration::from_millis(self.now - self.processes[index].epoch);
        let budget = self.budget(self.workspace(caller));
        let process = &mut self.processes[index];
        for budget in &mut process.budgets {
            budget.waiting.remove(&caller);
        }
        let taken = match self.scene.policy {
            Policy::Ledger => process.budgets[budget].local.acquire(class, now),
            Policy::EachAlone => paced(process.alone.take(self.now), now),
            Policy::PaceInRedis => {
                self.outcome.redis_calls += 1;
                paced(self.pace.take(self.now), now)
            }
        };
        let later = |until: Duration| (until.saturating_sub(now).as_millis() as u64).max(1);
        match taken {
            Acquire::Permit { tick } => {
                process.plans.remove(&caller);
                self.send(index, caller, budget, tick);
            }
            Acquire::Wait(until) => {
                process.budgets[budget].waiting.insert(caller, class);
                self.ask(index, budget);
                self.plan(index, caller, later(until));
            }
            Acquire::Park(until) => {
                self.outcome.met.insert("parked");
                self.ask(index, budget);
                let jitter = 5 + self.rng.next() % if class == Class::Fresh { 6 } else { 56 };
                self.plan(index, caller, later(until) + jitter);
            }
        }
    }

    fn send(&mut self, process: usize, caller: u64, budget: usize, tick: i64) {
        if let Some(came) = self.fresh.remove(&caller) {
            // The ledger learns the reserve in the first windows.
            if self.elapsed() > 30_000 {
                self.outcome.fresh_waits.push(self.now - came);
            }
        }
        self.outcome.calls += 1;
        self.outcome
            .sent
            .push((self.now, process, Self::class(caller)));
        let (median, sigma) = self.scene.latency;
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        let latency = (median * (sigma * normal).exp()).clamp(2.0, 9_000.0) as u64;
        let lost = self.rng.next() % 1_000 < self.scene.lost;
        // The way takes some of that time. Most of it is work.
        let way = 1 + (latency as f64 * 0.3 * self.unit()) as u64;
        let life = self.processes[process].life;
        let call = self.next;
        let made = Call {
            process,
            life,
            caller,
            budget,
            tick,
            sent: self.now,
            latency,
            refused: false,
            headers: RateLimitHeaders::default(),
            lost,
        };
        self.calls.insert(call, made);
        self.at(way, Event::Arrive { call });
        self.at(
            if lost { REQUEST_TIMEOUT } else { latency },
            if lost {
                Event::GiveUp { call }
            } else {
                Event::Answer { call }
            },
        );
    }

    pub(super) fn answer(&mut self, call: u64) {
        let call = self.calls.remove(&call).unwrap();
        assert!(!call.lost);
        if !self.lives(call.process, call.life) {
            return;
        }
        let back = (call.latency as f64 * 0.1) as u64;
        let date = self.buckets[APP].date(self.now - back);
        let headers = RateLimitHeaders {
            date: Some(date),
            ..call.headers
        };
        let process = &mut self.processes[call.process];
        let now = Duration::from_millis(self.now - process.epoch);
        let mut wait = 1 + self.rng.next() % 4;
        if self.scene.policy == Policy::Ledger {
            let budget = &mut process.budgets[call.budget].local;
            if call.refused {
                let until = budget.on_throttled(headers, now);
                wait = until.saturating_sub(now).as_millis() as u64 + 5 + self.rng.next() % 55;
            }
            let sent = Duration::from_millis(call.sent - process.epoch);
            budget.on_response(call.tick, sent, call.refused, headers, now);
            self.spawn_flusher(call.process, call.budget);
        } else if call.refused {
            self.outcome.throttled.own += 1;
        }
        self.finish(&call, wait);
    }

    /// A backfill slot makes its next call. A fresh call is over.
    pub(super) fn finish(&mut self, call: &Call, wait: u64) {
        if Self::class(call.caller) == Class::Backfill {
            self.plan(call.process, call.caller, wait);
        }
    }
}

fn paced(taken: Result<(), Duration>, now: Duration) -> Acquire {
    match taken {
        Ok(()) => Acquire::Permit { tick: 0 },
        Err(wait) => Acquire::Wait(now + wait),
    }
}
