//! After a disconnect nothing is written, and no token is left.

use std::time::Duration;

use intercom_simulator::{Latency, WorkspaceSpec};
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
    world.simulator.set_latency(Latency::Fixed(20));
    let base = world.api().await;
    let connected = world.connect(workspace()).await;
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
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.sql(WRITTEN, &connected).await, written);
    let under_way = connected.workspace.ledger().total - calls;
    assert!(
        under_way <= world.config.threads_per_slice as u64,
        "only the calls of a slice in flight finish: {under_way}"
    );
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
