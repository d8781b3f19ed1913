//! News during a full walk: a poll runs between its pages, also during the first one.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::{first_sync::stubs, support::World};

/// Several pages of contacts and of stubs, each of which takes its time.
fn slow() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 1_050,
        ..stubs(1_050)
    }
}

/// A world that polls each second, with a fleet.
async fn impatient() -> World {
    World::with(&[("SYNC_INTERVAL", "1s"), ("SEARCH_INDEX_LAG", "1s")]).await
}

/// The operation that walks everything, and the stream that does.
const fn walk_of(kind: Kind) -> (&'static str, Stream) {
    match kind {
        Kind::Contact => ("list_contacts", Stream::Contacts),
        _ => ("search_conversations", Stream::Conversations),
    }
}

/// An object that begins during a walk is held before the walk has ended.
async fn news_comes_before_the_walk_ends(kind: Kind, is_first: bool) {
    let world = impatient().await;
    let case = world.case(slow()).await;
    let (operation, stream) = walk_of(kind);
    let case = case.connect().await;
    let late = FaultAction::Delay { millis: 400 };
    let late = Fault::new(late).operation(operation);
    let _fleet = world.fleet(1);
    if !is_first {
        case.until_complete().await;
        case.settle().await;
    }
    let late = case.inject(late);
    if !is_first {
        case.request(Mode::Full, &[stream]).await;
    }
    case.until_hits(late, 3).await;
    let walked_at = case.stream(stream).await.last_ok_at;
    let news = case.mutate(Mutation::add(kind, 1));
    case.until_held(kind, &news[0]).await;
    if is_first {
        assert_eq!(
            case.stream(stream).await.last_ok_at,
            walked_at,
            "the walk goes on"
        );
        assert!(
            !case.status().await.complete,
            "and nothing is called complete"
        );
    }
    case.clear_fault(late);
    case.until_run_ends().await;
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contacts_come_before_the_first_walk_ends() {
    news_comes_before_the_walk_ends(Kind::Contact, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_conversations_come_before_the_first_walk_ends() {
    news_comes_before_the_walk_ends(Kind::Conversation, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contacts_come_before_a_later_walk_ends() {
    news_comes_before_the_walk_ends(Kind::Contact, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_conversations_come_before_a_later_walk_ends() {
    news_comes_before_the_walk_ends(Kind::Conversation, false).await;
}

/// Each poll takes longer than the time between two polls. The walk has half of the pages nevertheless.
async fn a_walk_ends_beside_slow_polls(kind: Kind, path: &str) {
    let world = impatient().await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 600,
            ..stubs(600)
        })
        .await;
    let case = case.connect().await;
    let late = FaultAction::Delay { millis: 1_100 };
    let late = case.inject(Fault::new(late).path(path));
    let _fleet = world.fleet(1);
    let (_, stream) = walk_of(kind);
    case.until_walked_after(stream, None).await;
    // Four pages of the walk, and the count or the empty page at its end.
    let pages = case.hits(late);
    assert!((4..=12).contains(&pages), "{pages} pages");
    case.clear_fault(late);
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_of_contacts_ends_beside_slow_polls() {
    a_walk_ends_beside_slow_polls(Kind::Contact, "/contacts*").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_of_conversations_ends_beside_slow_polls() {
    a_walk_ends_beside_slow_polls(Kind::Conversation, "/conversations/search").await;
}
