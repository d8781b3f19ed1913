//! After a disconnect nothing is written, and no token is left.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use reqwest::Method;

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

const WRITTEN: &str =
    "SELECT (SELECT count(*) FROM parts)::text, (SELECT count(*) FROM contact_sources WHERE connection_id = $1)::text";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_after_a_disconnect_in_mid_run() {
    let world = World::new().await;
    let base = world.api().await;
    let connected = world.connect(workspace()).await;
    // Half of the threads are stored, others under way.
    let held = Fault::new(FaultAction::Hold { after: 0 }).operation("get_conversation").skip(80);
    let held = world.simulator.inject(held);
    let _fleet = world.fleet(2);
    world
        .until(&connected, "some threads are held", |status| {
            status.threads.complete > 60 && status.threads.pending > 20
        })
        .await;

    let caller = Caller::service(&world, &base, Some(connected.tenant));
    let (status, _) = caller.call(Method::DELETE, &format!("/v1/connections/{}", connected.connection), None).await;
    assert_eq!(status, 202);
    let (written, calls) = (world.sql(WRITTEN, &connected).await, connected.workspace.ledger().total);
    // Their answers come now, and find the connection ended.
    world.simulator.clear_fault(held);
    world.until_slices(&connected, 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.sql(WRITTEN, &connected).await, written);
    assert_eq!(connected.workspace.ledger().total, calls, "only those finish that were under way");
    assert_eq!(world.sql("SELECT purpose, '' FROM connection_secrets WHERE connection_id = $1", &connected).await, []);
    // What was held stays readable, and asking again changes nothing.
    assert!(!caller.get("/v1/contacts").await["items"].as_array().unwrap().is_empty());
    assert_eq!(caller.call(Method::DELETE, &format!("/v1/connections/{}", connected.connection), None).await.0, 202);
    assert_eq!(caller.get(&format!("/v1/connections/{}", connected.connection)).await["state"], "disconnected");
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
    assert_eq!(world.sql(WRITTEN, &connected).await, [("0".to_owned(), "0".to_owned())]);
}
