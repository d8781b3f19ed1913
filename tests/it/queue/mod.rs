//! The queue, proven: its state machine as a model, the model against the real scripts, a simulated fleet on
//! the model with every fault, and the real fleet on a real Redis.

mod conformance;
mod cost;
mod history;
mod live;
mod model;
mod proof;
mod simulation;
