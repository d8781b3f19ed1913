//! News during a full walk: a poll runs between its pages, also during the first one.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::{
    first_sync::stubs,
    support::{World, held, of, wait_for},
};

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

/// Each page takes its time.
fn slow_pages(operation: &str) -> Fault {
    Fault::new(FaultAction::Delay { millis: 400 }).operation(operation)
}

/// An object that begins during the first walk is held before the walk has ended.
async fn news_comes_before_the_first_walk_ends(kind: Kind) {
    let world = impatient().await;
    let case = world.connect(slow()).await;
    let (operation, stream) = walk_of(kind);
    let second = case.hold_second_page(operation);
    let _fleet = world.fleet(1);
    case.until_hit(second).await;
    let news = case.mutate(Mutation::add(kind, 1));
    // After three slow pages a poll is due, whatever came before them. So it has ended when a fifth call comes, and the
    // walk has not.
    let fifth = case.inject(held().operation(operation).skip(4));
    let late = case.inject(slow_pages(operation));
    case.clear_fault(second);
    case.until_hit(fifth).await;
    let kept = case.kept(kind).await;
    assert!(
        kept.iter().any(|kept| kept.id == news[0]),
        "{} others are held",
        kept.len()
    );
    let status = case.status().await;
    assert_eq!(of(&status, stream).last_ok_at, None, "the walk goes on");
    assert!(!status.complete, "and nothing is called complete");
    case.clear_fault(fifth);
    case.clear_fault(late);
    case.until_run_ends().await;
    case.until_complete().await;
    case.assert_exact().await;
}

/// An object that begins during a later walk is held as well.
async fn news_comes_before_a_later_walk_ends(kind: Kind) {
    let world = impatient().await;
    let case = world.connect(slow()).await;
    let (operation, stream) = walk_of(kind);
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.settle().await;
    let late = case.inject(slow_pages(operation));
    case.request(Mode::Full, &[stream]).await;
    case.until_hits(late, 3).await;
    let news = case.mutate(Mutation::add(kind, 1));
    case.until_held(kind, &news[0]).await;
    case.clear_fault(late);
    case.until_run_ends().await;
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contacts_come_before_the_first_walk_ends() {
    news_comes_before_the_first_walk_ends(Kind::Contact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_conversations_come_before_the_first_walk_ends() {
    news_comes_before_the_first_walk_ends(Kind::Conversation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_contacts_come_before_a_later_walk_ends() {
    news_comes_before_a_later_walk_ends(Kind::Contact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_conversations_come_before_a_later_walk_ends() {
    news_comes_before_a_later_walk_ends(Kind::Conversation).await;
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
    // Counted before each look at the walk, because the polls go on after its end.
    let mut pages = 0;
    wait_for("the walk has ended", async || {
        let so_far = case.hits(late);
        if case.stream(stream).await.last_ok_at.is_some() {
            return Ok(());
        }
        pages = so_far;
        Err(format!("{pages} pages"))
    })
    .await;
    // Four pages of the walk, and the count or the empty page at its end.
    assert!(case.hits(late) >= 4 && pages <= 12, "{pages} pages");
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
