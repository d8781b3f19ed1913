//! On a Redis Cluster: the queue on one node, the rate budgets on all of them.

use std::time::{Duration, Instant};

use intercom_simulator::WorkspaceSpec;
use redis::Connection;
use servers::Redis;
use shared::{
    domain::{Stream, Verdict},
    queue::{Lease, PauseScope, Queue},
};

use super::worker::{Worker, heard, own_redis, push_until_heard, ticket};
use crate::support::{PATIENCE, World, tell, wait_for};

/// Two nodes with half of the slots each.
async fn cluster() -> [Redis; 2] {
    let nodes = [(); 2].map(|()| own_redis(&["--cluster-enabled", "yes"]));
    let mut redis: Vec<Connection> = nodes
        .iter()
        .map(|node| {
            redis::Client::open(node.url())
                .unwrap()
                .get_connection()
                .unwrap()
        })
        .collect();
    for (node, (first, last)) in redis.iter_mut().zip([(0, 8_191), (8_192, 16_383)]) {
        let _: () = redis::cmd("CLUSTER")
            .arg("ADDSLOTSRANGE")
            .arg(first)
            .arg(last)
            .query(node)
            .unwrap();
    }
    let address: redis::ConnectionInfo =
        redis::IntoConnectionInfo::into_connection_info(nodes[1].url()).unwrap();
    let redis::ConnectionAddr::Tcp(host, port) = address.addr() else {
        panic!("a port")
    };
    let _: () = redis::cmd("CLUSTER")
        .arg("MEET")
        .arg(host)
        .arg(*port)
        .query(&mut redis[0])
        .unwrap();
    let begun = Instant::now();
    while redis.iter_mut().any(|node| {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(node).unwrap();
        !info.contains("cluster_state:ok") || !info.contains("cluster_slots_assigned:16384")
    }) {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_a_cluster() {
    let nodes = cluster().await;
    // A name whose slot the other node has.
    let mut redis = redis::Client::open(nodes[0].url())
        .unwrap()
        .get_connection()
        .unwrap();
    let prefix = (0..)
        .map(|n| format!("cluster{n}"))
        .find(|name| {
            redis::cmd("CLUSTER")
                .arg("KEYSLOT")
                .arg(name)
                .query::<u16>(&mut redis)
                .unwrap()
                > 8_191
        })
        .unwrap();
    let url = nodes[0].url();
    let world = World::with(&[
        ("REDIS_URL", &url),
        ("REDIS_PREFIX", &prefix),
        ("REDIS_CLUSTER", "true"),
    ])
    .await;
    assert_queue_works(&world).await;

    // The whole fleet: its budgets lie on both nodes, its queue on the one that was not named.
    let _fleet = world.fleet(1);
    let spec = |seed| WorkspaceSpec {
        seed,
        contacts: 20,
        companies: 2,
        conversations: 5,
        ..WorkspaceSpec::default()
    };
    let mut keys = [(); 2].map(|()| Vec::<String>::new());
    for seed in 0..6 {
        let case = world.connect(spec(seed)).await;
        case.until_complete().await;
        case.assert_exact().await;
        // They are read after each sync, because a budget's keys expire a minute after its last call.
        for (node, keys) in nodes.iter().zip(&mut keys) {
            keys.extend(tell::<Vec<String>>(&node.url(), &["KEYS", "*"]));
        }
    }
    assert!(
        keys[1]
            .iter()
            .any(|key| key.starts_with(&format!("{prefix}:{{{prefix}}}"))),
        "{keys:?}"
    );
    assert!(
        keys.iter()
            .all(|keys| keys.iter().any(|key| key.contains(":{rate:"))),
        "{keys:?}"
    );
}

/// Pauses, pushes, wake-ups and settlements, all of which name several keys.
async fn assert_queue_works(world: &World) {
    let queue = Queue::connect(&world.config).unwrap();
    let (contacts, threads) = (ticket(Stream::Contacts), ticket(Stream::Threads));
    let worker = Worker::start(&queue, 2, |lease: Lease| {
        std::future::ready(if lease.crashes > 0 {
            Verdict::Requeue
        } else {
            Verdict::Done
        })
    });
    worker.until_asked_again(&queue).await;
    heard(async || {
        let tenant = PauseScope::Tenant(threads.tenant);
        queue.pause(&[tenant]).await
    })
    .await;
    push_until_heard(&queue, &[contacts, threads]).await;
    worker
        .until("one is worked", |worker| worker.has_begun(contacts))
        .await;
    assert!(!worker.has_begun(threads), "the other one is paused");
    heard(|| queue.set_paused(&[])).await;
    worker
        .until("both are worked", |worker| worker.has_begun(threads))
        .await;
    heard(|| queue.raise_fence(1)).await;
    wait_for("nothing is left", async || {
        let live = heard(|| queue.stats()).await.live;
        (live == 0)
            .then_some(())
            .ok_or_else(|| format!("{live} are live"))
    })
    .await;
    worker.stop().await;
}
