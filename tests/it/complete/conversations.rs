//! Conversation stubs: a search that drifts, repeats, expires, is not sorted, and breaks over one record.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{Case, OBJECTS, cases, of, rows, tiny};
use crate::floors::reference;

/// Stubs only: their threads are empty and cost nothing.
fn stubs(conversations: u32) -> WorkspaceSpec {
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

/// Changes found by one poll in this many calls beside the two.
async fn a_poll_finds(change: Change, count: u32, more: u64) {
    let case = Case::of(WorkspaceSpec {
        conversations: 20,
        parts: 3.0,
        companies: 0,
        ..tiny()
    })
    .await
    .synced()
    .await;
    case.change(
        Mutation::new(change, Kind::Conversation, count)
            .ago(10)
            .spread(20),
    );
    case.run(more).await;
    case.run(0).await;
}

rows! { a_poll_finds:
    a_poll_finds_changed_conversations_and_their_threads(Change::Update, 5, 5);
    a_poll_finds_grown_conversations_and_their_threads(Change::Grow, 7, 7);
    a_poll_finds_redacted_conversations_and_their_threads(Change::Redact, 3, 3);
    a_poll_finds_new_conversations_and_their_threads(Change::Add, 4, 4);
}

/// All of them have one `updated_at`, as a bulk update leaves them.
fn bulk_update(case: &Case) {
    case.change(
        Mutation::new(Change::Grow, Kind::Conversation, 400)
            .parts(0)
            .ago(10),
    );
}

cases! {
    a_bulk_update_across_pages_within_one_second_is_held {
        let case = Case::of(stubs(400)).await.synced().await;
        bulk_update(&case);
        case.run(2 + case.uncounted()).await;
        assert_eq!(case.calls("search_conversations"), 3);
    }

    a_cursor_that_dies_within_a_shared_second_loses_nothing {
        let case = Case::of(stubs(400)).await.synced().await;
        bulk_update(&case);
        let dead = case.fault(Fault::status(400).operation("search_conversations").skip(1).times(1));
        // Beside the first page: the dead cursor, and the second that was reached, whole: three pages.
        case.run(1 + 3 + case.uncounted()).await;
        assert_eq!(case.hits(dead), 1);
    }

    a_cursor_that_dies_resumes_by_time_and_costs_one_page_more {
        let case = Case::of(stubs(450)).await;
        let dead = case.fault(Fault::status(400).operation("search_conversations").skip(2).times(1));
        // The call that failed, and what the resumed second repeats.
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(dead), 1);
    }

    a_cursor_that_outlives_its_time_is_asked_for_anew {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { cursor_ttl_seconds: Some(30), ..stubs(450) }).await;
        let late = case.late_second_page("search_conversations");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.world.simulator.clock().advance(Duration::from_secs(31));
        case.let_go(late);
        // The dead cursor, and what the resumed second repeats.
        case.first_sync(2).await;
    }

    a_cursor_that_repeats_is_not_followed_in_a_ring {
        let case = Case::of(stubs(450)).await;
        let repeats = case.fault(Fault::new(FaultAction::RepeatCursor).operation("search_conversations").skip(1).times(1));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(repeats), 1);
    }

    a_repeating_cursor_ends_and_is_never_called_complete {
        let case = Case::of(stubs(450)).await;
        let repeats = case.fault(Fault::new(FaultAction::RepeatCursor).operation("search_conversations"));
        let case = case.connect().await;
        case.until("it has given up twice", |_| case.hits(repeats) > 4).await;
        assert!(!case.status().await.complete);
        assert!(case.calls("search_conversations") < 40, "it backs off");
        case.world.simulator.clear_fault(repeats);
        case.ask_again().await;
        // Every page that led nowhere.
        case.exact_within(case.first() + case.hits(repeats) + case.asked_again()).await;
    }

    unsorted_answers_are_kept_and_nothing_is_concluded {
        let case = Case::of(stubs(450)).await;
        let unsorted = case.fault(Fault::new(FaultAction::Unsorted).operation("search_conversations"));
        let case = case.synced().await;
        assert_eq!(case.hits(unsorted), 3);
    }

    a_dead_cursor_without_an_order_starts_the_walk_over {
        let case = Case::of(stubs(450)).await;
        let unsorted = case.fault(Fault::new(FaultAction::Unsorted).operation("search_conversations").times(2));
        let dead = case.fault(Fault::status(400).operation("search_conversations").times(1));
        let case = case.synced_with(3).await;
        assert_eq!((case.hits(unsorted), case.hits(dead)), (2, 1));
    }

    conversations_that_move_during_the_walk_come_with_a_poll {
        let case = Case::of(stubs(450)).await;
        let late = case.late_second_page("search_conversations");
        let case = case.connect().await;
        case.until_hit(late).await;
        let before = case.first();
        case.change(Mutation::update(Kind::Conversation, 60));
        case.change(Mutation::add(Kind::Conversation, 3));
        case.let_go(late);
        case.complete().await;
        // A poll, and a new count, since the walk saw fewer than there are.
        case.within(before + 2);
        // The count, where nobody polled yet; and twice the threads that only a call shows to be empty, fetched within
        // two seconds of their change.
        case.run(1 + 2 * case.uncounted()).await;
    }

    a_conversation_closed_after_a_poll_is_closed_in_the_next {
        let case = Case::of(WorkspaceSpec { conversations: 8, parts: 3.0, ..tiny() }).await.synced().await;
        for seed in 0..3 {
            case.change(Mutation::update(Kind::Conversation, 2).seed(seed).ago(3));
            case.run(2).await;
        }
    }

    bounds_that_include_their_second_double_nothing {
        let case = Case::of(WorkspaceSpec { conversation_bounds_inclusive: true, ..stubs(400) }).await.synced().await;
        bulk_update(&case);
        case.run(2 + case.uncounted()).await;
    }

    conversations_listed_as_deleted_keep_their_parts {
        let case = Case::of(WorkspaceSpec { conversations: 6, parts: 4.0, ..tiny() }).await.synced().await;
        case.change(Mutation::delete(Kind::Conversation, 2).ago(10));
        case.ask(Mode::Incremental, &[Stream::Reference]).await;
        case.exact_within(reference("2.16")).await;
        assert_eq!(case.status().await.threads.gone, 2);
        assert_eq!(case.calls("deleted_conversations"), 1);
    }

    conversations_deleted_before_we_came_are_no_records {
        Case::of(WorkspaceSpec { deleted_conversations: 3, ..tiny() }).await.synced().await;
    }

    many_deleted_conversations_are_read_page_by_page {
        let case = Case::of(stubs(200)).await.synced().await;
        case.change(Mutation::delete(Kind::Conversation, 130).ago(10));
        case.ask(Mode::Incremental, &[Stream::Reference]).await;
        // The second page and the third.
        case.exact_within(reference("2.16") + 2).await;
        assert_eq!(case.calls("deleted_conversations"), 3);
    }

    a_failed_list_of_deleted_conversations_loses_none {
        let case = Case::of(stubs(20)).await.synced().await;
        case.change(Mutation::delete(Kind::Conversation, 2).ago(10));
        let broken = case.fault(Fault::status(503).operation("deleted_conversations").times(2));
        case.ask(Mode::Incremental, &[Stream::Reference]).await;
        assert_eq!(case.hits(broken), 2);
        // The lists that were read are not read again.
        case.exact_within(reference("2.16") + 2).await;
    }

    a_page_that_fails_passingly_is_asked_for_again {
        let case = Case::of(stubs(450)).await;
        let broken = case.fault(Fault::status(504).operation("search_conversations").skip(1).times(2));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(broken), 2);
    }

    a_record_that_breaks_a_poll_costs_no_neighbour {
        let case = Case::of(stubs(40)).await.synced().await;
        let changed = case.change(Mutation::update(Kind::Conversation, 20).ago(10).spread(300));
        let choke = FaultAction::Choke { id: changed[7].clone(), status: 404 };
        let choke = case.fault(Fault::new(choke).operation("search_conversations"));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Incremental, OBJECTS).await;
        case.world.until_run_ends(case.connected()).await;
        let quarantine = case.sql("SELECT kind, source_id FROM quarantine WHERE connection_id = $1 AND resolved_at IS NULL").await;
        assert_eq!(quarantine.len(), 1, "{quarantine:?}");
        assert!(!case.status().await.complete, "and it says so");
        // The poll of contacts, the page that broke, what finds a record in it at the most, and the page behind it.
        case.within(1 + 1 + 42 + 1);
        case.world.simulator.clear_fault(choke);
        case.sweep(1).await;
        case.exact().await;
    }

    threads_of_new_conversations_come_before_those_of_old_ones {
        let case = Case::of(WorkspaceSpec { conversations: 250, parts: 5.0, ..tiny() }).await;
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
