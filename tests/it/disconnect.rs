//! After a disconnect nothing is written, and no token is left.

use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use reqwest::Method;
use shared::domain::Stream;

use crate::{rest::Caller, world::World};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 60,
        companies: 20,
        conversations: 200,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

const WRITTEN: &str = "SELECT (SELECT count(*) FROM parts)::text, (SELECT count(*) FROM contact_sources WHERE connection_id = $1)::text";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_after_a_disconnect_in_mid_run() {
    let world = World::with(&[("CONVERSATION_CONCURRENCY", "10")]).await;
    let base = world.api().await;
    let connected = world.connect(workspace()).await;
    // Some of a slice's threads are stored, others under way, and most are not asked for yet.
    let held = Fault::new(FaultAction::Hold { after: 0 })
        .operation("get_conversation")
        .skip(20);
    let held = world.simulator.inject(held);
    let _fleet = world.fleet(2);
    world
        .until(&connected, "some threads are held", |status| {
            let parts = status
                .streams
                .iter()
                .find(|of| of.stream == Stream::Threads)
                .map_or(0, |of| of.held);
            world.simulator.fault_hits(held) == 10 && parts > 0 && status.threads.pending > 60
        })
        .await;

    let caller = Caller::service(&world, &base, Some(connected.tenant));
    let (status, _) = caller
        .call(
            Method::DELETE,
            &format!("/v1/connections/{}", connected.connection),
            None,
        )
        .await;
    assert_eq!(status, 202);
    let (written, calls) = (
        world.sql(WRITTEN, &connected).await,
        connected.workspace.ledger().total,
    );
    // Their answers come now, and find the connection ended.
    world.simulator.clear_fault(held);
    world.until_slices(&connected, 0).await;
    assert_eq!(world.sql(WRITTEN, &connected).await, written);
    assert_eq!(
        connected.workspace.ledger().total,
        calls,
        "only those finish that were under way"
    );
    assert_eq!(
        world
            .sql(
                "SELECT purpose, '' FROM connection_secrets WHERE connection_id = $1",
                &connected
            )
            .await,
        []
    );
    // What was held stays readable, and asking again changes nothing.
    assert!(
        !caller.get("/v1/contacts").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        caller
            .call(
                Method::DELETE,
                &format!("/v1/connections/{}", connected.connection),
                None
            )
            .await
            .0,
        202
    );
    assert_eq!(
        caller
            .get(&format!("/v1/connections/{}", connected.connection))
            .await["state"],
        "disconnected"
    );
}

/// A page of contacts asks for the companies of each, one after the other, before anything is stored.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_begins_after_a_disconnect_in_mid_page() {
    let world = World::new().await;
    let base = world.api().await;
    let spec = WorkspaceSpec {
        contacts_over_10_companies: 1.0,
        conversations: 0,
        ..workspace()
    };
    let workspace = world.simulator.add_workspace(spec);
    let held = Fault::new(FaultAction::Hold { after: 0 })
        .operation("contact_companies")
        .skip(5);
    let held = world.simulator.inject(held);
    let tenant = world.store.create_tenant("Acme").await.unwrap().id;
    let connected = world.connect_as(tenant, &workspace).await;
    let _fleet = world.fleet(1);
    world
        .until(&connected, "a page is being read", |_| {
            world.simulator.fault_hits(held) > 0
        })
        .await;

    let caller = Caller::service(&world, &base, Some(connected.tenant));
    let (status, _) = caller
        .call(
            Method::DELETE,
            &format!("/v1/connections/{}", connected.connection),
            None,
        )
        .await;
    assert_eq!(status, 202);
    let calls = connected.workspace.ledger().total;
    // The sixth of sixty gets its answer now.
    world.simulator.clear_fault(held);
    world.until_slices(&connected, 0).await;
    assert_eq!(connected.workspace.ledger().total, calls);
    assert_eq!(
        world.sql(WRITTEN, &connected).await,
        [("0".to_owned(), "0".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_leaves_no_row() {
    let world = World::new().await;
    let base = world.api().await;
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    let caller = Caller::service(&world, &base, Some(connected.tenant));
    let path = format!("/v1/connections/{}?data=purge", connected.connection);
    assert_eq!(caller.call(Method::DELETE, &path, None).await.0, 202);
    for table in ["contacts", "companies", "conversations"] {
        assert_eq!(
            caller.get(&format!("/v1/{table}?include=deleted")).await["items"],
            serde_json::json!([]),
            "{table}"
        );
    }
    assert_eq!(
        world.sql(WRITTEN, &connected).await,
        [("0".to_owned(), "0".to_owned())]
    );
}
