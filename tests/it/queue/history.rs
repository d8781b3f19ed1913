//! The checker: what a history of the queue must never show, whoever recorded it.
//!
//! It knows no implementation. It rebuilds from the events alone who held which lease when, and holds that
//! against the laws: no lost work, one effect per page, no effect after a higher fence, caps held, pauses
//! honoured, waits honoured, bounded waiting, no lease taken from the living, idle in the end, nothing left.
//! Events that a recorder cannot see are simply left out; the rules that need them then say nothing.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    ops::Range,
};

use shared::{
    domain::{Class, TenantId},
    queue::{PauseScope, Ticket},
};

/// Something that happened, with the recorder's time in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: i64,
    pub(crate) what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Pages of a ticket's work are owed from now on.
    Owed {
        ticket: Ticket,
        pages: Range<u64>,
    },
    /// A push took effect in Redis.
    Pushed {
        ticket: Ticket,
    },
    /// Redis gave a lease, whether anybody heard of it or not.
    Leased {
        ticket: Ticket,
        fence: i64,
        crashes: u32,
    },
    /// A worker was told that its lease is renewed.
    Renewed {
        ticket: Ticket,
        fence: i64,
    },
    /// Redis took a settlement for the lease's own.
    Settled {
        ticket: Ticket,
        fence: i64,
        end: End,
    },
    /// Redis took a lease back.
    Swept {
        ticket: Ticket,
        fence: i64,
    },
    /// A page was written to Postgres.
    Effect {
        ticket: Ticket,
        page: u64,
        fence: i64,
    },
    /// A pause or its end was acknowledged.
    Paused {
        scope: PauseScope,
    },
    Resumed {
        scope: PauseScope,
    },
    /// Redis was emptied.
    Flushed,
    /// From now on nothing breaks, as far as the recorder has a say in it.
    Quiet,
    /// Something broke after all, such as a worker that died of its work. The time to idle counts from the last
    /// one; no other law is any laxer for it.
    Fault,
    /// Nothing is owed and nothing is under way; what Redis still holds beyond its constant keys.
    Idle {
        left_in_redis: Vec<String>,
    },
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    More,
    Wait(i64),
    Back,
}

/// What the history is held against. None switches a rule off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Leases that a tenant may have at once.
    pub(crate) cap: Option<usize>,
    /// A lease's life, in milliseconds: nobody is swept sooner after a renewal.
    pub(crate) lease: Option<i64>,
    /// A ticket that could be leased must not see more leases of its class go to others than this many per
    /// tenant of the history.
    pub(crate) turns: Option<usize>,
    /// In the quiet, a ticket that could be leased is, within this many milliseconds.
    pub(crate) wait: Option<i64>,
    /// From the last fault to idle, in milliseconds.
    pub(crate) idle_within: Option<i64>,
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) law: &'static str,
    pub(crate) what: String,
    /// Which event showed it.
    pub(crate) event: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (event {}): {}", self.law, self.event, self.what)
    }
}

/// The first law that a history breaks.
pub(crate) fn check(history: &[Event], rules: &Rules) -> Result<(), Violation> {
    let tenants: HashSet<TenantId> = history.iter().filter_map(|event| event.what.ticket()).map(|t| t.tenant).collect();
    let mut checker = Checker { rules: *rules, tenants: tenants.len(), ..Checker::default() };
    for (i, event) in history.iter().enumerate() {
        checker.event = i;
        checker.now = event.at;
        checker.see(&event.what)?;
    }
    checker.end()
}

impl What {
    const fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Owed { ticket, .. }
            | Self::Pushed { ticket }
            | Self::Leased { ticket, .. }
            | Self::Renewed { ticket, .. }
            | Self::Settled { ticket, .. }
            | Self::Swept { ticket, .. }
            | Self::Effect { ticket, .. } => Some(*ticket),
            _ => None,
        }
    }
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
            What::Leased { ticket, fence, crashes } => self.leased(*ticket, *fence, *crashes),
            What::Renewed { ticket, fence } => {
                if let Some(Place::Leased { fence: held, since, .. }) = self.place.get_mut(ticket)
                    && held == fence
                {
                    *since = self.now;
                }
                Ok(())
            }
            What::Settled { ticket, fence, end } => self.settled(*ticket, *fence, *end),
            What::Swept { ticket, fence } => self.swept(*ticket, *fence),
            What::Effect { ticket, page, fence } => self.effect(*ticket, *page, *fence),
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
                // A server that comes back with an older clock begins lower; Postgres' fences still hold.
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
            if let Some(page) = pages.iter().find(|page| done.is_none_or(|done| !done.contains_key(page))) {
                return self.broken("no work is lost", format!("page {page} of {ticket} was never written"));
            }
        }
        self.waited_too_long()?;
        let (Some(within), Some(_)) = (self.rules.idle_within, self.quiet_since) else { return Ok(()) };
        match self.idle_at {
            None => self.broken("idle in the end", "never idle".to_owned()),
            Some(idle) if idle - self.last_fault > within => {
                self.broken("idle in the end", format!("only after {} ms", idle - self.last_fault))
            }
            Some(_) => {
                let live = self.place.iter().find(|(_, place)| !matches!(place, Place::Nowhere));
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
                self.place.insert(ticket, Place::Leased { fence, since, again: true });
            }
        }
    }

    fn leased(&mut self, ticket: Ticket, fence: i64, crashes: u32) -> Result<(), Violation> {
        self.waited_too_long()?;
        let tenant = ticket.tenant;
        if let Place::Leased { fence: held, .. } = self.place(ticket) {
            return self.broken("one lease per ticket", format!("{ticket} is leased as {held} and as {fence}"));
        }
        if let Place::Ready { from } = self.place(ticket)
            && from > self.now
        {
            return self.broken("waits are honoured", format!("{ticket} was to wait {} ms more", from - self.now));
        }
        if let Some(before) = self.given.insert(ticket, fence)
            && before >= fence
        {
            return self.broken("fences grow", format!("{ticket} got {fence} after {before}"));
        }
        for scope in [PauseScope::Fleet, PauseScope::Class(ticket.class()), PauseScope::Tenant(tenant)] {
            if self.paused.contains(&scope) {
                return self.broken("pauses are honoured", format!("{ticket} was leased while {scope} is paused"));
            }
        }
        let counted = self.crashes.get(&ticket).copied().unwrap_or(0);
        if counted != crashes {
            return self.broken("deaths are counted", format!("{ticket} says {crashes}, it was swept {counted} times"));
        }
        let inflight = self.inflight.entry(tenant).or_default();
        *inflight += 1;
        let inflight = *inflight;
        if let Some(cap) = self.rules.cap
            && inflight > cap
        {
            return self.broken("caps are held", format!("{tenant} has {inflight} leases"));
        }
        self.place.insert(ticket, Place::Leased { fence, since: self.now, again: false });
        self.overtaken.remove(&ticket);
        self.overtake(ticket)
    }

    /// Everybody of the class who could have been served instead was overtaken.
    fn overtake(&mut self, by: Ticket) -> Result<(), Violation> {
        let Some(turns) = self.rules.turns else { return Ok(()) };
        let limit = turns * self.tenants.max(1) + turns;
        let waiting: Vec<Ticket> = self
            .place
            .iter()
            .filter(|(ticket, place)| {
                matches!(place, Place::Ready { from } if *from <= self.now) && ticket.class() == by.class()
            })
            .map(|(ticket, _)| *ticket)
            .filter(|ticket| ticket.tenant != by.tenant && self.could_be_leased(*ticket))
            // Those whose workers died twice are worked one at a time.
            .filter(|ticket| self.crashes.get(ticket).is_none_or(|crashes| *crashes < 2))
            .collect();
        for ticket in waiting {
            let overtaken = self.overtaken.entry(ticket).or_default();
            *overtaken += 1;
            if *overtaken > limit {
                let overtaken = *overtaken;
                return self.broken("waiting is bounded", format!("{ticket} was overtaken {overtaken} times"));
            }
        }
        Ok(())
    }

    fn settled(&mut self, ticket: Ticket, fence: i64, end: End) -> Result<(), Violation> {
        let Place::Leased { fence: held, again, .. } = self.place(ticket) else {
            return self.broken("only a lease settles", format!("{ticket} was settled by {fence}, and not leased"));
        };
        if held != fence {
            return self.broken("only a lease settles", format!("{ticket} is {held}'s and was settled by {fence}"));
        }
        self.release(ticket);
        if end != End::Back {
            self.crashes.remove(&ticket);
        }
        match end {
            End::Wait(wait) => self.make_ready(ticket, self.now + wait),
            End::Done if !again => {
                self.place.insert(ticket, Place::Nowhere);
            }
            _ => self.make_ready(ticket, self.now),
        }
        Ok(())
    }

    fn swept(&mut self, ticket: Ticket, fence: i64) -> Result<(), Violation> {
        let Place::Leased { fence: held, since, .. } = self.place(ticket) else {
            return self.broken("only a lease is swept", format!("{ticket} was not leased"));
        };
        if held != fence {
            return self.broken("only a lease is swept", format!("{ticket} is {held}'s, {fence} was swept"));
        }
        let renewed = self.now - since;
        if let Some(lease) = self.rules.lease
            && renewed < lease
        {
            return self
                .broken("the living keep their leases", format!("{ticket} was swept {renewed} ms after renewal"));
        }
        self.release(ticket);
        *self.crashes.entry(ticket).or_default() += 1;
        // Those who died with it start waiting anew.
        self.restart_waits();
        self.make_ready(ticket, self.now);
        Ok(())
    }

    fn effect(&mut self, ticket: Ticket, page: u64, fence: i64) -> Result<(), Violation> {
        let highest = self.highest.entry(ticket).or_default();
        if *highest > fence {
            let highest = *highest;
            return self
                .broken("no effect after a higher fence", format!("{ticket} page {page} by {fence} after {highest}"));
        }
        *highest = fence;
        if let Some(before) = self.effects.entry(ticket).or_default().insert(page, fence) {
            return self.broken("one effect per page", format!("{ticket} page {page} by {before} and by {fence}"));
        }
        Ok(())
    }

    /// In the quiet nobody who could be leased waits for long.
    fn waited_too_long(&mut self) -> Result<(), Violation> {
        let (Some(wait), Some(quiet)) = (self.rules.wait, self.quiet_since) else { return Ok(()) };
        let late = self.place.iter().find_map(|(ticket, place)| match place {
            Place::Ready { from } => {
                let waited = self.now - (*from).max(quiet);
                (waited > wait && self.could_be_leased(*ticket)).then_some((*ticket, waited))
            }
            _ => None,
        });
        let Some((ticket, waited)) = late else { return Ok(()) };
        self.broken("nobody is forgotten", format!("{ticket} has been ready for {waited} ms"))
    }

    fn could_be_leased(&self, ticket: Ticket) -> bool {
        let full = self.rules.cap.is_some_and(|cap| self.inflight.get(&ticket.tenant).is_some_and(|n| *n >= cap));
        !full
            && ![PauseScope::Fleet, PauseScope::Class(ticket.class()), PauseScope::Tenant(ticket.tenant)]
                .iter()
                .any(|scope| self.paused.contains(scope))
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
        // Its tenant has room again: its other tickets start waiting now.
        self.overtaken.retain(|waiting, _| waiting.tenant != ticket.tenant);
    }

    fn restart_waits(&mut self) {
        self.overtaken.clear();
        let now = self.now;
        for place in self.place.values_mut() {
            if let Place::Ready { from } = place {
                *from = (*from).max(now);
            }
        }
    }

    fn broken(&self, law: &'static str, what: String) -> Result<(), Violation> {
        Err(Violation { law, what, event: self.event })
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::{ConnectionId, Stream};

    use super::*;

    fn ticket(stream: Stream) -> Ticket {
        Ticket::new(TenantId(uuid::Uuid::nil()), ConnectionId(uuid::Uuid::nil()), stream)
    }

    fn law(history: &[(i64, What)], rules: &Rules) -> Option<&'static str> {
        let history: Vec<Event> = history.iter().map(|(at, what)| Event { at: *at, what: what.clone() }).collect();
        check(&history, rules).err().map(|violation| violation.law)
    }

    #[test]
    fn each_law_can_be_broken() {
        let a = ticket(Stream::Contacts);
        let b = ticket(Stream::Companies);
        assert_eq!(b.class(), Class::Fresh);
        let pushed = |ticket| What::Pushed { ticket };
        let leased = |ticket, fence| What::Leased { ticket, fence, crashes: 0 };
        let effect = |page, fence| What::Effect { ticket: a, page, fence };
        let settled = |fence, end| What::Settled { ticket: a, fence, end };
        let scope = PauseScope::Class(Class::Fresh);
        let cap = Rules { cap: Some(1), ..Rules::default() };
        let lease = Rules { lease: Some(6_000), ..Rules::default() };
        let quiet = Rules { wait: Some(100), idle_within: Some(1_000), ..Rules::default() };
        let idle = What::Idle { left_in_redis: Vec::new() };
        type Case = (Option<&'static str>, Vec<(i64, What)>, Rules);
        let cases: &[Case] = &[
            (None, vec![(0, pushed(a)), (0, leased(a, 1)), (1, effect(0, 1)), (2, settled(1, End::Done))], cap),
            (Some("no work is lost"), vec![(0, What::Owed { ticket: a, pages: 0..1 })], cap),
            (Some("one effect per page"), vec![(0, effect(0, 1)), (1, effect(0, 2))], cap),
            (Some("no effect after a higher fence"), vec![(0, effect(0, 2)), (1, effect(1, 1))], cap),
            (Some("one lease per ticket"), vec![(0, leased(a, 1)), (1, leased(a, 2))], Rules::default()),
            (Some("caps are held"), vec![(0, leased(a, 1)), (1, leased(b, 2))], cap),
            (Some("pauses are honoured"), vec![(0, What::Paused { scope }), (1, leased(a, 1))], cap),
            (None, vec![(0, What::Paused { scope }), (1, What::Resumed { scope }), (2, leased(a, 1))], cap),
            (Some("fences grow"), vec![(0, leased(a, 2)), (1, settled(2, End::More)), (2, leased(a, 2))], cap),
            (
                Some("waits are honoured"),
                vec![(0, leased(a, 1)), (1, settled(1, End::Wait(9))), (5, leased(a, 2))],
                cap,
            ),
            (Some("only a lease settles"), vec![(0, leased(a, 1)), (1, settled(2, End::Done))], cap),
            (
                Some("the living keep their leases"),
                vec![(0, leased(a, 1)), (5_999, What::Swept { ticket: a, fence: 1 })],
                lease,
            ),
            (
                Some("deaths are counted"),
                vec![(0, leased(a, 1)), (6_000, What::Swept { ticket: a, fence: 1 }), (6_001, leased(a, 2))],
                lease,
            ),
            (Some("nobody is forgotten"), vec![(0, What::Quiet), (1, pushed(a)), (200, leased(a, 1))], quiet),
            (Some("idle in the end"), vec![(0, What::Quiet)], quiet),
            (Some("idle in the end"), vec![(0, What::Quiet), (1_001, idle.clone())], quiet),
            (Some("idle in the end"), vec![(0, What::Quiet), (0, pushed(a)), (50, idle.clone())], quiet),
            (None, vec![(0, What::Quiet), (900, idle.clone())], quiet),
            (None, vec![(0, What::Quiet), (500, What::Fault), (1_400, idle.clone())], quiet),
            (Some("idle in the end"), vec![(0, What::Quiet), (500, What::Fault), (1_501, idle)], quiet),
            (
                Some("nobody is forgotten"),
                vec![(0, What::Quiet), (1, pushed(a)), (190, What::Fault), (200, leased(a, 1))],
                quiet,
            ),
            (
                Some("nothing is left at rest"),
                vec![(0, What::Idle { left_in_redis: vec!["inflight".to_owned()] })],
                cap,
            ),
        ];
        for (i, (expected, history, rules)) in cases.iter().enumerate() {
            assert_eq!(law(history, rules), *expected, "case {i}");
        }
    }

    #[test]
    fn waiting_is_bounded_by_turns() {
        let a = ticket(Stream::Contacts);
        let other = Ticket::new(TenantId(uuid::Uuid::max()), ConnectionId(uuid::Uuid::max()), Stream::Contacts);
        let mut history = vec![(0, What::Pushed { ticket: a })];
        for fence in 1..20 {
            history.push((fence, What::Leased { ticket: other, fence, crashes: 0 }));
            history.push((fence, What::Settled { ticket: other, fence, end: End::More }));
        }
        let rules = Rules { turns: Some(3), ..Rules::default() };
        assert_eq!(law(&history, &rules), Some("waiting is bounded"));
        assert_eq!(law(&history[..8], &rules), None);
    }
}
