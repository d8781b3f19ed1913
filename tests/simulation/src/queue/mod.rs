//! The queue in virtual time: its state machine, a fleet with every fault, and the laws of a history.

pub mod fleet;
pub mod history;
pub mod model;
#[cfg(test)]
mod proof;
