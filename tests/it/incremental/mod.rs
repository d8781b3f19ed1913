//! What changed, and nothing else: exact again, within the calls that the changes need.

mod companies;
mod contacts;
mod conversations;
mod news;
mod unchanged;
mod versions;
mod zones;

use intercom_simulator::{Change, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::{
    first_sync::everything,
    support::{Case, World, cases, floors::reference, rows, tiny},
};

/// An idle tenant costs one search of contacts and one of conversations, in every version.
async fn an_idle_tenant_costs_two_calls(version: &'static str) {
    let case = Case::of(everything()).await.version(version).synced().await;
    let searches =
        |case: &Case| ["search_contacts", "search_conversations"].map(|of| case.calls(of));
    case.poll_exact(0).await;
    assert_eq!((searches(&case), case.all_calls()), ([1, 1], 2));
    // A resync reads the reference data as well.
    case.sync(Mode::Incremental, Stream::ALL).await;
    case.assert_exact().await;
    assert_eq!(
        (searches(&case), case.all_calls()),
        ([1, 1], 2 + case.reference_floor())
    );
}

rows! { an_idle_tenant_costs_two_calls:
    an_idle_tenant_costs_two_calls_in_2_15("2.15");
    an_idle_tenant_costs_two_calls_in_2_16("2.16");
    an_idle_tenant_costs_two_calls_in_2_17("2.17");
}

async fn every_kind_of_change_is_held(version: &'static str) {
    let case = Case::of(everything()).await.version(version).synced().await;
    let begun = case.world.simulator.clock().now() - 60;
    for (change, kind) in [
        (Change::Update, Kind::Contact),
        (Change::Add, Kind::Contact),
        (Change::Grow, Kind::Contact),
        (Change::Update, Kind::Company),
        (Change::Update, Kind::Conversation),
        (Change::Add, Kind::Conversation),
        (Change::Grow, Kind::Conversation),
        (Change::Redact, Kind::Conversation),
        (Change::Merge, Kind::Conversation),
    ] {
        case.mutate(Mutation::new(change, kind, 2).ago(10));
    }
    // A scroll, and the threads of the conversations that have changed.
    let changed = case
        .workspace
        .truth()
        .iter()
        .filter(|line| line.kind == Kind::Conversation && line.updated_at > Some(begun))
        .count();
    case.poll_exact(2 + changed as u64).await;
    case.poll_exact(0).await;
}

rows! { every_kind_of_change_is_held:
    every_kind_of_change_is_held_in_2_15("2.15");
    every_kind_of_change_is_held_in_2_16("2.16");
    every_kind_of_change_is_held_in_2_17("2.17");
}

async fn every_kind_of_ending_is_held(version: &'static str) {
    let case = Case::of(everything()).await.version(version).synced().await;
    case.mutate(Mutation::delete(Kind::Contact, 1));
    case.mutate(Mutation::archive(1).seed(1));
    case.mutate(Mutation::merge(1).seed(2).ago(10));
    case.mutate(Mutation::delete(Kind::Company, 1).ago(10));
    case.mutate(Mutation::delete(Kind::Conversation, 2));
    case.poll().await;
    // The companies of the survivor, or a scroll.
    case.assert_calls_within(2 + 2);
    case.sync(Mode::Incremental, &[Stream::Reference]).await;
    case.assert_calls_within(reference(version));
    // The company, and the contacts that were deleted or archived. Before 2.16 also the merged contact, and two
    // conversations, each of them twice.
    let asked = if version == "2.15" { 8 } else { 3 };
    let mut more = 0;
    for _ in 0..2 {
        case.full_walk(asked).await;
        more += case.all_calls() - case.walk_floor();
    }
    assert_eq!(more, asked);
    case.assert_exact().await;
}

rows! { every_kind_of_ending_is_held:
    every_kind_of_ending_is_held_in_2_15("2.15");
    every_kind_of_ending_is_held_in_2_16("2.16");
    every_kind_of_ending_is_held_in_2_17("2.17");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_of_a_second_is_kept_without_a_request() {
    let world = World::with(&[("SYNC_INTERVAL", "1s")]).await;
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    // Lost tickets are made anew after half a minute. If these runs had to wait for that, patience would end first.
    case.until("several runs have been made", |_| {
        case.calls("search_contacts") >= 9
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_less_does_not_replace_one_for_more() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    // No fleet works yet, so these three stand beside the run of the connect.
    case.resync(Mode::Reconcile).await;
    case.request(Mode::Full, &[Stream::Contacts, Stream::Companies])
        .await;
    case.resync(Mode::Incremental).await;
    let _fleet = world.fleet(1);
    case.until_run_ends().await;
    case.until_complete().await;
    let runs = case.runs().await;
    assert!(
        runs.len() == 4 && runs.iter().all(|(_, status)| status == "succeeded"),
        "{runs:?}"
    );
    let modes = case.modes().await;
    assert!(modes.iter().all(|mode| mode == "incremental"), "{modes:?}");
}

cases! {
    five_hundred_changes_of_every_kind_are_held_after_one_run {
        let spec = WorkspaceSpec { contacts: 900, companies: 250, conversations: 700, limit_per_window: 100_000, ..WorkspaceSpec::default() };
        let case = Case::of(spec).await.connect().await;
        case.until_complete().await;
        // Some seconds ago, so that no thread is read within two seconds of its own change.
        for (change, kind, count) in [
            (Change::Update, Kind::Contact, 300),
            (Change::Add, Kind::Contact, 100),
            (Change::Grow, Kind::Contact, 100),
            (Change::Update, Kind::Company, 100),
            (Change::Update, Kind::Conversation, 200),
            (Change::Add, Kind::Conversation, 100),
            (Change::Grow, Kind::Conversation, 150),
            (Change::Redact, Kind::Conversation, 50),
        ] {
            case.mutate(Mutation::new(change, kind, count).ago(5));
        }
        case.sync(Mode::Incremental, Stream::ALL).await;
        case.assert_exact().await;
    }
}

cases! {
    // No page size on the first page: ten to fifty records a call instead of 150.
    the_first_page_is_read_with_a_size {
        let spec = WorkspaceSpec { contacts: 150, conversations: 150, parts: 0.0, companies: 0, ..tiny() };
        let case = Case::of(spec).await.synced().await;
        case.mutate(Mutation::update(Kind::Contact, 150).ago(10));
        case.mutate(Mutation::grow(Kind::Conversation, 150).parts(0).ago(10));
        case.poll_exact(case.uncounted()).await;
    }

    // A stream without a primary key stores twice what is read twice. Tags and teams keep their id when their name changes.
    a_record_that_is_read_twice_is_stored_once {
        let case = Case::of(WorkspaceSpec { contacts: 20, companies: 5, conversations: 10, ..tiny() }).await.synced().await;
        case.mutate(Mutation::new(Change::Update, Kind::Contact, 5).ago(10));
        for _ in 0..2 {
            case.sync(Mode::Full, Stream::ALL).await;
            case.assert_exact_within(case.walk_floor() + reference("2.16")).await;
            assert_eq!(case.calls("get_conversation"), 0, "a walk of an exact copy fetches no thread again");
        }
        case.poll_exact(0).await;
    }
}
