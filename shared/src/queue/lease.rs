//! A ticket in hand.

use super::Ticket;

/// The right to work on a ticket, until it is settled or its worker stops renewing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub ticket: Ticket,
    /// Grows with every lease. Postgres refuses the writes of a lower one.
    pub fence: i64,
}
