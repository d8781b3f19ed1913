//! Postgres hangs, moves, or becomes read-only, while the sockets to it stay open.

use std::time::Duration;

use intercom_simulator::WorkspaceSpec;
use servers::{Options, Relay, Servers};
use shared::{
    domain::Stream,
    store::{SliceKey, WorkerStore},
};

use crate::support::{World, held, migrated, servers, tiny, wait_for};

/// Short enough for a test. A statement is given up after twice this time.
const LIMIT: (&str, &str) = ("DATABASE_STATEMENT_TIMEOUT", "1s");

/// The same for a fleet on a busy machine, because a statement that is cancelled counts as a failure. The test itself
/// looks at the database without it.
const FLEET_LIMIT: (&str, &str) = ("DATABASE_STATEMENT_TIMEOUT", "5s");

fn relay() -> Relay {
    Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap()
}

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 60,
        companies: 10,
        conversations: 80,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_hangs_is_closed_and_its_place_is_free() {
    let world = World::new().await.otherwise(&[LIMIT]);
    let relay = relay();
    let case = world.through(&relay).connect(tiny()).await;
    // One session only, so that a second transaction needs its place.
    let store = WorkerStore::connect(&case.world.config.database, 1)
        .await
        .unwrap();
    let key = SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream: Stream::Contacts,
        fence: 1,
    };
    let mut tx = store.begin(case.tenant).await.unwrap();
    relay.freeze();
    let error = tx.check_fence(key).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    drop(tx);

    // New connections are served, and the old one stays open for ever.
    relay.abandon();
    // On a busy machine a statement may meet the limit once more.
    wait_for("the place is free", async || {
        let answered = store.is_ours(key).await;
        answered.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(store.pool_use().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_works_again_after_all_its_sessions_froze() {
    let world = World::new().await.otherwise(&[FLEET_LIMIT]);
    let relay = relay();
    let case = world.through(&relay).connect(workspace()).await;
    let fault = case.inject(held().operation("get_conversation").skip(30));
    let _fleet = case.world.fleet(1);
    case.until("some threads are stored", |status| {
        case.hits(fault) > 0 && status.threads.complete >= 10
    })
    .await;

    // In the middle of a slice. What Intercom answers now cannot be stored.
    relay.freeze();
    case.clear_fault(fault);
    assert!(!case.status().await.complete);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!case.status().await.complete);
    assert_eq!(case.failed_attempts().await, 0, "waiting is not failing");

    relay.abandon();
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_on_a_server_that_became_read_only_are_left() {
    // Its own server, because its setting is for all databases.
    let own = Servers::start(Options::default()).unwrap();
    let url = migrated(&own, "pathbound").await;
    let world = World::with(&[("DATABASE_URL", &url)]).await;
    let case = world.connect(workspace()).await;
    let fault = case.inject(held().operation("get_conversation").skip(30));
    let _fleet = world.fleet(1);
    case.until_hit(fault).await;

    world
        .set_server("default_transaction_read_only", "on")
        .await;
    case.clear_fault(fault);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ready = world.worker_store(1).await.readiness().await;
    assert!(ready.unwrap_err().to_string().contains("takes no writes"));
    let status = case.status().await;
    assert!(!status.complete, "what is stored can still be read");
    assert_eq!(case.failed_attempts().await, 0, "waiting is not failing");

    world
        .set_server("default_transaction_read_only", "off")
        .await;
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_follows_its_address_to_a_promoted_standby() {
    let own = Servers::start(Options {
        postgres_settings: ["wal_level=replica", "max_wal_senders=4"]
            .map(Into::into)
            .into(),
        ..Options::default()
    })
    .unwrap();
    let url = migrated(&own, "pathbound").await;
    let standby = own.postgres().standby().unwrap();
    let world = World::with(&[("DATABASE_URL", &url)]).await;
    let relay = Relay::start(&format!("127.0.0.1:{}", own.postgres().port())).unwrap();
    let fleets = world.otherwise(&[FLEET_LIMIT]).through(&relay);
    let case = fleets.connect(workspace()).await;
    let fault = case.inject(held().operation("get_conversation").skip(30));
    let _fleet = case.world.fleet(1);
    case.until_hit(fault).await;

    // Nothing is written from here on, so that the standby has all. The old server stays, with its sessions.
    relay.freeze();
    let promoted = world.promote(&standby).await;
    relay
        .point_at(&format!("127.0.0.1:{}", standby.port()))
        .unwrap();
    relay.abandon();
    case.clear_fault(fault);

    let case = case.seen_from(world.looking_at(&promoted).await);
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(case.failed_attempts().await, 0, "waiting is not failing");
}
