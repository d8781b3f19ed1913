//! Everything behind the `pathbound` binary, as a library so that tests and benchmarks can use it.
//!
//! - [`cli`] is the whole command line, and [`commands`] has one file per command.
//! - [`roles`] runs the API, the scheduler and the worker, alone or together, with the ops listener.
//! - `demo` is the whole product in one process, against a simulated Intercom.
//! - `exact` compares a copy with the simulator's truth, field by field.
//! - [`process`] is what `main` runs.
//! - [`api_client`] and [`ops_client`] make calls, [`output`] prints, [`outputs`] describes what is printed, and [`failure`] has the exit codes.
//!
//! `demo` and `exact` need the feature `demo`, which a release image does not enable.

pub mod api_client;
pub mod cli;
pub mod commands;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod exact;
pub mod failure;
mod names;
pub mod ops_client;
pub mod output;
pub mod outputs;
pub mod process;
pub mod roles;
mod schema_gate;
