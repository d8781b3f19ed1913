//! Contact search by the second, which 2.17 has, and by the day, which it may still have.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use shared::domain::Mode;

use crate::{
    first_sync::everything,
    support::{Case, OBJECTS, cases, rows},
};

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
    case.mutate(Mutation::update(Kind::Contact, 6));
    later(1_800);
    case.poll_exact(0).await;
    later(1_800);
    case.mutate(Mutation::update(Kind::Contact, 3).seed(1));
    case.poll_exact(more).await;
    later(1_800);
    case.poll_exact(more).await;
}

rows! { changes_within_a_day_are_held:
    changes_within_a_day_are_held_by_a_search_in_seconds(false, 0);
    a_search_by_the_second_finds_changes_within_a_day(true, 1);
}

cases! {
    a_poll_whose_witnesses_have_all_ended_asks_once_more {
        let case = Case::of(everything()).await.version("2.17").synced().await;
        case.mutate(Mutation::delete(Kind::Contact, 20));
        for calls in [3, 2] {
            case.poll().await;
            assert_eq!(case.all_calls(), calls, "{:?}", case.workspace.ledger().by_operation);
        }
        case.sync(Mode::Full, OBJECTS).await;
        case.sync(Mode::Full, OBJECTS).await;
        case.assert_exact().await;
    }
}
