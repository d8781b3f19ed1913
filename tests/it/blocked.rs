//! Partial failure is a state with a sentence, and touches nothing else.

use intercom_simulator::{MissingScope, Scope, WorkspaceSpec};
use pathbound::exact::without_conversations;
use shared::{
    domain::{Mode, Stream},
    store::{ConnectionState, SliceKey, StreamClaim, WalkEnd, WorkerStore},
};

use crate::world::World;

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 40,
        companies: 10,
        conversations: 20,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_conversations_blocks_them_alone() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            conversations_plan: false,
            ..workspace()
        })
        .await;
    let _fleet = world.fleet(1);
    world
        .until(
            &connected,
            "contacts are held and conversations blocked",
            |status| {
                status.streams.iter().all(|stream| match stream.stream {
                    Stream::Conversations => stream.blocked.is_some(),
                    Stream::Threads => true,
                    _ => stream.last_ok_at.is_some(),
                })
            },
        )
        .await;
    let status = world.status(&connected).await;
    assert!(!status.complete);
    let blocked = status
        .streams
        .iter()
        .find(|stream| stream.stream == Stream::Conversations)
        .unwrap()
        .blocked
        .clone()
        .unwrap();
    assert_eq!(blocked.code, "api_plan_restricted");
    assert!(blocked.until.is_some() && !blocked.message.is_empty() && blocked.action.is_some());
    world
        .assert_exact_with(
            &connected,
            &without_conversations(&connected.workspace.truth()),
        )
        .await;

    // The plan is upgraded; a resync does not have to wait for tomorrow's look.
    connected.workspace.set_plan(true);
    world.until_run_ends(&connected).await;
    world.resync(&connected, Mode::Full).await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_blocks_its_streams_and_no_token() {
    for answer in [MissingScope::Unauthorized401, MissingScope::Forbidden403] {
        let world = World::new().await;
        let connected = world
            .connect(WorkspaceSpec {
                missing_scopes: vec![Scope::ReadConversations],
                missing_scope_answer: answer,
                ..workspace()
            })
            .await;
        let _fleet = world.fleet(1);
        world
            .until(&connected, "conversations are blocked", |status| {
                status.streams.iter().any(|stream| {
                    stream.stream == Stream::Conversations && stream.blocked.is_some()
                })
            })
            .await;
        let connection = world
            .store
            .connection(connected.tenant, connected.connection)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(connection.state, ConnectionState::Active);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_asks_for_the_customer_and_keeps_the_data() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    connected.workspace.revoke_tokens();
    world.resync(&connected, Mode::Incremental).await;
    world
        .until_state(&connected, ConnectionState::ReauthRequired)
        .await;
    let connection = world
        .store
        .connection(connected.tenant, connected.connection)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(connection.error.unwrap().code, "token_revoked");
    assert!(!world.status(&connected).await.complete);
    world.assert_exact(&connected).await;
    // Nobody keeps knocking, once those have heard of it who were under way.
    world.until_slices(&connected, 0).await;
    let calls = connected.workspace.ledger().total;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(connected.workspace.ledger().total, calls);

    // The customer connects again: the same connection, and it goes on.
    let again = world
        .connect_as(connected.tenant, &connected.workspace)
        .await;
    assert_eq!(again.connection, connected.connection);
    world.until_complete(&again).await;
    world.assert_exact(&again).await;
}

/// Both change the same run; neither may undo what the other wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_beside_an_ending_stream_leaves_the_run_without_both() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let store = WorkerStore::connect(&world.config.database_url, 3)
        .await
        .unwrap();
    let key = |stream| SliceKey {
        tenant: connected.tenant,
        connection: connected.connection,
        stream,
        fence: i64::MAX,
    };
    for stream in [Stream::Contacts, Stream::Conversations] {
        assert!(matches!(
            store.claim_stream(key(stream)).await.unwrap(),
            StreamClaim::Acquired(_)
        ));
    }
    let mut ending = store.begin_fenced(key(Stream::Contacts)).await.unwrap();
    let end = WalkEnd {
        mode: Mode::Full,
        begun_at: chrono::Utc::now() + chrono::TimeDelta::days(1),
        watermark: None,
        witness: None,
        full: true,
        missing: None,
        next_in_seconds: None,
    };
    ending.end_walk(key(Stream::Contacts), &end).await.unwrap();
    let blocking = tokio::spawn({
        let (store, key) = (store.clone(), key(Stream::Conversations));
        async move {
            let mut tx = store.begin_fenced(key).await.unwrap();
            tx.drop_from_runs(key, "code", "message").await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    // It reads the run, then waits for the row.
    while world
        .sql("SELECT pid::text, '' FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND $1::uuid IS NOT NULL", &connected)
        .await
        .is_empty()
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    ending.commit().await.unwrap();
    blocking.await.unwrap();
    let left = world
        .sql(
            "SELECT array_to_string(pending, ','), status FROM sync_runs WHERE connection_id = $1",
            &connected,
        )
        .await;
    assert_eq!(
        left,
        [("reference,companies".to_owned(), "running".to_owned())]
    );
}
