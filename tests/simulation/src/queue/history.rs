//! The checker: what a history of the queue must never show, from any recorder.
//!
//! It knows no implementation. It rebuilds from the events alone which worker held which lease when, and holds that
//! against the laws: no lost work, one effect per page, no effect after a higher fence, caps held, pauses
//! honoured, waits honoured, bounded waiting, no lease taken from the living, idle in the end, nothing left.
//! Events that a recorder cannot see are simply left out. The rules that need them then say nothing.

mod events;
mod waiting;

use std::collections::{BTreeSet, HashMap, HashSet};

use shared::{
    domain::TenantId,
    queue::{PauseScope, Ticket},
};

pub use events::{End, Event, Rules, Violation, What};

/// The first law that a history breaks.
pub fn check(history: &[Event], rules: &Rules) -> Result<(), Violation> {
    let tenants: HashSet<TenantId> = history
        .iter()
        .filter_map(|event| event.what.ticket())
        .map(|t| t.tenant)
        .collect();
    let mut checker = Checker {
        rules: *rules,
        tenants: tenants.len(),
        ..Checker::default()
    };
    for (i, event) in history.iter().enumerate() {
        checker.event = i;
        checker.now = event.at;
        checker.see(&event.what)?;
    }
    checker.end()
}

/// Where a ticket is, as far as the events tell.
#[derive(Clone, Copy, Debug)]
enum Place {
    Nowhere,
    /// Ready at a time (ahead of now: parked until then).
    Ready {
        from: i64,
    },
    Leased {
        fence: i64,
        since: i64,
        again: bool,
    },
}

#[derive(Debug, Default)]
struct Checker {
    rules: Rules,
    tenants: usize,
    event: usize,
    now: i64,
    quiet_since: Option<i64>,
    last_fault: i64,
    idle_at: Option<i64>,
    owed: HashMap<Ticket, BTreeSet<u64>>,
    effects: HashMap<Ticket, HashMap<u64, i64>>,
    highest: HashMap<Ticket, i64>,
    given: HashMap<Ticket, i64>,
    place: HashMap<Ticket, Place>,
    crashes: HashMap<Ticket, u32>,
    inflight: HashMap<TenantId, usize>,
    paused: HashSet<PauseScope>,
    /// Leases to others while a ready ticket waited.
    overtaken: HashMap<Ticket, usize>,
}

impl Checker {
    fn see(&mut self, what: &What) -> Result<(), Violation> {
        match what {
            What::Owed { ticket, pages } => {
                self.owed.entry(*ticket).or_default().extend(pages.clone());
                Ok(())
            }
            What::Pushed { ticket } => {
                self.pushed(*ticket);
                Ok(())
            }
            What::Leased {
                ticket,
                fence,
                crashes,
            } => self.leased(*ticket, *fence, *crashes),
            What::Renewed { ticket, fence } => {
                if let Some(Place::Leased {
                    fence: held, since, ..
                }) = self.place.get_mut(ticket)
                    && held == fence
                {
                    *since = self.now;
                }
                Ok(())
            }
            What::Settled { ticket, fence, end } => self.settled(*ticket, *fence, *end),
            What::Reaped { ticket, fence } => self.reaped(*ticket, *fence),
            What::Effect {
                ticket,
                page,
                fence,
            } => self.effect(*ticket, *page, *fence),
            What::Paused { scope } => {
                self.paused.insert(*scope);
                self.restart_waits();
                Ok(())
            }
            What::Resumed { scope } => {
                self.paused.remove(scope);
                self.restart_waits();
                Ok(())
            }
            What::Flushed => {
                self.place.clear();
                self.inflight.clear();
                self.crashes.clear();
                self.overtaken.clear();
                self.paused.clear();
                // A server that comes back with an older clock begins lower. Postgres' fences still hold.
                self.given.clear();
                Ok(())
            }
            What::Quiet => {
                self.quiet_since = Some(self.now);
                self.last_fault = self.now;
                self.restart_waits();
                Ok(())
            }
            What::Fault => {
                self.last_fault = self.now;
                Ok(())
            }
            What::Idle { left_in_redis } => {
                self.idle_at = Some(self.now);
                if left_in_redis.is_empty() {
                    Ok(())
                } else {
                    self.broken("nothing is left at rest", format!("{left_in_redis:?}"))
                }
            }
        }
    }

    /// What can only be told when the history is over.
    fn end(mut self) -> Result<(), Violation> {
        for (ticket, pages) in &self.owed {
            let done = self.effects.get(ticket);
            if let Some(page) = pages
                .iter()
                .find(|page| done.is_none_or(|done| !done.contains_key(page)))
            {
                return self.broken(
                    "no work is lost",
                    format!("page {page} of {ticket} was never written"),
                );
            }
        }
        self.waited_too_long()?;
        let (Some(within), Some(_)) = (self.rules.idle_within, self.quiet_since) else {
            return Ok(());
        };
        match self.idle_at {
            None => self.broken("idle in the end", "never idle".to_owned()),
            Some(idle) if idle - self.last_fault > within => self.broken(
                "idle in the end",
                format!("only after {} ms", idle - self.last_fault),
            ),
            Some(_) => {
                let live = self
                    .place
                    .iter()
                    .find(|(_, place)| !matches!(place, Place::Nowhere));
                live.map_or(Ok(()), |(ticket, place)| {
                    self.broken(
                        "idle in the end",
                        format!("{ticket} should be {place:?}, and Redis knows nothing of it"),
                    )
                })
            }
        }
    }

    fn pushed(&mut self, ticket: Ticket) {
        match self.place(ticket) {
            Place::Nowhere => self.make_ready(ticket, self.now),
            Place::Ready { .. } => {}
            Place::Leased { fence, since, .. } => {
                self.place.insert(
                    ticket,
                    Place::Leased {
                        fence,
                        since,
                        again: true,
                    },
                );
            }
        }
    }

    fn leased(&mut self, ticket: Ticket, fence: i64, crashes: u32) -> Result<(), Violation> {
        self.waited_too_long()?;
        let tenant = ticket.tenant;
        if let Place::Leased { fence: held, .. } = self.place(ticket) {
            return self.broken(
                "one lease per ticket",
                format!("{ticket} is leased as {held} and as {fence}"),
            );
        }
        if let Place::Ready { from } = self.place(ticket)
            && from > self.now
        {
            return self.broken(
                "waits are honoured",
                format!("{ticket} was to wait {} ms more", from - self.now),
            );
        }
        if let Some(before) = self.given.insert(ticket, fence)
            && before >= fence
        {
            return self.broken(
                "fences grow",
                format!("{ticket} got {fence} after {before}"),
            );
        }
        for scope in [
            PauseScope::Fleet,
            PauseScope::Class(ticket.class()),
            PauseScope::Tenant(tenant),
        ] {
            if self.paused.contains(&scope) {
                return self.broken(
                    "pauses are honoured",
                    format!("{ticket} was leased while {scope} is paused"),
                );
            }
        }
        let counted = self.crashes.get(&ticket).copied().unwrap_or(0);
        if counted != crashes {
            return self.broken(
                "deaths are counted",
                format!("{ticket} says {crashes}, it was reaped {counted} times"),
            );
        }
        let inflight = self.inflight.entry(tenant).or_default();
        *inflight += 1;
        let inflight = *inflight;
        if let Some(cap) = self.rules.cap
            && inflight > cap
        {
            return self.broken("caps are held", format!("{tenant} has {inflight} leases"));
        }
        self.place.insert(
            ticket,
            Place::Leased {
                fence,
                since: self.now,
                again: false,
            },
        );
        self.overtaken.remove(&ticket);
        self.overtake(ticket)
    }

    fn settled(&mut self, ticket: Ticket, fence: i64, end: End) -> Result<(), Violation> {
        let Place::Leased {
            fence: held, again, ..
        } = self.place(ticket)
        else {
            return self.broken(
                "only a lease settles",
                format!("{ticket} was settled by {fence}, and not leased"),
            );
        };
        if held != fence {
            return self.broken(
                "only a lease settles",
                format!("{ticket} is {held}'s and was settled by {fence}"),
            );
        }
        self.release(ticket);
        if end != End::Release {
            self.crashes.remove(&ticket);
        }
        match end {
            End::Snooze(wait) => self.make_ready(ticket, self.now + wait),
            End::Done if !again => {
                self.place.insert(ticket, Place::Nowhere);
            }
            _ => self.make_ready(ticket, self.now),
        }
        Ok(())
    }

    fn reaped(&mut self, ticket: Ticket, fence: i64) -> Result<(), Violation> {
        let Place::Leased {
            fence: held, since, ..
        } = self.place(ticket)
        else {
            return self.broken("only a lease is reaped", format!("{ticket} was not leased"));
        };
        if held != fence {
            return self.broken(
                "only a lease is reaped",
                format!("{ticket} is {held}'s, {fence} was reaped"),
            );
        }
        let renewed = self.now - since;
        if let Some(lease) = self.rules.lease
            && renewed < lease
        {
            return self.broken(
                "the living keep their leases",
                format!("{ticket} was reaped {renewed} ms after renewal"),
            );
        }
        self.release(ticket);
        *self.crashes.entry(ticket).or_default() += 1;
        // The tickets that died with it start waiting anew.
        self.restart_waits();
        self.make_ready(ticket, self.now);
        Ok(())
    }

    fn effect(&mut self, ticket: Ticket, page: u64, fence: i64) -> Result<(), Violation> {
        let highest = self.highest.entry(ticket).or_default();
        if *highest > fence {
            let highest = *highest;
            return self.broken(
                "no effect after a higher fence",
                format!("{ticket} page {page} by {fence} after {highest}"),
            );
        }
        *highest = fence;
        if let Some(before) = self.effects.entry(ticket).or_default().insert(page, fence) {
            return self.broken(
                "one effect per page",
                format!("{ticket} page {page} by {before} and by {fence}"),
            );
        }
        Ok(())
    }

    fn place(&self, ticket: Ticket) -> Place {
        self.place.get(&ticket).copied().unwrap_or(Place::Nowhere)
    }

    fn make_ready(&mut self, ticket: Ticket, from: i64) {
        self.place.insert(ticket, Place::Ready { from });
        self.overtaken.remove(&ticket);
    }

    fn release(&mut self, ticket: Ticket) {
        if let Some(inflight) = self.inflight.get_mut(&ticket.tenant) {
            *inflight = inflight.saturating_sub(1);
        }
        // Its tenant is below its cap again, so its other tickets start waiting now.
        self.overtaken
            .retain(|waiting, _| waiting.tenant != ticket.tenant);
    }

    fn broken(&self, law: &'static str, what: String) -> Result<(), Violation> {
        Err(Violation {
            law,
            what,
            event: self.event,
        })
    }
}

#[cfg(test)]
mod tests;
