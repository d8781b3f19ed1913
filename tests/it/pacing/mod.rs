//! Pacing with real processes and a real Redis. The simulated fleet is in `tests/simulation`.

mod app_bucket;
mod breaker;
mod conformance;
mod processes;
