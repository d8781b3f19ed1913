//! The queue: tickets, leases, verdicts. The only place that names redis and apalis.
//!
//! Redis holds an index that can be rebuilt from Postgres, never the truth: a ticket names work that
//! a row of `streams` owes. Flush it, and the scheduler makes every ticket anew.
//!
//! | file          | what                                                                   |
//! |---------------|------------------------------------------------------------------------|
//! | `scripts/`    | what happens in Redis, each an atomic step (`lib.lua` lists the keys)    |
//! | `client.rs`   | [`Queue`]: what anybody may ask: push, pause, look                      |
//! | `exchange.rs` | the one call of a working worker: settle, sweep, promote, claim         |
//! | `slots.rs`    | the tasks of a worker process: the keeper, and what they share          |
//! | `exchanger.rs`, `listener.rs` | the task that makes the calls, the one that waits to be woken |
//! | `backend.rs`  | what apalis sees of them                                                |
//! | `fleet.rs`    | [`run`]: a worker process's share of the fleet                          |

mod backend;
mod client;
mod error;
mod exchange;
mod exchanger;
mod fleet;
mod lease;
mod listener;
mod pause;
mod progress;
mod scripts;
mod slots;
mod ticket;

pub use client::{Counts, Depth, Queue};
pub use error::QueueError;
pub use fleet::{Fleet, WorkerEnded, run};
pub use lease::Lease;
pub use pause::{PauseScope, UnknownScope};
pub use progress::Progress;
pub use ticket::{BadTicket, Ticket};
