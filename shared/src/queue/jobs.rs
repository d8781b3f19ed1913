//! Tickets as operators list them.

use std::time::Duration;

use super::{Queue, QueueError, Ticket, client::BATCH_SIZE};
use crate::domain::TenantId;

/// What a live ticket waits for, or that a worker has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketState {
    Ready,
    Leased,
    Parked,
}

impl TicketState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Parked => "parked",
        }
    }

    fn named(text: &str) -> Option<Self> {
        [Self::Ready, Self::Leased, Self::Parked]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A live ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveTicket {
    pub ticket: Ticket,
    pub state: TicketState,
    /// How long ago it became ready. `None` for a parked one, and for one that is not the next of its tenant.
    pub ready_for: Option<Duration>,
    /// Until its lease ends, or until it becomes ready. `None` for a ready one.
    pub left: Option<Duration>,
    /// The fence of its lease.
    pub fence: Option<i64>,
    /// How many leases in a row expired.
    pub crashes: Option<u32>,
    /// Ready tickets of the tenant behind this one.
    pub behind: Option<u64>,
}

/// What the script answers for one ticket. -1 stands for what is not known.
type Reply = (String, String, i64, i64, i64, i64, i64);

impl Queue {
    /// Tickets in a state, from a rank on. Ready ones are the next of each tenant, in the order in which they are served.
    /// Leased ones come by the end of their lease, and parked ones by the time at which they become ready.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn tickets(
        &self,
        state: TicketState,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<LiveTicket>, QueueError> {
        let arguments = [
            state.as_str().to_owned(),
            offset.to_string(),
            limit.to_string(),
        ];
        self.live_tickets(&arguments).await
    }

    /// Those of these tickets that are live.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn find_tickets(&self, tickets: &[Ticket]) -> Result<Vec<LiveTicket>, QueueError> {
        let mut found = Vec::new();
        for batch in tickets.chunks(BATCH_SIZE) {
            let mut arguments = vec!["named".to_owned()];
            arguments.extend(batch.iter().map(Ticket::to_string));
            found.extend(self.live_tickets(&arguments).await?);
        }
        Ok(found)
    }

    /// How many leases each of these tenants has.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn leases_of(&self, tenants: &[TenantId]) -> Result<Vec<u64>, QueueError> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let counts: Vec<Option<u64>> = self
            .timed("leases_of", |mut redis| async move {
                let mut call = redis::cmd("HMGET");
                call.arg(format!("{}:inflight", self.prefix()));
                for tenant in tenants {
                    call.arg(tenant.to_string());
                }
                call.query_async(&mut redis).await
            })
            .await?;
        Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
    }

    async fn live_tickets(&self, arguments: &[String]) -> Result<Vec<LiveTicket>, QueueError> {
        let replies: Vec<Reply> = self
            .timed("jobs", |mut redis| async move {
                let mut call = self.scripts().jobs.key(self.prefix());
                for argument in arguments {
                    call.arg(argument);
                }
                call.invoke_async(&mut redis).await
            })
            .await?;
        // What another client has put there is no ticket.
        Ok(replies.into_iter().filter_map(live).collect())
    }
}

fn live((text, state, ready_for, left, fence, crashes, behind): Reply) -> Option<LiveTicket> {
    let duration = |milliseconds: i64| u64::try_from(milliseconds).ok().map(Duration::from_millis);
    Some(LiveTicket {
        ticket: text.parse().ok()?,
        state: TicketState::named(&state)?,
        ready_for: duration(ready_for),
        left: duration(left),
        fence: (fence >= 0).then_some(fence),
        crashes: u32::try_from(crashes).ok(),
        behind: u64::try_from(behind).ok(),
    })
}
