#![doc = include_str!("README.md")]

mod backend;
mod client;
mod dispatcher;
mod error;
mod fleet;
mod fleet_workers;
mod heartbeat;
mod jobs;
mod lease;
mod lease_table;
mod listener;
mod minutes;
mod pause;
mod poll;
pub mod scripts;
mod server_facts;
mod settle;
mod slots;
mod stats;
mod tasks;
mod ticket;
mod worker;

pub use client::Queue;
pub use error::QueueError;
pub use fleet::{Fleet, SliceEnd};
pub use fleet_workers::{FleetWorker, WorkerReport};
pub use heartbeat::Heartbeat;
pub use jobs::{LiveTicket, TicketState};
pub use lease::Lease;
pub use minutes::Minute;
pub use pause::{PauseScope, UnknownScope};
pub use server_facts::RedisFacts;
pub use slots::Slots;
pub use stats::{QueueStats, TicketCounts};
pub use ticket::{BadTicket, Ticket};
pub use worker::{WorkerEnded, run};
