//! Bounded waiting: which tickets wait, and which ones were overtaken.

use super::*;

impl Checker {
    /// Every tenant of the class that could have been served instead was overtaken.
    pub(super) fn overtake(&mut self, by: Ticket) -> Result<(), Violation> {
        let Some(turns) = self.rules.turns else {
            return Ok(());
        };
        let limit = turns * self.tenants.max(1) + turns;
        let waiting: Vec<Ticket> = self
            .place
            .iter()
            .filter(|(ticket, place)| {
                matches!(place, Place::Ready { from } if *from <= self.now)
                    && ticket.class() == by.class()
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
                return self.broken(
                    "waiting is bounded",
                    format!("{ticket} was overtaken {overtaken} times"),
                );
            }
        }
        Ok(())
    }

    /// In the quiet no ticket that could be leased waits for long.
    pub(super) fn waited_too_long(&mut self) -> Result<(), Violation> {
        let (Some(wait), Some(quiet)) = (self.rules.wait, self.quiet_since) else {
            return Ok(());
        };
        let late = self.place.iter().find_map(|(ticket, place)| match place {
            Place::Ready { from } => {
                let waited = self.now - (*from).max(quiet);
                (waited > wait && self.could_be_leased(*ticket)).then_some((*ticket, waited))
            }
            _ => None,
        });
        let Some((ticket, waited)) = late else {
            return Ok(());
        };
        self.broken(
            "nobody is forgotten",
            format!("{ticket} has been ready for {waited} ms"),
        )
    }

    pub(super) fn could_be_leased(&self, ticket: Ticket) -> bool {
        let full = self
            .rules
            .cap
            .is_some_and(|cap| self.inflight.get(&ticket.tenant).is_some_and(|n| *n >= cap));
        !full
            && ![
                PauseScope::Fleet,
                PauseScope::Class(ticket.class()),
                PauseScope::Tenant(ticket.tenant),
            ]
            .iter()
            .any(|scope| self.paused.contains(scope))
    }

    pub(super) fn restart_waits(&mut self) {
        self.overtaken.clear();
        let now = self.now;
        for place in self.place.values_mut() {
            if let Place::Ready { from } = place {
                *from = (*from).max(now);
            }
        }
    }
}
