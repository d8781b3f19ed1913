//! Tests against the real programs: what callers of the library rely on, then
//! the command line, then what is left when the owner is ended without warning.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod lifecycle;
mod nothing_left;
mod support;
