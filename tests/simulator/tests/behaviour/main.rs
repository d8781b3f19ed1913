//! The hard behaviours of Intercom, as the simulator shows them over HTTP.

#[path = "../client/mod.rs"]
mod client;

mod companies;
mod contacts;
mod control;
mod conversations;
mod cursors;
mod faults;
mod oauth;
mod pipeline;
mod search;
mod truth;

use client::Client;
use intercom_simulator::{Options, Simulator, Workspace, WorkspaceSpec};

/// A simulator with one workspace.
async fn with(spec: WorkspaceSpec) -> (Simulator, Workspace, Client) {
    let simulator = Simulator::start(Options::default())
        .await
        .expect("a simulator");
    let workspace = simulator.add_workspace(WorkspaceSpec {
        limit_per_window: 1_000_000,
        ..spec
    });
    let client = Client::new(&simulator, &workspace);
    (simulator, workspace, client)
}

/// A small recipe.
fn small() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 60,
        companies: 30,
        conversations: 40,
        ..WorkspaceSpec::default()
    }
}
