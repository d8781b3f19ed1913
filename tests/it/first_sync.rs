//! A first sync brings everything, within the calls that it needs, and only by reading.

use intercom_simulator::{ScrollEnd, WorkspaceSpec};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_is_exact_and_costs_the_floor() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 700,
            companies: 250,
            conversations: 400,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(2);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;

    let truth = connected.workspace.truth();
    let with_parts = truth
        .iter()
        .filter(|line| !line.deleted)
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.object.get()).ok())
        // A stub that counts no parts needs no call; one that does not count at all does.
        .filter(|object| {
            object["type"] == "conversation"
                && object["statistics"]["count_conversation_parts"] != 0
        })
        .count() as u64;
    let ledger = connected.workspace.ledger();
    // Pages of 150 contacts, 100 companies and the empty page that ends the scroll, pages of 150 stubs, a call a thread.
    assert_eq!(ledger.calls("list_contacts"), 5);
    assert_eq!(ledger.calls("scroll_companies"), 4);
    assert_eq!(ledger.calls("search_conversations"), 3);
    assert_eq!(ledger.calls("get_conversation"), with_parts);
    assert_eq!(ledger.throttled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_empty_workspaces_are_complete() {
    let world = World::new().await;
    let _fleet = world.fleet(1);
    let empty = WorkspaceSpec {
        contacts: 0,
        companies: 0,
        conversations: 0,
        merged_contacts: 0,
        deleted_contacts: 0,
        archived_contacts: 0,
        deleted_conversations: 0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    };
    for (seed, spec) in [
        empty.clone(),
        WorkspaceSpec {
            contacts: 150,
            companies: 100,
            conversations: 150,
            ..empty.clone()
        },
        WorkspaceSpec {
            contacts: 1,
            companies: 1,
            conversations: 1,
            region: "EU".to_owned(),
            timezone: "Europe/Dublin".to_owned(),
            ..empty
        },
    ]
    .into_iter()
    .enumerate()
    {
        let connected = world
            .connect(WorkspaceSpec {
                seed: seed as u64 + 1,
                ..spec
            })
            .await;
        world.until_complete(&connected).await;
        world.assert_exact(&connected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_that_ends_with_404_is_told_from_a_dead_one() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 30,
            companies: 130,
            conversations: 5,
            scroll_end: ScrollEnd::NotFound,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // Two pages and the 404, twice: the end is believed when it is met at the same place again.
    assert_eq!(connected.workspace.ledger().calls("scroll_companies"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_rate_limit_is_kept_and_the_copy_is_exact() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 10,
            companies: 5,
            conversations: 30,
            limit_per_window: 20,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    assert_eq!(connected.workspace.ledger().throttled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_beyond_500_parts_are_truncated_and_say_so() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 10,
            companies: 2,
            conversations: 6,
            conversations_over_500: 2,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    assert_eq!(world.status(&connected).await.threads.truncated, 2);
    world.assert_exact(&connected).await;
}
