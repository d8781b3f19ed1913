//! Pages that are more than an answer may be: asked for in smaller ones, down to the record that is too large alone,
//! which is quarantined under its own id while all of its neighbours land.

use intercom_simulator::{Fault, Kind, Mutation, TruthLine, WorkspaceSpec};
use shared::{
    completeness::SyncStatus,
    domain::{Mode, Stream},
};

use super::small;
use crate::support::{Case, World, held};

const MEGABYTE: usize = 1 << 20;

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 160,
        companies: 0,
        conversations: 3,
        parts: 1.0,
        ..small()
    }
}

/// Live objects of a kind, as walks show them: contacts by id, conversations newest first.
fn shown(case: &Case, kind: Kind) -> Vec<TruthLine> {
    let mut lines = case.live(kind);
    lines.retain(|line| !line.hidden);
    if kind == Kind::Conversation {
        lines.sort_by_key(|line| std::cmp::Reverse(line.updated_at));
    }
    lines
}

/// Makes an object this large, in a text of its own deep within.
fn inflate(case: &Case, line: &TruthLine, bytes: usize) {
    let mut object = line.value();
    let attributes = object["custom_attributes"].as_object_mut().unwrap();
    attributes.insert("novel".to_owned(), "x".repeat(bytes).into());
    assert!(
        case.workspace
            .put_raw(line.kind, &line.id, object.to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_contacts_is_read_in_smaller_pages() {
    let world = World::new().await;
    let case = world.case(spec()).await;
    for line in shown(&case, Kind::Contact).iter().skip(60).take(40) {
        inflate(&case, line, MEGABYTE);
    }
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    // 150 are 40 MB, as are the 75 behind the first 75. Then come 37 and less, and the last page is a full one again.
    let calls = case.calls("list_contacts");
    assert!((4..=9).contains(&calls), "{calls} calls");
}

/// Everything but the giant: its parts and links are unread with it.
fn without(case: &Case, giant: &TruthLine) -> Vec<TruthLine> {
    let mut truth = case.workspace.truth();
    truth.retain(|line| line.id != giant.id && line.parent.as_ref() != Some(&giant.id));
    truth
}

/// Only the giant is missing, and the copy is not called complete. Then it heals.
async fn steps_over(case: &Case, stream: Stream, giant: &TruthLine, most_calls: u64) {
    let (kind, operation) = match stream {
        Stream::Contacts => ("contact", "list_contacts"),
        _ => ("conversation", "search_conversations"),
    };
    let _fleet = case.world.fleet(1);
    case.until_walked().await;
    case.until_run_ends().await;
    let reason = "a page of this object alone is larger than 33554432 bytes".to_owned();
    assert_eq!(
        case.quarantined_bytes().await,
        [(format!("{kind}/{}", giant.id), reason, Vec::new())]
    );
    assert!(!case.status().await.complete);
    // The count that Intercom gives includes the giant.
    let there_are = shown(case, giant.kind).len() as i64;
    assert_eq!(case.held(stream).await, (there_are - 1, Some(there_are)));
    let calls = case.calls(operation);
    assert!(calls <= most_calls, "{calls} calls");
    let report = case.compare(&without(case, giant)).await;
    assert_eq!(
        (report.missing, report.different, report.extra),
        (0, 0, 0),
        "{report}"
    );

    let small_again = giant.object.get().to_owned();
    assert!(case.workspace.put_raw(giant.kind, &giant.id, small_again));
    case.resync(Mode::Full).await;
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(case.quarantined().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_too_large_alone_is_stepped_over_and_heals() {
    let world = World::new().await;
    let case = world.case(spec()).await;
    let giant = shown(&case, Kind::Contact).remove(17);
    inflate(&case, &giant, 40 * MEGABYTE);
    let case = case.connect().await;
    // Halvings, the giant itself, and what grows again around it: 25.
    steps_over(&case, Stream::Contacts, &giant, 28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_too_large_alone_is_stepped_over_and_heals() {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 3,
            conversations: 160,
            ..spec()
        })
        .await;
    let giant = shown(&case, Kind::Conversation).remove(101);
    inflate(&case, &giant, 40 * MEGABYTE);
    let case = case.connect().await;
    steps_over(&case, Stream::Conversations, &giant, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_steps_over_a_contact_that_has_become_too_large() {
    let world = World::new().await;
    let case = world.case(spec()).await;
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let changed = case.mutate(Mutation::update(Kind::Contact, 12));
    let giant = shown(&case, Kind::Contact)
        .into_iter()
        .find(|line| line.id == changed[5])
        .unwrap();
    inflate(&case, &giant, 40 * MEGABYTE);
    case.until_run_ends().await;
    case.request(Mode::Incremental, &[Stream::Contacts]).await;
    case.until_run_ends().await;
    let quarantined: Vec<String> = case
        .quarantined()
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(quarantined, [format!("contact/{}", giant.id)]);
    assert!(!case.status().await.complete);
    let report = case.compare(&without(&case, &giant)).await;
    assert_eq!((report.missing, report.different), (0, 0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_refused_for_its_page_size_starts_the_walk_over() {
    let world = World::new().await;
    let case = world.case(spec()).await;
    for line in shown(&case, Kind::Contact).iter().skip(110).take(40) {
        inflate(&case, line, MEGABYTE);
    }
    // 150 are 40 MB. 75 land, and the cursor behind them is asked for with 150 again: it was made for 75.
    let refused = Fault::status(400)
        .operation("list_contacts")
        .skip(2)
        .times(1);
    let refused = case.inject(refused);
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(case.hits(refused), 1);
    let calls = case.calls("list_contacts");
    assert!((8..=16).contains(&calls), "{calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_scroll_that_is_too_large_says_so() {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            companies: 60,
            contacts: 3,
            ..spec()
        })
        .await;
    for line in shown(&case, Kind::Company).iter().take(40) {
        inflate(&case, line, MEGABYTE);
    }
    // The next scroll would find this one open, and the error would be gone.
    case.inject(held().operation("scroll_companies").skip(1));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    let error = case.until_error(Stream::Companies).await;
    assert!(
        error.contains("larger than an answer may be") && error.contains("chooses how many"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_too_large_is_read_again_when_it_changes() {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 3,
            conversations: 6,
            parts: 3.0,
            ..spec()
        })
        .await;
    let truth = case.workspace.truth();
    let part = truth
        .iter()
        .find(|line| line.kind == Kind::Part && !line.hidden)
        .unwrap();
    let giant = part.parent.clone().unwrap();
    let workspace = case.workspace.clone();
    let with_body = |body: String| {
        let mut object = part.value();
        object["body"] = body.into();
        assert!(workspace.put_raw(Kind::Part, &part.id, object.to_string()));
    };
    with_body("x".repeat(40 * MEGABYTE));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    let blocked = |status: &SyncStatus| status.threads.blocked == 1 && status.threads.pending == 0;
    case.until("all threads but one are held", blocked).await;
    let notes = case.status().await.notes;
    assert!(
        notes.iter().any(|note| note.code == "blocked_threads"),
        "{notes:?}"
    );
    let of_giant = || {
        let path = format!("/conversations/{giant}");
        case.workspace
            .ledger()
            .rows()
            .into_iter()
            .filter(|row| row.path == path)
            .count()
    };
    assert_eq!(of_giant(), 1);

    with_body("short again".to_owned());
    case.mutate(
        Mutation::update(Kind::Conversation, 1)
            .ids([giant.clone()])
            .ago(10),
    );
    case.until_run_ends().await;
    case.request(Mode::Incremental, &[Stream::Conversations, Stream::Threads])
        .await;
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(of_giant(), 2);
}
