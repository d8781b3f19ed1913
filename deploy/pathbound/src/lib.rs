//! Everything behind the `pathbound` binary, as a library so that tests and benchmarks can use it.
//!
//! - [`cli`]: the command line, all of it on one screen; [`commands`]: one file per command;
//! - [`roles`]: runs the API, the scheduler and the worker, alone or together, with the ops listener;
//! - `demo`: the whole product in one process, against a simulated Intercom;
//! - `exact`: compares a copy with the simulator's truth, field by field;
//! - [`rest`], [`ops`], [`output`], [`failure`]: calling the API and the ops listener, printing, and exit codes.
//!
//! `demo` and `exact` need the feature `demo`, which a release image does not enable.

pub mod cli;
pub mod commands;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod exact;
pub mod failure;
pub mod ops;
pub mod output;
pub mod rest;
pub mod roles;
