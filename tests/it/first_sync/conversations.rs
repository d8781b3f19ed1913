//! The first search of conversation stubs. It drifts, repeats, expires, is not sorted, and breaks over one record.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::support::{Case, cases, of, rows, tiny};

/// Stubs only: their threads are empty and cost nothing.
pub(crate) fn stubs(conversations: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        conversations,
        parts: 0.0,
        contacts: 3,
        companies: 0,
        ..tiny()
    }
}

async fn a_first_walk_costs_its_pages(conversations: u32) {
    Case::of(stubs(conversations)).await.synced().await;
}

rows! { a_first_walk_costs_its_pages:
    no_conversation_costs_one_page(0);
    a_full_page_of_conversations_costs_one_page(150);
    one_conversation_more_than_a_page_costs_two(151);
    three_full_pages_of_conversations_cost_three(450);
}

/// Every page that would show one conversation answers an error, until the fault is cleared.
async fn a_record_breaks_its_search(status: u16, most_calls: u64) {
    let case = Case::of(WorkspaceSpec {
        conversations: 60,
        ..tiny()
    })
    .await;
    let ids = case.ids(Kind::Conversation);
    let choke = FaultAction::Choke {
        id: ids[ids.len() / 2].clone(),
        status,
    };
    let choke = case.inject(Fault::new(choke).operation("search_conversations"));
    let case = case.connect().await;
    case.until_walked().await;

    let open = case.quarantined().await;
    assert!(
        open.len() == 1 && open[0].0.starts_with("conversation/created_at:"),
        "{open:?}"
    );
    assert!(!case.status().await.complete, "one conversation is missing");
    assert_eq!(case.held(Stream::Conversations).await, (59, Some(60)));
    let calls = case.calls("search_conversations");
    assert!(calls <= most_calls, "{calls} calls to find one record");

    case.clear_fault(choke);
    case.until_run_ends().await;
    case.resync(Mode::Full).await;
    case.until_complete().await;
    assert_eq!(case.held(Stream::Conversations).await, (60, Some(60)));
    case.assert_exact().await;
}

// The client tries a server error three times within a call.
rows! { a_record_breaks_its_search:
    a_record_that_breaks_its_search_with_404_is_stepped_over(404, 60);
    a_record_that_breaks_its_search_with_503_is_stepped_over(503, 130);
}

cases! {
    a_cursor_that_dies_resumes_by_time_and_costs_one_page_more {
        let case = Case::of(stubs(450)).await;
        let dead = case.inject(Fault::status(400).operation("search_conversations").skip(2).times(1));
        // The call that failed, and what the resumed second repeats.
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(dead), 1);
    }

    a_cursor_that_outlives_its_time_is_asked_for_anew {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { cursor_ttl_seconds: Some(30), ..stubs(450) }).await;
        let late = case.hold_second_page("search_conversations");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.world.simulator.clock().advance(Duration::from_secs(31));
        case.clear_fault(late);
        // The dead cursor, and what the resumed second repeats.
        case.first_sync(2).await;
    }

    a_cursor_that_repeats_is_not_followed_in_a_circle {
        let case = Case::of(stubs(450)).await;
        let repeats = case.inject(Fault::new(FaultAction::RepeatCursor).operation("search_conversations").skip(1).times(1));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(repeats), 1);
    }

    a_repeating_cursor_ends_and_is_never_called_complete {
        let case = Case::of(stubs(450)).await;
        let repeats = case.inject(Fault::new(FaultAction::RepeatCursor).operation("search_conversations"));
        let case = case.connect().await;
        case.until("it has given up twice", |_| case.hits(repeats) > 4).await;
        assert!(!case.status().await.complete);
        assert!(case.calls("search_conversations") < 40, "it backs off");
        case.clear_fault(repeats);
        case.retry_now().await;
        // Every page that led nowhere.
        case.assert_exact_within(case.first_floor() + case.hits(repeats) + case.retry_floor()).await;
    }

    unsorted_answers_are_kept_and_nothing_is_concluded {
        let case = Case::of(stubs(450)).await;
        let unsorted = case.inject(Fault::new(FaultAction::Unsorted).operation("search_conversations"));
        let case = case.synced().await;
        assert_eq!(case.hits(unsorted), 3);
    }

    a_dead_cursor_without_an_order_starts_the_walk_over {
        let case = Case::of(stubs(450)).await;
        let unsorted = case.inject(Fault::new(FaultAction::Unsorted).operation("search_conversations").times(2));
        let dead = case.inject(Fault::status(400).operation("search_conversations").times(1));
        let case = case.synced_with(3).await;
        assert_eq!((case.hits(unsorted), case.hits(dead)), (2, 1));
    }

    conversations_that_move_during_the_walk_come_with_a_poll {
        let case = Case::of(stubs(450)).await;
        let late = case.hold_second_page("search_conversations");
        let case = case.connect().await;
        case.until_hit(late).await;
        let before = case.first_floor();
        case.mutate(Mutation::update(Kind::Conversation, 60));
        case.mutate(Mutation::add(Kind::Conversation, 3));
        case.clear_fault(late);
        case.until_complete().await;
        // A poll, and a new count, since the walk saw fewer than there are.
        case.assert_calls_within(before + 2);
        // The count, if no poll has come yet. And twice the threads that only a call shows to be empty, because they are
        // fetched within two seconds of their change.
        case.poll_exact(1 + 2 * case.uncounted()).await;
    }

    a_page_that_fails_passingly_is_asked_for_again {
        let case = Case::of(stubs(450)).await;
        let broken = case.inject(Fault::status(504).operation("search_conversations").skip(1).times(2));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(broken), 2);
    }

    // If records are written by id and the bookmark is a time, a kill skips later ids with earlier times.
    a_resumed_walk_skips_no_conversation {
        let case = Case::of(WorkspaceSpec { conversations: 320, parts: 0.0, ..tiny() }).await;
        let ids = case.ids(Kind::Conversation);
        case.mutate(Mutation::grow(Kind::Conversation, 3).ids([&ids[0], &ids[160], &ids[319]].map(Clone::clone)).ago(4_000));
        let dead = case.inject(Fault::new(FaultAction::Reset).operation("search_conversations").skip(1).times(4));
        let case = case.synced_with(4).await;
        assert_eq!(case.hits(dead), 4);
    }

    threads_of_new_conversations_come_before_those_of_old_ones {
        // One page of stubs, which are walked in the order in which their conversations began.
        let case = Case::of(WorkspaceSpec { conversations: 150, parts: 5.0, ..tiny() }).await;
        let case = case.connect().await;
        case.first_sync(0).await;
        let truth = case.workspace.truth();
        let updated = |id: &str| truth.iter().find(|line| line.id == id).and_then(|line| line.updated_at).unwrap();
        let order: Vec<i64> = case
            .workspace
            .ledger()
            .rows()
            .into_iter()
            .filter(|row| row.operation == "get_conversation")
            .map(|row| updated(row.path.trim_start_matches("/conversations/")))
            .collect();
        // One is asked for when one of those before it has been answered.
        let at_once = case.world.config.conversation_concurrency;
        assert!(order.len() > 2 * at_once, "{order:?}");
        for (place, changed) in order.iter().enumerate() {
            let newer = order.iter().filter(|other| *other > changed).count();
            assert!(newer < place + at_once, "{newer} are newer than the one asked for as number {place}: {order:?}");
        }
        assert!(of(&case.status().await, Stream::Threads).complete);
    }
}
