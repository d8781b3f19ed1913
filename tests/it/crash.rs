//! Killed at any instant, exact afterwards.

use std::{sync::Arc, time::Duration};

use intercom_simulator::{Fault, FaultAction, FaultId, WorkspaceSpec};
use shared::{
    domain::{Stream, Verdict},
    intercom::Intercom,
    store::{SliceKey, WorkerStore},
    sync::Context,
    vault::KeyRing,
};

use crate::world::{Connected, World};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 450,
        companies: 120,
        conversations: 300,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// From now on threads after the first ones are not answered before the fault is taken away.
fn stops_in_mid_run(world: &World) -> FaultId {
    world.simulator.inject(
        Fault::new(FaultAction::Hold { after: 0 })
            .operation("get_conversation")
            .skip(140),
    )
}

/// In the middle of the threads: some are stored, some under way, most not begun.
async fn until_mid_run(world: &World, connected: &Connected, fault: FaultId) {
    world
        .until(connected, "some threads are held", |status| {
            world.simulator.fault_hits(fault) > 0
                && status.threads.complete > 100
                && status.threads.pending > 30
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_mid_run_loses_and_doubles_nothing() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let fault = stops_in_mid_run(&world);
    let _scheduler = world.process("scheduler");
    let mut victim = world.process("worker");
    until_mid_run(&world, &connected, fault).await;
    victim.kill();
    assert!(!world.status(&connected).await.complete);
    world.simulator.clear_fault(fault);

    let _heir = world.process("worker");
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_in_mid_run_and_restarted_empty_loses_nothing() {
    // Its own servers: the other worlds' Redis must not die with this one's.
    let servers = servers::Servers::start(servers::Options::default()).unwrap();
    let world = World::with(&[("REDIS_URL", &servers.redis_url())]).await;
    let connected = world.connect(workspace()).await;
    let fault = stops_in_mid_run(&world);
    let _fleet = world.fleet(2);
    until_mid_run(&world, &connected, fault).await;
    servers.redis().kill9().unwrap();
    assert!(!world.status(&connected).await.complete);
    // The slices under way end without it.
    world.simulator.clear_fault(fault);
    tokio::time::sleep(Duration::from_millis(500)).await;
    servers.redis().start().unwrap();

    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

/// Whoever ends workers one after the other may hit the same innocent slice three times.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_kills_three_workers_is_quarantined() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 5,
            companies: 1,
            conversations: 5,
            ..workspace()
        })
        .await;
    let context = Context {
        store: WorkerStore::connect(&world.config.database_url, 2)
            .await
            .unwrap(),
        vault: Arc::new(KeyRing::parse(world.config.encryption_keys.expose()).unwrap()),
        intercom: Intercom::new(&world.config).unwrap(),
        config: world.config.clone(),
        stopping: shared::shutdown::Shutdown::new(),
    };
    let key = |fence| SliceKey {
        tenant: connected.tenant,
        connection: connected.connection,
        stream: Stream::Contacts,
        fence,
    };
    let due = "UPDATE streams SET due_at = now() WHERE connection_id = $1 AND stream = 'contacts' RETURNING stream, mode";
    let open =
        "SELECT stream, cause FROM dead_letters WHERE connection_id = $1 AND resolved_at IS NULL";

    let Verdict::Snooze(soon) = worker::work(&context, key(1_000), 3).await.verdict else {
        panic!("it is tried again soon")
    };
    assert!(soon < Duration::from_secs(30), "{soon:?}");
    let letters = world.sql(open, &connected).await;
    assert!(
        matches!(&letters[..], [(stream, cause)] if stream == "contacts" && cause.contains("3 workers")),
        "{letters:?}"
    );

    world.sql(due, &connected).await;
    assert_eq!(
        worker::work(&context, key(2_000), 3).await.verdict,
        Verdict::Done
    );
    let later = "SELECT stream, (due_at > now() + interval '50 minutes')::text FROM streams
                 WHERE connection_id = $1 AND stream = 'contacts'";
    assert_eq!(
        world.sql(later, &connected).await,
        [("contacts".to_owned(), "true".to_owned())]
    );
    assert_eq!(
        connected.workspace.ledger().calls("list_contacts"),
        0,
        "nobody was risked"
    );

    // An operator knows better.
    world.sql(due, &connected).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    assert_eq!(world.sql(open, &connected).await, []);
}
