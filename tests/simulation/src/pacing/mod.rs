//! The rate ledger in virtual time: the product's state machine in each process, the product's Lua script in an
//! embedded Lua, and every fault.

mod bucket;
mod fleet;
mod redis;
#[cfg(test)]
mod tests;

pub use bucket::Counted;
pub use fleet::{Outcome, Policy, Scene, run, run_on};
pub use redis::{EmbeddedRedis, Redis};
