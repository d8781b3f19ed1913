//! The versions in the field: both sides of 2.16's breaking changes, and 2.17's exact seconds.

use intercom_simulator::{Change, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{Case, OBJECTS, cases, rows, tiny};
use crate::floors::reference;

fn everything() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 20,
        companies: 6,
        conversations: 15,
        parts: 5.0,
        leads: 0.4,
        ..tiny()
    }
}

async fn a_first_sync_is_exact(version: &'static str) {
    Case::of(everything()).await.version(version).synced().await;
}

rows! { a_first_sync_is_exact:
    a_first_sync_is_exact_in_2_15("2.15");
    a_first_sync_is_exact_in_2_16("2.16");
    a_first_sync_is_exact_in_2_17("2.17");
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
        case.change(Mutation::new(change, kind, 2).ago(10));
    }
    // A scroll, and the threads of the conversations that have changed.
    let changed = case
        .workspace
        .truth()
        .iter()
        .filter(|line| line.kind == Kind::Conversation && line.updated_at > Some(begun))
        .count();
    case.run(2 + changed as u64).await;
    case.run(0).await;
}

rows! { every_kind_of_change_is_held:
    every_kind_of_change_is_held_in_2_15("2.15");
    every_kind_of_change_is_held_in_2_16("2.16");
    every_kind_of_change_is_held_in_2_17("2.17");
}

async fn every_kind_of_ending_is_held(version: &'static str) {
    let case = Case::of(everything()).await.version(version).synced().await;
    case.change(Mutation::delete(Kind::Contact, 1));
    case.change(Mutation::archive(1).seed(1));
    case.change(Mutation::merge(1).seed(2).ago(10));
    case.change(Mutation::delete(Kind::Company, 1).ago(10));
    case.change(Mutation::delete(Kind::Conversation, 2));
    case.poll().await;
    // The companies of the survivor, or a scroll.
    case.within(2 + 2);
    case.ask(Mode::Incremental, &[Stream::Reference]).await;
    case.within(reference(version));
    // The company, and who was deleted or archived; before 2.16 also who was merged away, and two conversations.
    let asked = if version == "2.15" { 6 } else { 3 };
    let mut more = 0;
    for _ in 0..2 {
        case.sweep(asked).await;
        more += case.workspace.ledger().total - case.walk();
    }
    assert_eq!(more, asked);
    case.exact().await;
}

rows! { every_kind_of_ending_is_held:
    every_kind_of_ending_is_held_in_2_15("2.15");
    every_kind_of_ending_is_held_in_2_16("2.16");
    every_kind_of_ending_is_held_in_2_17("2.17");
}

/// Six contacts change within a local day, a poll and half an hour later three more do, and all are held.
async fn changes_within_a_day_are_held(contact_search_by_days: bool, more: u64) {
    let spec = WorkspaceSpec {
        contact_search_by_days,
        timezone: "UTC".to_owned(),
        companies: 0,
        ..everything()
    };
    let case = Case::at("2026-06-10T10:00:00Z", spec)
        .await
        .version("2.17")
        .synced()
        .await;
    let later = |seconds| {
        case.world
            .simulator
            .clock()
            .advance(std::time::Duration::from_secs(seconds));
    };
    case.change(Mutation::update(Kind::Contact, 6));
    later(1_800);
    case.run(0).await;
    later(1_800);
    case.change(Mutation::update(Kind::Contact, 3).seed(1));
    case.run(more).await;
    later(1_800);
    case.run(more).await;
}

rows! { changes_within_a_day_are_held:
    changes_within_a_day_are_held_by_a_search_in_seconds(false, 0);
    a_search_by_the_second_finds_changes_within_a_day(true, 1);
}

cases! {
    a_poll_whose_witnesses_have_all_ended_asks_once_more {
        let case = Case::of(everything()).await.version("2.17").synced().await;
        case.change(Mutation::delete(Kind::Contact, 20));
        for calls in [3, 2] {
            case.poll().await;
            assert_eq!(case.workspace.ledger().total, calls, "{:?}", case.workspace.ledger().by_operation);
        }
        case.ask(Mode::Full, OBJECTS).await;
        case.ask(Mode::Full, OBJECTS).await;
        case.exact().await;
    }
}

/// An idle tenant costs two calls, whatever the version calls a day.
async fn an_idle_tenant_costs_two_calls(version: &'static str) {
    let case = Case::of(everything()).await.version(version).synced().await;
    case.run(0).await;
    assert_eq!(case.workspace.ledger().total, 2);
}

rows! { an_idle_tenant_costs_two_calls:
    an_idle_tenant_costs_two_calls_in_2_15("2.15");
    an_idle_tenant_costs_two_calls_in_2_16("2.16");
    an_idle_tenant_costs_two_calls_in_2_17("2.17");
}
