//! Killed at any instant, exact afterwards.

use std::time::Duration;

use intercom_simulator::{Latency, WorkspaceSpec};

use crate::world::World;

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 450,
        companies: 120,
        conversations: 300,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_mid_run_loses_and_doubles_nothing() {
    let world = World::new().await;
    world.simulator.set_latency(Latency::Fixed(15));
    let connected = world.connect(workspace()).await;
    let _scheduler = world.process("scheduler");
    let mut victim = world.process("worker");
    // In the middle of the threads: some are stored, some under way, most not begun.
    world
        .until(&connected, "some threads are held", |status| {
            status.threads.complete > 100 && status.threads.pending > 30
        })
        .await;
    victim.kill();
    assert!(!world.status(&connected).await.complete);

    let _heir = world.process("worker");
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_in_mid_run_and_restarted_empty_loses_nothing() {
    // Its own servers: the other worlds' Redis must not die with this one's.
    let servers = servers::Servers::start(servers::Options::default()).unwrap();
    let world = World::with(&[("REDIS_URL", &servers.redis_url())]).await;
    world.simulator.set_latency(Latency::Fixed(15));
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(2);
    world
        .until(&connected, "some threads are held", |status| {
            status.threads.complete > 100 && status.threads.pending > 30
        })
        .await;
    servers.redis().kill9().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!world.status(&connected).await.complete);
    servers.redis().start().unwrap();

    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}
