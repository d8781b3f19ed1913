//! A first sync brings everything, and only by reading.

use intercom_simulator::WorkspaceSpec;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_holds_everything() {
    shared::telemetry::start_logs("debug", false).unwrap();
    let world = World::new().await;
    let connected = world.connect(WorkspaceSpec { contacts: 400, companies: 150, conversations: 200, limit_per_window: 1_667, ..WorkspaceSpec::default() }).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    let ledger = world.simulator.ledger();
    println!("{:#?} {}", ledger.by_operation, ledger.total);
    assert_eq!(ledger.outside_read_list, 0);
}
