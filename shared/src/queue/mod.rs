//! The queue: tickets, leases, verdicts. The only place that names redis and apalis.
//!
//! Redis holds an index that can be rebuilt from Postgres, never the truth: a ticket names work that
//! a row of `streams` owes. Flush it, and the scheduler makes every ticket anew.

mod backend;
mod client;
mod error;
mod fleet;
mod lease;
mod ticket;
mod verdict;

pub use client::{Depth, Queue};
pub use error::QueueError;
pub use fleet::{Fleet, WorkerEnded, run};
pub use lease::Lease;
pub use ticket::{BadTicket, Ticket};
pub use verdict::Verdict;
