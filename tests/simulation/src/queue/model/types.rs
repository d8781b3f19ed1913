//! What goes into the model and comes out of it, and the faults that it can be given.

use shared::{
    domain::{ConnectionId, Stream, TenantId},
    queue::Ticket,
};

/// A ticket in the order of its text, which breaks ties in sorted sets.
pub type Key = (&'static str, TenantId, ConnectionId, &'static str);

pub fn key(ticket: Ticket) -> Key {
    (
        ticket.class().as_str(),
        ticket.tenant,
        ticket.connection,
        ticket.stream.as_str(),
    )
}

pub fn ticket((_, tenant, connection, stream): Key) -> Ticket {
    let stream = *Stream::ALL
        .iter()
        .find(|known| known.as_str() == stream)
        .unwrap();
    Ticket::new(tenant, connection, stream)
}

/// One deliberate fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bug {
    #[default]
    None,
    /// `settle` takes any fence for the lease's own.
    SettleIgnoresFence,
    /// `reap` puts the ticket back and leaves its lease.
    ReapKeepsLease,
    /// `reap` does not count the death.
    ReapForgetsCrash,
    /// `push` makes a ticket ready that is live already.
    PushDoubles,
    /// `push` of a leased ticket leaves no mark.
    AgainLost,
    /// `push` of a parked ticket readies it.
    PushUnparks,
    /// A paused tenant is let into the ring.
    EnterIgnoresPause,
    /// `claim` does not move the virtual time on.
    VtimeStands,
    /// `claim` does not look at the cap.
    CapIgnored,
    /// The end of a lease does not bring its tenant below the cap.
    CapNotGivenBack,
    /// A tenant that is below its cap again does not come back into the ring.
    UncapForgotten,
    /// A parked ticket becomes ready, and its tenant does not come into the ring.
    PromoteForgetsRing,
    /// `renew` says yes and does nothing.
    RenewDoesNothing,
    /// A ticket handed back is dropped.
    ReleaseDrops,
    /// The server's clock is believed when it runs back.
    ClockBelieved,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leased {
    pub fence: i64,
    pub again: bool,
    pub finish: f64,
    pub since: i64,
    pub crashes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    Ready,
    Leased(Leased),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub since: i64,
    pub crashes: u32,
    pub ticket: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Requeue,
    Snooze(i64),
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub ticket: Key,
    pub fence: i64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    pub limit: usize,
    pub fresh_limit: usize,
    pub backfill_limit: usize,
    pub suspects: u32,
    pub pass_on: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub ticket: Key,
    pub fence: i64,
    pub crashes: u32,
    pub waited: i64,
}

#[derive(Clone, Debug, Default)]
pub struct PollReply {
    pub next_parked: Option<i64>,
    pub reaped: Vec<(Key, i64)>,
    pub settled: Vec<bool>,
    pub claimed: Vec<Claimed>,
    pub refused: Vec<&'static str>,
}
