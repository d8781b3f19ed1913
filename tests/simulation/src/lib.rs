//! Simulations in virtual time. Each run comes from one seed, and no run needs a server.
//!
//! [`queue`] holds the model of the queue, a fleet that runs on the model, and the checker of histories. [`pacing`]
//! holds a fleet that shares rate limits through the ledger scripts, which run in an embedded Lua.
//! The integration tests hold the model against the Lua scripts, and they check real histories with the same checker.

#![expect(
    clippy::unwrap_used,
    reason = "a simulation stops at the first surprise"
)]

pub mod pacing;
pub mod queue;
pub mod rng;
