//! The queue, proven: its state machine as a model, the model against the real scripts, a simulated fleet on
//! the model with every fault, and the real fleet on a real Redis.

mod conformance;
mod cost;
mod history;
mod live;
mod model;
mod proof;
mod rng;
mod simulation;

/// The seeds that a test runs: as many as the variable says, or from it on as `FROM..TO`.
fn seeds(variable: &str, default: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var(variable) else { return 0..default };
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}
