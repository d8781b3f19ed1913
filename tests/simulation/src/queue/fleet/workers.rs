//! What a simulated worker does: rounds, renewals, slices, and its death.

use super::*;

impl Sim {
    pub(super) fn start(&mut self, worker: usize) {
        let generation = self.workers[worker].generation + 1;
        self.workers[worker] = Worker {
            generation,
            alive: true,
            planned: i64::MAX,
            ..Worker::default()
        };
        self.plan(worker, self.now);
        self.then(self.now + RENEWAL, Then::Renew(worker, generation));
    }

    pub(super) fn plan(&mut self, worker: usize, at: i64) {
        let state = &mut self.workers[worker];
        if at < state.planned {
            state.planned = at;
            state.plan += 1;
            let then = Then::Round(worker, state.generation, state.plan);
            self.then(at, then);
        }
    }

    pub(super) fn round(&mut self, worker: usize) {
        self.workers[worker].planned = i64::MAX;
        let state = &self.workers[worker];
        let busy: Vec<&Slice> = state.held.values().filter(|slice| !slice.settled).collect();
        let backfill = busy
            .iter()
            .filter(|slice| self.rows[slice.row].ticket.0 == Class::Backfill.as_str())
            .count();
        let limit = if state.stopping {
            0
        } else {
            self.slots - busy.len().min(self.slots)
        };
        let capacity = Capacity {
            limit,
            fresh_limit: limit,
            backfill_limit: (self.slots * 4 / 5)
                .max(1)
                .saturating_sub(backfill)
                .min(limit),
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
        let answer = self
            .model
            .poll(self.clock, LEASE, self.cap, capacity, &batch);
        for (settlement, ours) in batch.iter().zip(&answer.settled) {
            if *ours {
                let end = match settlement.verdict {
                    Verdict::Done => End::Done,
                    Verdict::Requeue => End::Requeue,
                    Verdict::Snooze(wait) => End::Snooze(wait),
                    Verdict::Release => End::Release,
                };
                self.note(What::Settled {
                    ticket: ticket(settlement.ticket),
                    fence: settlement.fence,
                    end,
                });
            }
        }
        for (reaped, fence) in &answer.reaped {
            self.met.insert("reaped");
            self.note(What::Reaped {
                ticket: ticket(*reaped),
                fence: *fence,
            });
        }
        for claimed in &answer.claimed {
            let (fence, crashes) = (claimed.fence, claimed.crashes);
            self.note(What::Leased {
                ticket: ticket(claimed.ticket),
                fence,
                crashes,
            });
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
            let row = self
                .rows
                .iter()
                .position(|row| row.ticket == claimed.ticket)
                .unwrap();
            let slice = Slice {
                row,
                crashes: claimed.crashes,
                begun: false,
                settled: false,
            };
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
        let left = capacity.limit > answer.claimed.len();
        let wait = answer
            .next_parked
            .filter(|_| left)
            .map_or(1_000, |parked| (parked + 1).min(1_000));
        self.plan(worker, self.now + wait);
    }

    pub(super) fn forget(&mut self, worker: usize, batch: &[Settlement]) {
        let state = &mut self.workers[worker];
        for settlement in batch {
            state.held.remove(&settlement.fence);
        }
        state.pending.retain(|pending| !batch.contains(pending));
    }

    pub(super) fn renew(&mut self, worker: usize) {
        let state = &self.workers[worker];
        let generation = state.generation;
        let leases: Vec<(Key, i64)> = state
            .held
            .iter()
            .map(|(fence, slice)| (self.rows[slice.row].ticket, *fence))
            .collect();
        let mut next = RENEWAL;
        if !leases.is_empty() {
            let call = self.call();
            if call == Call::Unreachable {
                next = 300;
            } else {
                let lost = self.model.renew(self.clock, LEASE, &leases);
                if call == Call::Answered {
                    for (renewed, fence) in leases
                        .into_iter()
                        .filter(|(ticket, _)| !lost.contains(ticket))
                    {
                        self.note(What::Renewed {
                            ticket: ticket(renewed),
                            fence,
                        });
                    }
                } else {
                    next = 300;
                }
            }
        }
        self.then(self.now + next, Then::Renew(worker, generation));
    }

    pub(super) fn begin(&mut self, worker: usize, fence: i64) {
        let generation = self.workers[worker].generation;
        let Some(slice) = self.workers[worker].held.get_mut(&fence) else {
            return;
        };
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
            return self.end_slice(worker, fence, Verdict::Requeue);
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
        let pace = if self.quiet {
            self.pace.min(250)
        } else {
            self.pace
        };
        let at = self.now + self.rng.between(1, pace);
        self.then(at, Then::Commit(worker, generation, fence));
    }

    pub(super) fn commit(&mut self, worker: usize, fence: i64) {
        let Some(slice) = self.workers[worker].held.get(&fence).copied() else {
            return;
        };
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
        self.note(What::Effect {
            ticket: written,
            page,
            fence,
        });
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
            Verdict::Requeue
        } else {
            Verdict::Snooze(self.rng.between(50, 3_000))
        };
        self.end_slice(worker, fence, verdict);
    }

    pub(super) fn end_slice(&mut self, worker: usize, fence: i64, verdict: Verdict) {
        let Some(slice) = self.workers[worker].held.get_mut(&fence) else {
            return;
        };
        slice.settled = true;
        let ticket = self.rows[slice.row].ticket;
        self.workers[worker].pending.push(Settlement {
            ticket,
            fence,
            verdict,
        });
        let at = self.now + self.rng.between(0, 15);
        self.plan(worker, at);
    }

    pub(super) fn kill(&mut self, worker: usize) {
        self.workers[worker].alive = false;
        let at = self.now + self.rng.between(100, 2_000);
        self.then(at, Then::Start(worker));
    }

    // Scheduler and Postgres
}
