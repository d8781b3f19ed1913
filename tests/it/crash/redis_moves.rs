//! A Redis that moves behind its address, and one that accepts and never answers. Nothing is restarted.

use std::time::Duration;

use intercom_simulator::WorkspaceSpec;
use servers::{Relay, Servers};

use crate::support::{Case, Fleet, World, own_servers, tell, tiny};

/// The fleet works again within this time once the new server is there.
const RECOVERY: Duration = Duration::from_secs(60);

/// A world whose Redis is behind a relay, with a fleet that has worked.
struct Relayed {
    relay: Relay,
    redis: Servers,
    world: World,
    first: Case,
    _fleet: Fleet,
}

impl Relayed {
    async fn new() -> Self {
        let redis = own_servers(&[]);
        let relay = Relay::start(&address(&redis)).unwrap();
        let url = relay.of_url(&redis.redis_url());
        let world = World::with(&[("REDIS_URL", &url)]).await;
        let fleet = world.fleet(2);
        let first = world.connect(tiny()).await;
        first.until_complete().await;
        Self {
            relay,
            redis,
            world,
            first,
            _fleet: fleet,
        }
    }

    async fn another(&self, seed: u64) -> Case {
        let spec = WorkspaceSpec { seed, ..tiny() };
        self.world.connect(spec).await
    }

    /// Another workspace is synced within the time, although it was connected while Redis was of no use.
    async fn assert_works(&self, second: &Case) {
        tokio::time::timeout(RECOVERY, second.until_complete())
            .await
            .expect("it works again within a minute");
        second.assert_exact().await;
        self.first.assert_exact().await;
    }
}

fn address(servers: &Servers) -> String {
    format!("127.0.0.1:{}", servers.redis().port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_moves_while_old_sockets_stay_open_is_followed() {
    let relayed = Relayed::new().await;
    let new = own_servers(&[]);
    // What a managed Redis does at a fail-over: the old server lives on, read-only, with its clients.
    let port = new.redis().port().to_string();
    tell::<()>(
        &relayed.redis.redis_url(),
        &["REPLICAOF", "127.0.0.1", &port],
    );
    let second = relayed.another(2).await;
    assert!(!second.status().await.complete, "nothing was synced");
    relayed.relay.point_at(&address(&new)).unwrap();
    relayed.assert_works(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_never_answers_is_left_for_one_that_does() {
    let relayed = Relayed::new().await;
    relayed.relay.freeze();
    let second = relayed.another(2).await;
    // Long enough that every part of the fleet waits for an answer.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!second.status().await.complete, "nothing was synced");
    assert!(relayed.world.queue.check_writable().await.is_err());
    // The old sockets never carry a byte again, and no end learns it.
    relayed.relay.abandon();
    relayed.assert_works(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_again_is_used_again() {
    let relayed = Relayed::new().await;
    relayed.relay.freeze();
    let second = relayed.another(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    relayed.relay.forward();
    relayed.assert_works(&second).await;

    relayed.relay.refuse();
    let third = relayed.another(3).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    relayed.relay.forward();
    relayed.assert_works(&third).await;
}
