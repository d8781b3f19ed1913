//! Connecting: the token exchange and `/me`. A hostile answer ends in a clean refusal, or in a workspace whose every
//! word can be stored.

use intercom_simulator::{Fault, WorkspaceSpec};
use shared::{domain::ConnectionId, sync::connect::ConnectError};

use super::{
    corpus::{self, Hostile},
    small,
};
use crate::support::{Case, World, raw};

/// Each entry once, in place of the operation's answer. Its fate says whether a workspace is connected.
async fn play(kind: &str, operation: &str, refused: impl Fn(&ConnectError) -> bool) {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 5,
            companies: 1,
            conversations: 1,
            ..small()
        })
        .await;
    for entry in corpus::of(kind) {
        let body = entry.with(&[
            ("$WORKSPACE", &case.workspace.id_code()),
            ("$TOKEN", &case.workspace.token()),
        ]);
        // A person waits and is asked to begin again, so nothing is tried twice.
        let fault = world
            .simulator
            .inject(Fault::new(raw(200, body)).operation(operation));
        let outcome = case.try_connect().await;
        assert!(case.hits(fault) > 0, "{kind}/{}", entry.name);
        case.clear_fault(fault);
        match (entry.fate.as_str(), outcome) {
            ("accepted", Ok(connection)) => assert_sound(&case, connection, &entry).await,
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
    // After all of it, an honest answer connects and syncs.
    case.reset_calls();
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.first_sync(0).await;
}

/// Every word of the connection can be stored and shown.
async fn assert_sound(case: &Case, connection: ConnectionId, entry: &Hostile) {
    let connection = case
        .world
        .store
        .connection(case.tenant, connection)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        connection.workspace_id,
        case.workspace.id_code(),
        "{}/{}",
        entry.kind,
        entry.name
    );
    assert!(
        !connection.workspace_name.is_empty() && connection.workspace_name.chars().count() <= 255
    );
    let name = connection.connected_by.unwrap_or_default();
    assert!(name.chars().count() <= 255);
    assert!(
        connection.timezone == "UTC"
            || connection.timezone == "Europe/Berlin"
            || entry.kind == "token"
    );
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
