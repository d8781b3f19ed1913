//! Pacing with real processes and a real Redis. The simulated fleet is in `tests/simulation`.

mod breaker;
mod conformance;
mod processes;
mod scope;
