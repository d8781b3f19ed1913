//! A ticket that a worker has leased.

use super::Ticket;

/// The right to work on a ticket, until it is settled or its worker stops renewing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub ticket: Ticket,
    /// Grows with every lease. Postgres refuses the writes of a lower fence.
    pub fence: i64,
    /// How many leases of this ticket in a row ran out, most likely because its slice killed the worker.
    /// Any settled slice resets it to 0. From 3 on the worker should quarantine the work in Postgres.
    pub crashes: u32,
}
