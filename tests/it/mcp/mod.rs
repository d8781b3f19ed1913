//! Tools for models: the protocol, what each tool answers, how long answers are, and customers' text in them,
//! and whose tokens are taken beside keys.

mod budgets;
mod protocol;
mod questions;
mod searching;
mod sign_in;
mod tools;
mod untrusted;

use crate::{
    rest::synced,
    support::{Agent, Caller, Case, World},
};

/// The scopes of a key that reads everything.
const ALL: &[&str] = &["profiles:read", "conversations:read"];

/// A synced tenant, and a program that may read all of it.
async fn synced_agent() -> (World, Case, Caller, Agent) {
    let (world, case, caller) = synced().await;
    let agent = Agent::new(&caller, ALL).await;
    (world, case, caller, agent)
}
