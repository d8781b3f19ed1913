//! A large workspace: ranges of its conversations are read side by side, within the calls of one chain of pages.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, FaultId, Kind, SortByCreation, WorkspaceSpec};
use shared::domain::Stream;

use super::stubs;
use crate::support::{Case, World, cases, held};

/// A few more than the fewest that are read in more than one range.
const LARGE: u32 = 14_000;
const STUBS: &str = "search_conversations";

fn sorted(conversations: u32, sort_by_created_at: SortByCreation) -> WorkspaceSpec {
    WorkspaceSpec {
        sort_by_created_at,
        ..stubs(conversations)
    }
}

cases! {
    a_page_that_is_late_delays_no_other_range {
        let case = Case::of(stubs(LARGE)).await;
        let late = case.hold_second_page(STUBS);
        let case = case.connect().await;
        case.until("others are read", |_| case.hits(late) == 1 && case.calls(STUBS) > 12).await;
        case.clear_fault(late);
        case.until_complete().await;
        assert_large_walk(&case, LARGE, 0).await;
    }

    a_record_that_breaks_its_page_delays_no_other_range {
        let case = Case::of(stubs(LARGE)).await;
        let ids = case.ids(Kind::Conversation);
        let choke = FaultAction::Choke { id: ids[ids.len() / 2].clone(), status: 503 };
        case.inject(Fault::new(choke).operation(STUBS));
        let case = case.connect().await;
        case.until_walked().await;
        let open = case.quarantined().await;
        assert!(open.len() == 1 && open[0].0.starts_with("conversation/created_at:"), "{open:?}");
        // Failed attempts, and the search for the second of the record. A failed call is sent twice.
        assert_large_walk(&case, LARGE - 1, 130).await;
    }

    an_intercom_that_refuses_to_sort_by_created_at_is_walked_by_updated_at {
        Case::of(sorted(450, SortByCreation::Refused)).await.synced_with(1).await;
    }

    an_intercom_that_sorts_by_another_time_is_walked_along_one_chain {
        let case = Case::of(sorted(LARGE, SortByCreation::Ignored)).await.connect().await;
        case.until_complete().await;
        assert_eq!(case.calls(STUBS), pages(LARGE));
        assert_large_walk(&case, LARGE, 0).await;
    }

    a_page_in_another_order_begins_a_divided_walk_anew_by_updated_at {
        let case = Case::of(stubs(LARGE)).await;
        let unsorted = case.inject(Fault::new(FaultAction::Unsorted).operation(STUBS).skip(20).times(1));
        let case = case.connect().await;
        case.until_complete().await;
        assert_eq!(case.hits(unsorted), 1);
        let calls = case.calls(STUBS);
        assert!(calls > 20 + pages(LARGE), "{calls} calls");
        // What was read before, with a page of the other range.
        assert_large_walk(&case, LARGE, 22).await;
    }

    a_chain_that_breaks_under_another_order_begins_anew_by_updated_at {
        let case = Case::of(sorted(450, SortByCreation::Ignored)).await;
        let dead = case.inject(Fault::status(400).operation(STUBS).skip(2).times(1));
        // Two pages and the call that failed.
        let case = case.synced_with(3).await;
        assert_eq!(case.hits(dead), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_a_large_walk_repeats_its_pages_in_flight() {
    let world = World::with(&[("REQUEST_TIMEOUT", "10m")]).await;
    let case = world.case(stubs(LARGE)).await.connect().await;
    let _scheduler = world.process("scheduler");
    let mut worker = world.process("worker");
    let (late, in_flight) = two_in_flight(&case).await;
    worker.kill();
    case.clear_fault(late);
    let _heir = world.process("worker");
    case.until_complete().await;
    // The pages in flight, and those that were read and not stored.
    assert_large_walk(&case, LARGE, 2 * in_flight + 2).await;
}

/// Holds the calls of a slice once two of them are in flight. A slice that has read for two seconds begins no other call,
/// so that on a busy machine one call may be alone. Then it is answered, and the next slice is tried.
async fn two_in_flight(case: &Case) -> (FaultId, u64) {
    loop {
        let late = case.inject(held().operation(STUBS).skip(6));
        case.until_hit(late).await;
        for _ in 0..30 {
            match case.hits(late) {
                1 => tokio::time::sleep(Duration::from_millis(100)).await,
                in_flight => return (late, in_flight),
            }
        }
        case.clear_fault(late);
    }
}

/// So many conversations are held, and none was counted twice. The walk took its pages, two in a hundred and this many
/// more.
async fn assert_large_walk(case: &Case, readable: u32, more: u64) {
    assert_eq!(
        case.held(Stream::Conversations).await,
        (i64::from(readable), Some(i64::from(LARGE)))
    );
    let (calls, floor) = (case.calls(STUBS), pages(LARGE));
    assert!(
        (floor..=floor + floor / 50 + more).contains(&calls),
        "{calls} calls, and {floor} are needed"
    );
}

fn pages(conversations: u32) -> u64 {
    u64::from(conversations).div_ceil(150)
}
