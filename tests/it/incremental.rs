//! What changed, and nothing else: exact again, within the calls that the changes need.

use std::time::{Duration, Instant};

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::world::{Connected, World};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 900,
        companies: 250,
        conversations: 700,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Mutates, runs once, and returns the calls that the run made.
async fn run_once(world: &World, connected: &Connected, mode: Mode) -> u64 {
    connected.workspace.ledger().reset();
    world.resync(connected, mode).await;
    world.until_complete(connected).await;
    connected.workspace.ledger().total
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_tenant_costs_two_calls_a_run_and_its_reference_data() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;

    let calls = run_once(&world, &connected, Mode::Incremental).await;
    let ledger = connected.workspace.ledger();
    let reference: u64 = [
        "list_admins",
        "list_teams",
        "list_tags",
        "list_segments",
        "data_attributes",
        "conversation_attributes",
        "deleted_conversations",
    ]
    .iter()
    .map(|operation| ledger.calls(operation))
    .sum();
    assert_eq!(
        ledger.calls("search_contacts"),
        1,
        "{:?}",
        ledger.by_operation
    );
    assert_eq!(
        ledger.calls("search_conversations"),
        1,
        "{:?}",
        ledger.by_operation
    );
    assert_eq!(calls - reference, 2, "{:?}", ledger.by_operation);
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_of_a_second_is_kept_without_anybody_asking() {
    let world = World::with(&[("SYNC_INTERVAL", "1s")]).await;
    let spec = WorkspaceSpec {
        contacts: 10,
        companies: 2,
        conversations: 5,
        ..workspace()
    };
    let connected = world.connect(spec).await;
    let _fleet = world.fleet(1);
    // Lost tickets are made anew after half a minute. If these runs had to wait for that, patience would end first.
    world
        .until(&connected, "several runs have been made", |_| {
            connected.workspace.ledger().calls("search_contacts") >= 9
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_changes_of_every_kind_are_held_after_one_run() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;

    let mutate = |change, kind, count| {
        connected
            .workspace
            .mutate(Mutation::new(change, kind, count))
    };
    mutate(Change::Update, Kind::Contact, 300);
    mutate(Change::Add, Kind::Contact, 100);
    mutate(Change::Grow, Kind::Contact, 100);
    mutate(Change::Update, Kind::Company, 100);
    mutate(Change::Update, Kind::Conversation, 200);
    mutate(Change::Add, Kind::Conversation, 100);
    mutate(Change::Grow, Kind::Conversation, 150);
    mutate(Change::Redact, Kind::Conversation, 50);
    // The clock moves on, so that no thread is read within two seconds of its own change.
    world
        .simulator
        .clock()
        .advance(std::time::Duration::from_secs(5));

    run_once(&world, &connected, Mode::Incremental).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_of_an_exact_copy_fetches_no_thread_again() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;

    run_once(&world, &connected, Mode::Full).await;
    assert_eq!(connected.workspace.ledger().calls("get_conversation"), 0);
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_changes_twice_in_one_second_is_read_again() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 20,
            companies: 5,
            conversations: 20,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;

    connected.workspace.ledger().reset();
    let begun = Instant::now();
    let ids = connected
        .workspace
        .mutate(Mutation::new(Change::Grow, Kind::Conversation, 1));
    world.resync(&connected, Mode::Incremental).await;
    // The thread is fetched within its own second: not complete yet, whatever comes next.
    world
        .until(&connected, "the thread was fetched", |_| {
            connected.workspace.ledger().calls("get_conversation") > 0
        })
        .await;
    connected.workspace.mutate(Mutation {
        ids,
        ..Mutation::new(Change::Grow, Kind::Conversation, 1)
    });
    let in_one_second = begun.elapsed() < Duration::from_secs(1);
    world.until_complete(&connected).await;
    // A machine too busy for this test made an ordinary change of it, which only a poll brings.
    if in_one_second {
        let held = world
            .sql(
                "SELECT p.source_id, p.kind FROM parts p JOIN threads t USING (tenant_id, conversation_id)
                 WHERE t.connection_id = $1 AND p.source_id <> 'source'",
                &connected,
            )
            .await;
        let truth = connected.workspace.truth();
        assert_eq!(
            held.len(),
            truth.iter().filter(|line| line.kind == Kind::Part).count(),
            "no poll has come by"
        );
    }
    // The stub of the same second comes with the next poll, which looks a minute back.
    world.resync(&connected, Mode::Incremental).await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_created_during_the_first_walk_come_with_the_next_run() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let late = |operation: &str| {
        let fault = Fault::new(FaultAction::Hold { after: 0 })
            .operation(operation)
            .skip(1)
            .times(1);
        world.simulator.inject(fault)
    };
    let slow = [late("list_contacts"), late("search_conversations")];
    let _fleet = world.fleet(1);
    world
        .until(&connected, "both walks wait for their second page", |_| {
            slow.iter()
                .all(|fault| world.simulator.fault_hits(*fault) == 1)
        })
        .await;
    connected
        .workspace
        .mutate(Mutation::new(Change::Add, Kind::Contact, 7));
    connected
        .workspace
        .mutate(Mutation::new(Change::Add, Kind::Conversation, 7));
    world.simulator.clear_faults();
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_less_does_not_replace_one_for_more() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            contacts: 20,
            companies: 5,
            conversations: 20,
            ..workspace()
        })
        .await;
    world.resync(&connected, Mode::Reconcile).await;
    world
        .request(
            &connected,
            Mode::Full,
            &[Stream::Contacts, Stream::Companies],
        )
        .await;
    world.resync(&connected, Mode::Incremental).await;
    let _fleet = world.fleet(1);
    world.until_run_ends(&connected).await;
    world.until_complete(&connected).await;
    let runs = world
        .sql(
            "SELECT mode, status FROM sync_runs WHERE connection_id = $1 ORDER BY mode",
            &connected,
        )
        .await;
    assert!(
        runs.len() == 4 && runs.iter().all(|(_, status)| status == "succeeded"),
        "{runs:?}"
    );
    let modes = world
        .sql(
            "SELECT stream, mode FROM streams WHERE connection_id = $1",
            &connected,
        )
        .await;
    assert!(
        modes.iter().all(|(_, mode)| mode == "incremental"),
        "{modes:?}"
    );
}
