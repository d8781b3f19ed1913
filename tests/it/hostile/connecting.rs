//! Connecting: the token exchange and `/me`. A hostile answer ends in a clean refusal, or in a workspace whose every
//! word can be stored.

use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use shared::{
    domain::{Region, TenantId},
    sync::connect::ConnectError,
};

use super::corpus;
use crate::world::World;

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 5,
        companies: 1,
        conversations: 1,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Each entry once, in place of the operation's answer; then whether a workspace was connected.
async fn play(kind: &str, operation: &str, refused: impl Fn(&ConnectError) -> bool) {
    let world = World::new().await;
    let workspace = world.simulator.add_workspace(spec());
    let tenant = world.store.create_tenant("Acme").await.unwrap().id;
    for entry in corpus::of(kind) {
        let body = entry.with(&[
            ("$WORKSPACE", &workspace.id_code()),
            ("$TOKEN", &workspace.token()),
        ]);
        let raw = FaultAction::Raw {
            status: 200,
            body,
            headers: Vec::new(),
        };
        // A person waits, and is asked to begin again: nothing is tried twice.
        let fault = world.simulator.inject(Fault::new(raw).operation(operation));
        let outcome = world
            .try_connect(tenant, &workspace, Region::Us, "2.16")
            .await;
        assert!(
            world.simulator.fault_hits(fault) > 0,
            "{kind}/{}",
            entry.name
        );
        world.simulator.clear_fault(fault);
        match (entry.fate.as_str(), outcome) {
            ("accepted", Ok(connected)) => {
                let connection = world
                    .store
                    .connection(tenant, connected.connection)
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(
                    connection.workspace_id,
                    workspace.id_code(),
                    "{kind}/{}",
                    entry.name
                );
                assert!(
                    !connection.workspace_name.is_empty()
                        && connection.workspace_name.chars().count() <= 255
                );
                assert!(
                    connection.timezone == "UTC"
                        || connection.timezone == "Europe/Berlin"
                        || kind == "token"
                );
            }
            ("refused", Err(error)) => {
                assert!(refused(&error), "{kind}/{}: {error:?}", entry.name);
                assert!(
                    error.to_string().len() < 200 && format!("{error:?}").len() < 1000,
                    "{kind}/{}",
                    entry.name
                );
            }
            (fate, outcome) => panic!("{kind}/{}: should be {fate}, is {outcome:?}", entry.name),
        }
    }
    syncs(&world, tenant, &workspace).await;
}

/// After all of it, an honest answer connects and syncs.
async fn syncs(world: &World, tenant: TenantId, workspace: &intercom_simulator::Workspace) {
    workspace.ledger().reset();
    let connected = world.connect_as(tenant, workspace).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    connected.within_first(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_me_is_refused_or_makes_a_sound_connection() {
    play("me", "me", |error| {
        matches!(error, ConnectError::Unavailable(_))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_token_answer_is_refused_or_holds_a_token() {
    play("token", "exchange_token", |error| {
        matches!(
            error,
            ConnectError::Unavailable(_) | ConnectError::ExchangeFailed(_)
        )
    })
    .await;
}
