//! A poll that finds nothing costs two calls, and hardly anything in Postgres.

use intercom_simulator::WorkspaceSpec;
use shared::domain::Stream;

use crate::{
    rest::search::index,
    support::{ExplainedServer, World},
};

/// Contacts and conversations.
const POLLED: &[Stream] = &[Stream::Contacts, Stream::Conversations];

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_poll_is_two_calls_and_five_statements() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world: World = server.world().await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 30,
            companies: 4,
            conversations: 20,
            parts: 2.0,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    // The first poll after the walks is not the one that counts.
    case.make_due(POLLED).await;
    case.until_not_due(Stream::ALL).await;
    // A worker indexes behind the commits.
    index(&case).await;
    case.reset_calls();
    server.forget().await;

    case.make_due(POLLED).await;
    case.until_not_due(POLLED).await;

    assert_eq!(case.all_calls(), 2);
    let statements: Vec<String> = server
        .plans()
        .await
        .into_iter()
        .map(|ran| ran.statement)
        .filter(|statement| !statement.contains("set_config"))
        // The scheduler asks once a tick for all tenants.
        .filter(|statement| !statement.contains("claim_due") && !statement.contains("SKIP LOCKED"))
        .filter(|statement| !statement.contains("claim_stale") && !statement.contains("pauses"))
        // And once a second whether an operator has asked for anything.
        .filter(|statement| !statement.contains("bulk_actions"))
        // The indexer asks once a second for all tenants.
        .filter(|statement| !statement.contains("unindexed_since IS NOT NULL"))
        .collect();
    // Two claims, the versions of a page of contacts, and two ends.
    assert!(statements.len() <= 5, "{statements:#?}");
    case.assert_exact().await;
}
