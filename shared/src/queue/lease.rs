//! A ticket in hand.

use super::Ticket;

/// The right to work on a ticket, until it is settled or its worker stops renewing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub ticket: Ticket,
    /// Grows with every lease. Postgres refuses the writes of a lower one.
    pub fence: i64,
    /// How many workers in a row let their lease of this ticket run out, most likely since they died of it.
    /// Any settled slice sets it back to 0. From 3 on the worker should quarantine the work in Postgres.
    pub crashes: u32,
}
