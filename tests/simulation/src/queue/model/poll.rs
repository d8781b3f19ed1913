//! The steps of a poll: settle, reap, promote, claim.

use super::*;

impl Model {
    pub(super) fn release(&mut self, ticket: Key, cap: i64) -> bool {
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

    pub(super) fn uncap(&mut self, tenant: TenantId) {
        if self.bug == Bug::UncapForgotten {
            return;
        }
        for class in CLASSES {
            let vtime = self.lane_ref(class).vtime;
            self.reenter(class, tenant, vtime);
        }
    }

    pub(super) fn settle(
        &mut self,
        Settlement {
            ticket,
            fence,
            verdict,
        }: Settlement,
        cap: i64,
    ) -> bool {
        let Some(State::Leased(leased)) = self.tickets.get(&ticket).copied() else {
            return false;
        };
        if leased.fence != fence && self.bug != Bug::SettleIgnoresFence {
            return false;
        }
        let uncapped = self.release(ticket, cap);
        let class = class(ticket);
        let vtime = self.lane_ref(class).vtime;
        match verdict {
            Verdict::Release if self.bug == Bug::ReleaseDrops => {
                self.tickets.remove(&ticket);
            }
            Verdict::Release => self.ready(ticket, true, leased.since, leased.crashes, vtime),
            Verdict::Snooze(wait) => {
                self.tickets.remove(&ticket);
                self.parked.add(ticket, (self.now + wait) as f64);
                self.lane(class).parked_count += 1;
            }
            _ if verdict == Verdict::Requeue || leased.again => {
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

    pub(super) fn reap(&mut self, cap: i64) -> Vec<(Key, i64)> {
        let mut reaped = Vec::new();
        if self.now < self.grace {
            return reaped;
        }
        for ticket in self.leases.until(self.now as f64, BITE) {
            let Some(State::Leased(leased)) = self.tickets.get(&ticket).copied() else {
                self.leases.remove(&ticket);
                continue;
            };
            let uncapped = self.release(ticket, cap);
            let vtime = self.lane_ref(class(ticket)).vtime;
            let crashes = leased.crashes + u32::from(self.bug != Bug::ReapForgetsCrash);
            self.ready(ticket, true, leased.since, crashes, vtime);
            if self.bug == Bug::ReapKeepsLease {
                self.tickets.insert(ticket, State::Leased(leased));
                self.leases.add(ticket, self.now as f64);
            }
            if uncapped {
                self.uncap(ticket.1);
            }
            reaped.push((ticket, leased.fence));
        }
        reaped
    }

    pub(super) fn promote(&mut self) {
        for ticket in self.parked.until(self.now as f64, BITE) {
            self.parked.remove(&ticket);
            let class = class(ticket);
            self.lane(class).parked_count -= 1;
            if self.tickets.contains_key(&ticket) {
                continue;
            }
            let start = self.start(class);
            let was_in = self.lane_ref(class).ring.score(&ticket.1).is_some();
            self.ready(ticket, false, self.now, 0, start);
            if self.bug == Bug::PromoteForgetsRing && !was_in {
                self.leave(class, ticket.1);
            }
        }
    }

    pub(super) fn claim(
        &mut self,
        raw: i64,
        cap: i64,
        capacity: Capacity,
    ) -> (Vec<(Leased, Key)>, Vec<&'static str>) {
        let (mut leases, mut refused) = (Vec::new(), Vec::new());
        if capacity.limit == 0 {
            return (leases, refused);
        }
        if self.fence == 0 {
            self.fence = raw * 1_000;
        }
        let base = self.fence;
        let mut suspects = capacity.suspects;
        if !self.is_paused("fleet") {
            if !self.is_paused("fresh") {
                self.take(
                    Class::Fresh,
                    capacity.fresh_limit.min(capacity.limit),
                    cap,
                    &mut suspects,
                    &mut leases,
                    &mut refused,
                );
            }
            if !self.is_paused("backfill") {
                let limit = capacity.backfill_limit.min(capacity.limit - leases.len());
                self.take(
                    Class::Backfill,
                    limit,
                    cap,
                    &mut suspects,
                    &mut leases,
                    &mut refused,
                );
            }
        }
        for (i, (leased, _)) in leases.iter_mut().enumerate() {
            leased.fence = base + 1 + i as i64;
        }
        self.fence = base + leases.len() as i64;
        (leases, refused)
    }

    pub(super) fn take(
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
            let Some((tenant, at)) = lane.ring.pop_first() else {
                break;
            };
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
                let Entry {
                    since,
                    crashes,
                    ticket,
                } = entry;
                leases.push((
                    Leased {
                        fence: 0,
                        again: false,
                        finish: at + TURN,
                        since,
                        crashes,
                    },
                    ticket,
                ));
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

    pub(super) fn first(
        &mut self,
        class: Class,
        tenant: TenantId,
        suspects: u32,
        refused: &mut Vec<&'static str>,
    ) -> (Option<Entry>, bool) {
        let Some(list) = self.lane(class).ready.get_mut(&tenant) else {
            return (None, false);
        };
        let Some(entry) = list.pop_front() else {
            return (None, false);
        };
        if list.is_empty() {
            self.lane(class).ready.remove(&tenant);
        }
        if self.tickets.get(&entry.ticket) != Some(&State::Ready) {
            refused.push("foreign");
            (None, false)
        } else if entry.crashes >= SUSPECT && suspects == 0 {
            self.lane(class)
                .ready
                .entry(tenant)
                .or_default()
                .push_front(entry);
            (None, true)
        } else {
            (Some(entry), false)
        }
    }
}
