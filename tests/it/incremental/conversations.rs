//! Polls of conversation stubs, and the list of deleted conversations.

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::{
    first_sync::stubs,
    support::{Case, OBJECTS, cases, floors::reference, rows, tiny},
};

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
    case.mutate(
        Mutation::new(change, Kind::Conversation, count)
            .ago(10)
            .spread(20),
    );
    case.poll_exact(more).await;
    case.poll_exact(0).await;
}

rows! { a_poll_finds:
    a_poll_finds_changed_conversations_and_their_threads(Change::Update, 5, 5);
    a_poll_finds_grown_conversations_and_their_threads(Change::Grow, 7, 7);
    a_poll_finds_redacted_conversations_and_their_threads(Change::Redact, 3, 3);
    a_poll_finds_new_conversations_and_their_threads(Change::Add, 4, 4);
}

/// All of them have one `updated_at`, as a bulk update leaves them.
fn bulk_update(case: &Case) {
    case.mutate(
        Mutation::new(Change::Grow, Kind::Conversation, 400)
            .parts(0)
            .ago(10),
    );
}

cases! {
    a_bulk_update_across_pages_within_one_second_is_held {
        let case = Case::of(stubs(400)).await.synced().await;
        bulk_update(&case);
        case.poll_exact(2 + case.uncounted()).await;
        assert_eq!(case.calls("search_conversations"), 3);
    }

    a_cursor_that_dies_within_a_shared_second_loses_nothing {
        let case = Case::of(stubs(400)).await.synced().await;
        bulk_update(&case);
        let dead = case.inject(Fault::status(400).operation("search_conversations").skip(1).times(1));
        // Beside the first page: the dead cursor, and the second that was reached, whole: three pages.
        case.poll_exact(1 + 3 + case.uncounted()).await;
        assert_eq!(case.hits(dead), 1);
    }

    bounds_that_include_their_second_double_nothing {
        let case = Case::of(WorkspaceSpec { conversation_bounds_inclusive: true, ..stubs(400) }).await.synced().await;
        bulk_update(&case);
        case.poll_exact(2 + case.uncounted()).await;
    }

    a_conversation_closed_after_a_poll_is_closed_in_the_next {
        let case = Case::of(WorkspaceSpec { conversations: 8, parts: 3.0, ..tiny() }).await.synced().await;
        for seed in 0..3 {
            case.mutate(Mutation::update(Kind::Conversation, 2).seed(seed).ago(3));
            case.poll_exact(2).await;
        }
    }

    a_record_that_breaks_a_poll_costs_no_neighbour {
        let case = Case::of(stubs(40)).await.synced().await;
        let changed = case.mutate(Mutation::update(Kind::Conversation, 20).ago(10).spread(300));
        let choke = FaultAction::Choke { id: changed[7].clone(), status: 404 };
        let choke = case.inject(Fault::new(choke).operation("search_conversations"));
        case.begin_run(Mode::Incremental, OBJECTS).await;
        case.until_run_ends().await;
        let quarantine = case.quarantined().await;
        assert_eq!(quarantine.len(), 1, "{quarantine:?}");
        assert!(!case.status().await.complete, "and it says so");
        // The poll of contacts, the page that broke, what finds a record in it at the most, and the page behind it.
        case.assert_calls_within(1 + 1 + 42 + 1);
        case.clear_fault(choke);
        case.full_walk(1).await;
        case.assert_exact().await;
    }

    conversations_listed_as_deleted_keep_their_parts {
        let case = Case::of(WorkspaceSpec { conversations: 6, parts: 4.0, ..tiny() }).await.synced().await;
        case.mutate(Mutation::delete(Kind::Conversation, 2).ago(10));
        case.sync(Mode::Incremental, &[Stream::Reference]).await;
        case.assert_exact_within(reference("2.16")).await;
        assert_eq!(case.status().await.threads.gone, 2);
        assert_eq!(case.calls("deleted_conversations"), 1);
    }

    many_deleted_conversations_are_read_page_by_page {
        let case = Case::of(stubs(200)).await.synced().await;
        case.mutate(Mutation::delete(Kind::Conversation, 130).ago(10));
        case.sync(Mode::Incremental, &[Stream::Reference]).await;
        // The second page and the third.
        case.assert_exact_within(reference("2.16") + 2).await;
        assert_eq!(case.calls("deleted_conversations"), 3);
    }

    a_failed_list_of_deleted_conversations_loses_none {
        let case = Case::of(stubs(20)).await.synced().await;
        case.mutate(Mutation::delete(Kind::Conversation, 2).ago(10));
        let broken = case.inject(Fault::status(503).operation("deleted_conversations").times(2));
        case.sync(Mode::Incremental, &[Stream::Reference]).await;
        assert_eq!(case.hits(broken), 2);
        // The lists that were read are not read again.
        case.assert_exact_within(reference("2.16") + 2).await;
    }
}
