//! What goes wrong in a simulated fleet, and the end of it.

use super::*;

impl Sim {
    pub(super) fn any_fault(&mut self) -> Fault {
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

    pub(super) fn fault(&mut self, fault: Fault) {
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
                let tickets: Vec<Key> = (0..self.rng.between(1, 6))
                    .map(|_| self.rng.pick(&self.rows).ticket)
                    .collect();
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
    pub(super) fn terminate(&mut self, worker: usize) {
        let state = &mut self.workers[worker];
        if !state.alive || state.stopping {
            return;
        }
        state.stopping = true;
        let unstarted: Vec<i64> = state
            .held
            .iter()
            .filter(|(_, slice)| !slice.begun && !slice.settled)
            .map(|(fence, _)| *fence)
            .collect();
        for fence in unstarted {
            self.met.insert("handed back");
            self.end_slice(worker, fence, Verdict::Release);
        }
        self.plan(worker, self.now);
    }

    pub(super) fn resume(&mut self, scope: PauseScope) {
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

    pub(super) fn become_quiet(&mut self) {
        self.quiet = true;
        self.outage_until = 0;
        self.losing_until = 0;
        for scope in std::mem::take(&mut self.paused) {
            self.model.resume(self.clock, &[scope]);
            self.note(What::Resumed { scope });
        }
        self.note(What::Quiet);
    }
}
