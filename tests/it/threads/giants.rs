//! A giant thread keeps no other waiting: what answered is stored while the giant is still being sent.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, TruthLine, WorkspaceSpec};
use shared::{config::ProcessRole, shutdown::Shutdown, store::Database};

use crate::support::{Case, World, cases, tiny, wait_for};

/// Only the newest 500 of them are ever shown.
const PARTS: u32 = 1_200;
/// Of each shown part's body: 20 MB in all.
const BODY: usize = 40_000;
const BYTES: usize = 500 * BODY;
/// The bytes of answers that a worker holds at once, by default.
const RESPONSE_MEMORY: usize = 64 << 20;

fn spec(conversations: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 3,
        companies: 0,
        conversations,
        parts: 3.0,
        ..tiny()
    }
}

/// Adds a conversation, newer than all others, whose answer is 20 MB.
fn grow_giant(case: &Case) -> String {
    let giant = case.mutate(Mutation::add(Kind::Conversation, 1).ago(3_900))[0].clone();
    case.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids([giant.clone()])
            .parts(PARTS)
            .ago(3_800),
    );
    for part in case
        .workspace
        .truth()
        .iter()
        .filter(|line| is_part_of(line, &giant) && !line.hidden)
    {
        let mut object = part.value();
        object["body"] = "x".repeat(BODY).into();
        let object = object.to_string();
        assert!(case.workspace.put_raw(Kind::Part, &part.id, object));
    }
    giant
}

fn is_part_of(line: &TruthLine, conversation: &str) -> bool {
    line.kind == Kind::Part && line.parent.as_deref() == Some(conversation)
}

/// Half of the giant's answer comes at once. The other half waits until the fault is cleared.
fn half(giant: &str) -> Fault {
    Fault::new(FaultAction::Hold { after: BYTES / 2 }).path(format!("/conversations/{giant}"))
}

/// Parts that are shown of every thread but the giant.
fn shown(case: &Case, giant: &str) -> usize {
    let truth = case.workspace.truth();
    let shown = truth
        .iter()
        .filter(|line| line.kind == Kind::Part && !line.hidden && !is_part_of(line, giant));
    shown.count()
}

/// Parts that are stored of every thread but the giant, and of the giant.
async fn stored(case: &Case, giant: &str) -> (usize, usize) {
    let parts = case.stored_parts().await;
    let of_giant = parts.iter().filter(|part| part.conversation == giant);
    let of_giant = of_giant.count();
    (parts.len() - of_giant, of_giant)
}

/// Waits until all of the others' parts are stored, while none of the giant's is.
async fn until_only_others_are_stored(cases: &[&Case], giant: &str) {
    // Counted once, because the truth has 20 MB.
    let wanted: Vec<usize> = cases.iter().map(|case| shown(case, giant)).collect();
    wait_for("the others are stored", async || {
        for (case, wanted) in cases.iter().zip(&wanted) {
            let (others, of_giant) = stored(case, giant).await;
            assert_eq!(
                of_giant, 0,
                "the giant was stored when {others} of {wanted} others were"
            );
            if others < *wanted {
                return Err(format!("{others} of {wanted} are stored"));
            }
        }
        Ok(())
    })
    .await;
}

cases! {
    a_thread_of_twenty_megabytes_keeps_no_other_waiting {
        let world = World::new().await;
        let case = world.case(spec(90)).await;
        let giant = grow_giant(&case);
        let half = case.inject(half(&giant));
        let neighbour = WorkspaceSpec { seed: 2, id_code: Some("neighbour".to_owned()), ..spec(30) };
        let (case, neighbour) = (case.connect().await, world.connect(neighbour).await);
        assert!(shown(&case, &giant) > 150 && shown(&neighbour, &giant) > 50);
        let _fleet = world.fleet(1);

        until_only_others_are_stored(&[&case, &neighbour], &giant).await;
        assert_eq!(case.hits(half), 1, "it is under way");
        case.clear_fault(half);
        for case in [&case, &neighbour] {
            case.until_complete().await;
            case.assert_exact().await;
        }
        assert_eq!((case.status().await.threads.truncated, stored(&case, &giant).await.1), (1, 500));
        // Stored as it came, and asked for once.
        let path = format!("/conversations/{giant}");
        assert_eq!(case.workspace.ledger().rows().iter().filter(|row| row.path == path).count(), 1);
    }

    the_backlog_does_not_wait_for_a_giant {
        // A slice is forty threads. If it waited for the giant, 39 others would be held when the giant is.
        let world = World::with(&[("CONVERSATIONS_PER_SLICE", "40")]).await;
        let case = world.case(spec(150)).await;
        let giant = grow_giant(&case);
        let half = case.inject(half(&giant));
        let case = case.connect().await;
        assert!(shown(&case, &giant) > 300);
        let _fleet = world.fleet(1);

        until_only_others_are_stored(&[&case], &giant).await;
        assert_eq!(case.hits(half), 1, "it is under way");
        case.clear_fault(half);
        case.until_complete().await;
        case.assert_exact().await;
        // None was asked for twice: not the giant, and none of those that were read from the backlog meanwhile.
        let rows = case.workspace.ledger().rows();
        let mut asked: Vec<&str> = rows
            .iter()
            .filter(|row| row.operation == "get_conversation")
            .map(|row| &*row.path)
            .collect();
        let calls = asked.len();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(calls, asked.len());
    }

    eight_giants_at_once_are_held_in_bounds_and_all_land {
        let world = World::new().await;
        let case = world.case(spec(60)).await;
        let giants: Vec<String> = (0..8).map(|_| grow_giant(&case)).collect();
        // Each piece comes a while after the one before. If none waited, all eight would be held before one is whole.
        for giant in &giants {
            let drip = FaultAction::Drip { bytes: BYTES / 20, millis: 40 };
            case.inject(Fault::new(drip).path(format!("/conversations/{giant}")));
        }
        let case = case.connect().await;
        let _scheduler = world.fleet(0);
        let database = Database::open(&world.config, ProcessRole::Worker).await.unwrap();
        let worker = worker::Worker::open(world.config.clone(), &database).unwrap();
        let memory = worker.response_memory().clone();
        let stop = Shutdown::new();
        let _stops = stop.clone().drop_guard();
        tokio::spawn(worker.run(stop));

        case.until_complete().await;
        let peak = memory.peak_bytes();
        assert!((BYTES..=RESPONSE_MEMORY).contains(&peak), "{peak} bytes were held at once");
        for giant in &giants {
            assert_eq!(stored(&case, giant).await.1, 500);
        }
        let rows = case.workspace.ledger().rows();
        let of_giants = rows.iter().filter(|row| giants.iter().any(|giant| row.path.ends_with(giant)));
        assert_eq!(of_giants.count(), 8, "no answer was thrown away because there was no memory");
        case.assert_exact().await;
    }
}
