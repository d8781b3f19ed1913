//! The library behind every role of Pathbound's Intercom sync. Modules are layers, and each may
//! know only those to its left:
//!
//! ```text
//!             ┌ intercom  their API ┐
//! domain  ←   ┤ store     SQL       ├  ←  sync  the decisions  ←  queue  tickets, jobs, verdicts
//!             └ vault     sealing   ┘
//! ```
//!
//! `intercom`, `store` and `vault` do not know each other. `profiles` derives what readers see from what `store` holds, by
//! the parsers of `intercom`. `sync` sees all three and does not know
//! that a queue exists: it returns "there is more", "wait until then", "done". `pacing` is the
//! fleet's rate budget that `intercom` spends from. Only `queue` names apalis, only it, `pacing` and the
//! `link` of both name redis, only `pacing` names governor, only `store` names sqlx, only `egress`, `intercom` and `authorization`
//! name reqwest, only `authorization` names jsonwebtoken, only `vault` names ring; `tests/it/architecture.rs` holds us to it.

pub mod authorization;
pub mod autoscale;
pub mod backoff;
pub mod completeness;
pub mod config;
pub mod domain;
pub mod egress;
pub mod intercom;
mod link;
pub mod pacing;
pub mod profiles;
pub mod pulse;
pub mod queue;
pub mod search;
pub mod shutdown;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod text;
pub mod tls;
pub mod vault;
