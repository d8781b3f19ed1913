//! Defects that connectors of this kind are known for, each as the case in which it loses data.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, ScrollEnd, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{Case, cases, of, tiny, unix};
use crate::floors::reference;

cases! {
    // `updated_at > watermark` means "from the next day on", so what changes later on the watermark's day is never read.
    a_later_change_on_the_day_of_the_watermark_is_read {
        let case = Case::at("2026-05-05T17:00:00Z", WorkspaceSpec { companies: 0, ..tiny() }).await.synced().await;
        for minutes in [20, 40, 60, 400] {
            case.world.simulator.clock().set_now(unix("2026-05-05T17:00:00Z") + minutes * 60);
            case.change(Mutation::update(Kind::Contact, 1).seed(u64::try_from(minutes).unwrap()));
            case.run(0).await;
        }
    }

    // Windows of thirty days that end with `<` leave out their last day.
    the_last_day_of_a_thirty_day_window_is_read {
        let spec = WorkspaceSpec { contacts: 400, history_days: 400, timezone: "UTC".to_owned(), companies: 0, ..tiny() };
        let case = Case::at("2026-05-05T00:00:00Z", spec).await.synced().await;
        // A poller that was away for two months finds all of them.
        for day in [1, 29, 30, 31, 59, 60, 61] {
            case.world.simulator.clock().set_now(unix("2026-05-05T00:00:00Z") + day * 86_400);
            case.change(Mutation::update(Kind::Contact, 3).seed(u64::try_from(day).unwrap()));
        }
        case.run(0).await;
    }

    // A connector that deletes what it did not see also deletes after a walk that died half-way.
    a_scroll_that_dies_deletes_no_company {
        let case = Case::of(WorkspaceSpec { companies: 250, ..tiny() }).await.synced().await;
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        for _ in 0..2 {
            let dies = case.fault(Fault::status(500).operation("scroll_companies").skip(1).times(1));
            case.world.request(case.connected(), Mode::Full, &[Stream::Companies]).await;
            case.until_hit(dies).await;
            case.workspace.release_scroll();
            case.world.until_run_ends(case.connected()).await;
        }
        let deleted = case.sql("SELECT source_id, '' FROM company_sources WHERE connection_id = $1 AND deleted_at IS NOT NULL").await;
        let absent = case.sql("SELECT source_id, '' FROM absences WHERE connection_id = $1").await;
        assert_eq!((deleted.len(), absent.len()), (0, 0));
        // Twice a page and the error, and then all four.
        case.exact_within(2 * (2 + 4)).await;
    }

    // A scroll that has expired answers 404, which looks like its end.
    an_expired_scroll_is_not_the_end_of_the_companies {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { companies: 150, ..tiny() }).await;
        let late = case.late_second_page("scroll_companies");
        // Of the calls that reach this one it is the third: the late one does not, the dead cursor is the second.
        let again = case.fault(Fault::new(FaultAction::Hold { after: 0 }).operation("scroll_companies").skip(2).times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        assert_eq!(case.stream(Stream::Companies).await.held, 100);
        // The late page was made before the jump; the one after it is too late.
        case.world.simulator.clock().advance(Duration::from_secs(62));
        case.let_go(late);
        case.until_hit(again).await;
        // A call is struck a moment before it is entered.
        case.until("the walk has begun anew", |_| case.calls("scroll_companies") == 4).await;
        assert_eq!(case.stream(Stream::Companies).await.held, 150);
        assert!(!case.status().await.complete, "all are held, and nobody has said that these are all");
        case.let_go(again);
        // Two pages and the dead cursor.
        case.first_sync(3).await;
    }

    // A reader that waits for a 404 walks an empty scroll for ever. Another one stops after two pages.
    a_scroll_that_ends_with_an_empty_page_ends {
        let case = Case::of(WorkspaceSpec { companies: 253, scroll_end: ScrollEnd::EmptyPage, ..tiny() }).await;
        let case = case.synced().await;
        assert_eq!(case.calls("scroll_companies"), 4);
    }

    // If records are written by id and the bookmark is a time, a kill skips later ids with earlier times.
    a_resumed_walk_skips_no_conversation {
        let case = Case::of(WorkspaceSpec { conversations: 320, parts: 0.0, ..tiny() }).await;
        let ids = case.ids(Kind::Conversation);
        case.change(Mutation::grow(Kind::Conversation, 3).ids([&ids[0], &ids[160], &ids[319]].map(Clone::clone)).ago(4_000));
        let dead = case.fault(Fault::new(FaultAction::Reset).operation("search_conversations").skip(1).times(4));
        let case = case.synced_with(4).await;
        assert_eq!(case.hits(dead), 4);
    }

    // A filter of parts by `created_at` never reads an edit of an old part.
    edits_of_old_parts_are_read {
        let case = Case::of(WorkspaceSpec { conversations: 3, parts: 6.0, ..tiny() }).await.synced().await;
        for seed in 0..4 {
            case.change(Mutation::update(Kind::Conversation, 3).seed(seed).ago(60 - 10 * seed as u32));
            case.run(3).await;
        }
    }

    // If each part's own `updated_at` is compared with one bookmark, sixty percent of the threads lack parts.
    parts_older_than_the_watermark_are_read {
        let case = Case::of(WorkspaceSpec { conversations: 1, parts: 0.0, ..tiny() }).await.synced_with(1).await;
        // Parts that are hours older than the watermark come to light with a later change of their conversation.
        case.change(Mutation::grow(Kind::Conversation, 1).parts(5).ago(7_200));
        case.change(Mutation::grow(Kind::Conversation, 1).parts(1).ago(10));
        case.run(1).await;
        let thread = case.sql("SELECT held::text, expected::text FROM threads WHERE connection_id = $1").await;
        assert_eq!(thread, [("6".to_owned(), "6".to_owned())]);
    }

    // A strict `>` on the last second seen loses the second change of that second.
    the_second_change_within_a_second_is_read {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { conversations: 2, parts: 2.0, ..tiny() }).await;
        let case = case.synced().await;
        let ids = case.ids(Kind::Conversation);
        for seed in 0..2 {
            case.world.simulator.clock().set_now(unix("2026-05-05T10:10:00Z"));
            case.change(Mutation::grow(Kind::Conversation, 1).ids(ids[..1].to_vec()).seed(seed));
            case.poll().await;
            // Its thread; and once more, since it was fetched within two seconds of its change.
            case.within(2 + 2);
            case.world.simulator.clock().set_now(unix("2026-05-05T10:10:05Z"));
            case.run(1).await;
        }
    }

    // Pages move while they are read, so a record can move to a page that was read before.
    pages_that_move_lose_no_record {
        let case = Case::of(WorkspaceSpec { contacts: 320, conversations: 320, parts: 0.0, companies: 0, ..tiny() }).await;
        let late = [case.late_second_page("list_contacts"), case.late_second_page("search_conversations")];
        let case = case.connect().await;
        for late in late {
            case.until_hit(late).await;
        }
        let contacts = case.change(Mutation::add(Kind::Contact, 5));
        let conversations = case.change(Mutation::add(Kind::Conversation, 5));
        for late in late {
            case.let_go(late);
        }
        case.complete().await;
        let status = case.status().await;
        let counted = |stream| (of(&status, stream).held, of(&status, stream).expected);
        assert_eq!(counted(Stream::Contacts), (320 + contacts.len() as i64, Some(325)));
        assert_eq!(counted(Stream::Conversations), (320 + conversations.len() as i64, Some(325)));
        // Once more the threads that were fetched within two seconds of their beginning.
        case.exact_within(case.first() + 5).await;
    }

    // No page size on the first page: ten to fifty records a call instead of 150.
    the_first_page_is_read_with_a_size {
        let spec = WorkspaceSpec { contacts: 150, conversations: 150, parts: 0.0, companies: 0, ..tiny() };
        let case = Case::of(spec).await.synced().await;
        case.change(Mutation::update(Kind::Contact, 150).ago(10));
        case.change(Mutation::grow(Kind::Conversation, 150).parts(0).ago(10));
        case.run(case.uncounted()).await;
    }

    // Error bodies are returned as if they were data.
    error_bodies_are_not_taken_for_data {
        let case = Case::of(WorkspaceSpec { contacts: 160, ..tiny() }).await;
        let body = r#"{"type":"list","data":[],"total_count":0,"errors":[{"code":"x"}]}"#;
        for (operation, status) in [("list_contacts", 429), ("scroll_companies", 500), ("search_conversations", 503), ("list_tags", 500), ("get_conversation", 502)] {
            let action = FaultAction::Status { status, body: Some(body.to_owned()), headers: vec![("retry-after".to_owned(), "1".to_owned())] };
            case.fault(Fault::new(action).operation(operation).times(1));
        }
        // The refused window interrupts the lists of reference data, which then come once more.
        case.synced_with(5 + 8).await;
    }

    // A stream without a primary key stores twice what is read twice. Tags and teams keep their id when their name changes.
    a_record_that_is_read_twice_is_stored_once {
        let case = Case::of(WorkspaceSpec { contacts: 20, companies: 5, conversations: 10, ..tiny() }).await.synced().await;
        case.change(Mutation::new(Change::Update, Kind::Contact, 5).ago(10));
        for _ in 0..2 {
            case.ask(Mode::Full, Stream::ALL).await;
            case.exact_within(case.walk() + reference("2.16")).await;
        }
        case.run(0).await;
    }
}
