//! What Intercom must not send and does: the good neighbours land, and nothing bad is taken for data or its end.

use intercom_simulator::{Fault, FaultAction, Garble, Kind, WorkspaceSpec};
use shared::{
    completeness::{StreamState, SyncStatus},
    domain::{Mode, Stream},
};

use crate::world::{Connected, World};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 200,
        companies: 120,
        conversations: 60,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Rows of the quarantine that are still open.
async fn quarantined(world: &World, connected: &Connected) -> Vec<(String, String)> {
    world
        .sql("SELECT kind || '/' || source_id, reason FROM quarantine WHERE connection_id = $1 AND resolved_at IS NULL ORDER BY 1", connected)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_waited_out_and_never_taken_for_data() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let mut faults = Vec::new();
    for operation in [
        "list_contacts",
        "scroll_companies",
        "search_conversations",
        "get_conversation",
        "list_tags",
    ] {
        for action in [
            FaultAction::Status {
                status: 503,
                body: None,
                headers: Vec::new(),
            },
            FaultAction::Reset,
            FaultAction::Truncate { keep: 60 },
            FaultAction::Html { status: 200 },
            FaultAction::Html { status: 502 },
            FaultAction::Empty,
        ] {
            // Each call of a thing meets the next fault, until all are spent.
            faults.push(
                world
                    .simulator
                    .inject(Fault::new(action).operation(operation).times(1)),
            );
        }
    }
    let _fleet = world.fleet(1);
    world
        .until(
            &connected,
            "the scroll has met the last of its faults",
            |_| world.simulator.fault_hits(faults[11]) == 1,
        )
        .await;
    // The one that was cut short is open in Intercom: its minute need not be waited for.
    connected.workspace.release_scroll();
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    let hit = faults
        .iter()
        .filter(|fault| world.simulator.fault_hits(**fault) > 0)
        .count();
    assert_eq!(hit, faults.len(), "every fault was met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_object_is_quarantined_alone_until_it_heals() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let bad: Vec<String> = [
        ("list_contacts", Garble::WrongTypes),
        ("scroll_companies", Garble::NotAnObject),
        ("search_conversations", Garble::NoId),
    ]
    .into_iter()
    .map(|(operation, how)| {
        world.simulator.inject(
            Fault::new(FaultAction::Garble {
                how,
                id: None,
                place: 3,
                part: false,
            })
            .operation(operation)
            .times(1),
        );
        operation.to_owned()
    })
    .collect();
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the walks have ended", |status| {
            status
                .streams
                .iter()
                .all(|stream| stream.last_ok_at.is_some())
        })
        .await;

    let open = quarantined(&world, &connected).await;
    assert_eq!(open.len(), bad.len(), "{open:?}");
    let status = world.status(&connected).await;
    assert!(
        !status.complete,
        "a green status with an object in quarantine would be a lie: {status:#?}"
    );
    let contacts = status
        .streams
        .iter()
        .find(|stream| stream.stream == Stream::Contacts)
        .unwrap();
    assert_eq!((contacts.held, contacts.expected), (199, Some(200)));

    // The next full walk reads them well.
    world.until_run_ends(&connected).await;
    world.resync(&connected, Mode::Full).await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // What is held now may have been redacted since it was bad.
    let kept = world
        .sql(
            "SELECT source_id, reason FROM quarantine WHERE connection_id = $1 AND length(raw) > 0",
            &connected,
        )
        .await;
    assert_eq!(kept, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_scroll_that_is_lost_on_the_way_is_not_skipped() {
    let world = World::new().await;
    let connected = world
        .connect(WorkspaceSpec {
            companies: 450,
            ..workspace()
        })
        .await;
    // The scroll has moved on; its next page is another one.
    let lost = world.simulator.inject(
        Fault::new(FaultAction::Truncate { keep: 60 })
            .operation("scroll_companies")
            .skip(2)
            .times(1),
    );
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the page was lost", |_| {
            world.simulator.fault_hits(lost) == 1
        })
        .await;
    // Its minute need not be waited for.
    connected.workspace.release_scroll();
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_threads_is_waited_out_and_blocks_none() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let outage = world
        .simulator
        .inject(Fault::status(503).operation("get_conversation"));
    let _fleet = world.fleet(1);
    // Calls that were made count, however few the breaker lets go.
    let attempts = "SELECT stream, attempts::text FROM streams
                    WHERE connection_id = $1 AND stream = 'threads' AND attempts >= 3";
    let begun = std::time::Instant::now();
    while world.sql(attempts, &connected).await.is_empty() {
        assert!(
            begun.elapsed() < crate::world::PATIENCE,
            "the stream has not given up three times"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let status = world.status(&connected).await;
    let threads = status
        .streams
        .iter()
        .find(|stream| stream.stream == Stream::Threads)
        .unwrap();
    assert_eq!(threads.status, StreamState::Failed);
    let run = world
        .sql(
            "SELECT id::text, status FROM sync_runs WHERE connection_id = $1",
            &connected,
        )
        .await;
    assert_eq!(
        run[0].1, "running",
        "a run without its threads has not ended"
    );
    world.simulator.clear_fault(outage);
    world.until_complete(&connected).await;
    assert_eq!(world.status(&connected).await.threads.blocked, 0);
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_postgres_cannot_hold_is_repaired() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    for (operation, how) in [
        ("list_contacts", Garble::NulCharacter),
        ("scroll_companies", Garble::LoneSurrogate),
        ("search_conversations", Garble::NulCharacter),
        ("get_conversation", Garble::UnknownEnums),
    ] {
        world.simulator.inject(
            Fault::new(FaultAction::Garble {
                how,
                id: None,
                place: 0,
                part: false,
            })
            .operation(operation)
            .times(1),
        );
    }
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    assert_eq!(quarantined(&world, &connected).await, []);
    let sanitised = world
        .sql(
            "SELECT source_id, 'x' FROM contact_sources WHERE connection_id = $1 AND sanitised",
            &connected,
        )
        .await;
    assert_eq!(sanitised.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_part_is_quarantined_and_its_thread_says_so() {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let fault = world.simulator.inject(
        Fault::new(FaultAction::Garble {
            how: Garble::WrongTypes,
            id: None,
            place: 0,
            part: true,
        })
        .operation("get_conversation")
        .times(1),
    );
    let _fleet = world.fleet(1);
    world
        .until(&connected, "a thread is blocked", |status| {
            status.threads.blocked == 1 && status.threads.pending == 0
        })
        .await;
    assert_eq!(world.simulator.fault_hits(fault), 1);
    let open = quarantined(&world, &connected).await;
    assert!(
        open.len() == 1 && open[0].0.starts_with("part/"),
        "{open:?}"
    );
}

/// The simulator answers an error for every page that would hold this conversation, until it is cleared.
async fn one_conversation_breaks_its_search(status: u16, most_calls: u64) {
    let world = World::new().await;
    let connected = world.connect(workspace()).await;
    let ids: Vec<String> = connected
        .workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == Kind::Conversation)
        .map(|line| line.id)
        .collect();
    let fault = world.simulator.inject(
        Fault::new(FaultAction::Choke {
            id: ids[ids.len() / 2].clone(),
            status,
        })
        .operation("search_conversations"),
    );
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the walks have ended", |status| {
            status.threads.pending == 0
                && status
                    .streams
                    .iter()
                    .all(|stream| stream.last_ok_at.is_some())
        })
        .await;

    let open = quarantined(&world, &connected).await;
    assert!(
        open.len() == 1 && open[0].0.starts_with("conversation/updated_at:"),
        "{open:?}"
    );
    let shown = world.status(&connected).await;
    assert!(!shown.complete, "{shown:#?}");
    let held = |status: &SyncStatus| {
        let conversations = status
            .streams
            .iter()
            .find(|stream| stream.stream == Stream::Conversations)
            .unwrap();
        (conversations.held, conversations.expected)
    };
    assert_eq!(held(&shown), (59, Some(60)));
    let calls = connected.workspace.ledger().calls("search_conversations");
    assert!(calls <= most_calls, "{calls} calls to find one record");

    world.simulator.clear_fault(fault);
    world.until_run_ends(&connected).await;
    world.resync(&connected, Mode::Full).await;
    world.until_complete(&connected).await;
    assert_eq!(held(&world.status(&connected).await), (60, Some(60)));
    world.assert_exact(&connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_breaks_its_search_with_404_is_stepped_over() {
    one_conversation_breaks_its_search(404, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_breaks_its_search_with_503_is_stepped_over() {
    // The client tries a server error three times within a call.
    one_conversation_breaks_its_search(503, 130).await;
}
