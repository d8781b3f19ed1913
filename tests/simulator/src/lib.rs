//! A strict, stateful Intercom for tests, demos and benchmarks.
//!
//! It speaks the real API over HTTP/1.1 on a loopback port: OAuth, every read that a sync
//! needs, and everything that makes syncing hard (day-truncated contact search, keyset
//! cursors that drift, one company scroll per workspace, the 500-part cap, rate windows,
//! merges, version-dependent shapes). Data is generated from a seed, so that the same
//! [`WorkspaceSpec`] always gives the same workspace, and [`Workspace::truth`] says exactly
//! what a complete copy must hold.
//!
//! ```no_run
//! # async fn demo() -> Result<(), intercom_simulator::StartError> {
//! use intercom_simulator::{Kind, Mutation, Options, Simulator, WorkspaceSpec};
//!
//! let intercom = Simulator::start(Options::default()).await?;
//! let acme = intercom.add_workspace(WorkspaceSpec { contacts: 500, ..WorkspaceSpec::default() });
//! println!("{} with token {}", intercom.url(), acme.token());
//! acme.mutate(Mutation::update(Kind::Contact, 10));
//! # Ok(()) }
//! ```
//!
//! Where to look: `simulator.rs` and `workspace.rs` are the handles. A request goes through
//! `server.rs` → `pipeline.rs` (token, rate window, faults) → `api/` (one file per resource)
//! → `store/`. `generate/` makes the data and `mutate/` changes it.

mod api;
mod auth;
mod clock;
mod control;
mod cursor;
mod errors;
mod faults;
mod generate;
mod ledger;
mod model;
mod mutate;
mod oauth;
mod options;
mod pages;
mod pipeline;
mod rate;
mod reply;
mod routes;
mod search;
mod selfbench;
mod server;
mod simulator;
mod spec;
mod store;
mod truth;
mod versions;
mod workspace;

pub use auth::TokenState;
pub use clock::Clock;
pub use faults::{Fault, FaultAction, FaultId, Garble};
pub use ledger::{Ledger, LedgerRow, READ_ONCE};
pub use mutate::{Change, Mutation};
pub use options::{Latency, Options, StartError};
pub use selfbench::{SelfBench, self_bench};
pub use simulator::Simulator;
pub use spec::{MissingScope, Scope, ScrollEnd, SortByCreation, SpecError, WorkspaceSpec};
pub use store::Kind;
pub use truth::TruthLine;
pub use workspace::Workspace;
