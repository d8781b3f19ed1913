//! The story, from the browser's first click to the last part read back.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what it expects"
)]

mod architecture;
mod bad_input;
mod blocked;
mod complete;
mod connect;
mod crash;
mod disconnect;
mod first_sync;
mod floors;
mod hostile;
mod incremental;
mod operations;
mod pacing;
mod payloads;
mod properties;
mod queue;
mod rest;
mod tenancy;
mod world;
