//! What is in quarantine is read again from its own bytes, once the reader has learnt how: no call, and exact.
//!
//! The reader of this build cannot learn while a test runs. So the objects are made unreadable on their way, and the
//! bytes that were kept are then put right by hand: as good as a reader that reads them.

use intercom_simulator::{Fault, FaultAction, Garble, Kind, Mutation, WorkspaceSpec};
use shared::{
    domain::Mode,
    store::AfterDisconnect,
    sync::{Replayed, replay},
};

use crate::support::{Case, World};

/// One of each kind in quarantine: its kind, its id with the conversation of a part, and its good bytes.
async fn four_in_quarantine(world: &World) -> (Case, Vec<(&'static str, String, Vec<u8>)>) {
    let case = world
        .case(WorkspaceSpec {
            contacts: 20,
            companies: 5,
            conversations: 10,
            parts: 3.0,
            contacts_over_10_companies: 0.0,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let truth = case.workspace.truth();
    let mut chosen = Vec::new();
    let mut faults = Vec::new();
    for (kind, name, operation) in [
        (Kind::Contact, "contact", "list_contacts"),
        (Kind::Company, "company", "scroll_companies"),
        (Kind::Conversation, "conversation", "search_conversations"),
        (Kind::Part, "part", "get_conversation"),
    ] {
        // Not the conversation that is in quarantine itself: its thread is not asked for.
        let line = truth
            .iter()
            .rfind(|line| line.kind == kind && !line.hidden)
            .unwrap();
        let taken = |id: &str| {
            chosen
                .iter()
                .any(|(_, taken, _): &(&str, String, _)| taken == id)
        };
        let line = if kind == Kind::Part {
            truth
                .iter()
                .find(|part| part.kind == kind && !taken(part.parent.as_ref().unwrap()))
                .unwrap()
        } else {
            line
        };
        let garble = FaultAction::Garble {
            how: Garble::WrongTypes,
            id: Some(line.id.clone()),
            place: 0,
            part: kind == Kind::Part,
        };
        faults.push(case.inject(Fault::new(garble).operation(operation)));
        let id = line
            .parent
            .as_ref()
            .map_or_else(|| line.id.clone(), |owner| format!("{owner}/{}", line.id));
        chosen.push((name, id, line.object.get().as_bytes().to_vec()));
    }
    let case = case.connect().await;
    let fleet = world.fleet(1);
    case.until_walked().await;
    case.until_run_ends().await;
    drop(fleet);
    for fault in faults {
        assert!(case.hits(fault) > 0);
        case.clear_fault(fault);
    }
    (case, chosen)
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_quarantine_are_replayed_without_a_call() {
    let world = World::new().await;
    let (case, chosen) = four_in_quarantine(&world).await;
    let store = world.worker_store(2).await;
    let again = async |rehearsed| {
        replay(&store, case.tenant, case.connection(), rehearsed)
            .await
            .unwrap()
    };

    // What the reader cannot read it cannot replay.
    assert_eq!(again(false).await, Some(Replayed { healed: 0, left: 4 }));
    put_right(&case, &chosen).await;
    case.reset_calls();
    assert_eq!(
        again(true).await,
        Some(Replayed { healed: 4, left: 0 }),
        "rehearsed"
    );
    assert_eq!(
        again(false).await,
        Some(Replayed { healed: 4, left: 0 }),
        "a rehearsal changes nothing"
    );
    assert_eq!(again(false).await, Some(Replayed { healed: 0, left: 0 }));
    assert_eq!(case.all_calls(), 0, "intercom is not asked");
    assert_eq!(case.left_in_quarantine().await, Vec::<String>::new());

    // Only what a whole answer can say is still asked for: the thread of the part, and that of the conversation.
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    let ledger = case.workspace.ledger();
    assert_eq!(
        (ledger.total, ledger.calls("get_conversation")),
        (2, 2),
        "{:?}",
        ledger.by_operation
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_undoes_no_later_version_and_no_disconnect() {
    let world = World::new().await;
    let (case, chosen) = four_in_quarantine(&world).await;
    let store = world.worker_store(2).await;
    // Intercom changes them all, and the next walk reads them well.
    world
        .simulator
        .clock()
        .advance(std::time::Duration::from_secs(60));
    for kind in [Kind::Contact, Kind::Company, Kind::Conversation] {
        case.mutate(Mutation::update(kind, 100));
    }
    let fleet = world.fleet(1);
    case.resync(Mode::Full).await;
    case.until_complete().await;
    drop(fleet);
    // Yet the old bytes are still there, as if a slice had put them aside since.
    put_right(&case, &chosen).await;
    let replayed = replay(&store, case.tenant, case.connection(), false)
        .await
        .unwrap();
    assert_eq!(replayed, Some(Replayed { healed: 4, left: 0 }));
    let fleet = world.fleet(1);
    case.assert_exact().await;
    drop(fleet);

    put_right(&case, &chosen).await;
    let mut tx = world.store.begin(case.tenant).await.unwrap();
    tx.disconnect(case.connection(), AfterDisconnect::Retain)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        replay(&store, case.tenant, case.connection(), false)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_replays_a_tenant() {
    let world = World::new().await;
    let (case, chosen) = four_in_quarantine(&world).await;
    put_right(&case, &chosen).await;
    let tenant = case.tenant.to_string();
    for (arguments, healed) in [(vec!["--dry-run"], 4), (vec![], 4), (vec![], 0)] {
        let arguments: Vec<&str> = ["replay", &tenant, "--output", "json"]
            .into_iter()
            .chain(arguments)
            .collect();
        let output = world.command(&arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (said[0]["healed"].as_i64(), said[0]["left"].as_i64()),
            (Some(healed), Some(0)),
            "{said}"
        );
    }
}

/// Opens their quarantine with the good bytes.
async fn put_right(case: &Case, chosen: &[(&str, String, Vec<u8>)]) {
    for (kind, id, raw) in chosen {
        case.put_into_quarantine(kind, id, raw).await;
    }
}
