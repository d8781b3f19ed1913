//! Objects that vanished: found by full walks only, absent twice, and deleted only if Intercom says so.

mod merges;

use intercom_simulator::{Change, Fault, FaultAction, Garble, Kind, Mutation, WorkspaceSpec};
use shared::{
    completeness::StreamActivity,
    domain::{Mode, Stream},
};

use crate::support::{Case, OBJECTS, World, cases, garbled, held, of, rows, tiny};

/// Polls see nothing, the first walk suspects, the second asks and is told.
async fn what_vanished_is_marked_after_two_walks(
    change: Change,
    kind: Kind,
    version: &'static str,
) {
    let case = Case::of(tiny()).await.version(version).synced().await;
    case.mutate(Mutation::new(change, kind, 2).ago(10));
    case.poll().await;
    assert_eq!(
        case.tombstones().await.len(),
        0,
        "a search shows no absence"
    );
    case.full_walk(0).await;
    assert_eq!(
        (case.tombstones().await.len(), case.absences().await.len()),
        (0, 2),
        "absent once"
    );
    case.full_walk(2).await;
    assert_eq!(case.absences().await, []);
    case.assert_exact().await;
    let stream = if kind == Kind::Company {
        Stream::Companies
    } else {
        Stream::Contacts
    };
    let status = case.stream(stream).await;
    assert_eq!(
        (status.held, status.expected),
        (case.ids(kind).len() as i64, Some(status.held))
    );
    case.poll_exact(0).await;
}

rows! { what_vanished_is_marked_after_two_walks:
    a_deleted_contact_is_marked_after_two_walks_and_a_404(Change::Delete, Kind::Contact, "2.16");
    a_deleted_contact_is_marked_after_two_walks_before_2_16(Change::Delete, Kind::Contact, "2.15");
    an_archived_contact_is_marked_after_two_walks_and_a_404(Change::Archive, Kind::Contact, "2.16");
    a_deleted_company_is_marked_after_two_walks_and_a_404(Change::Delete, Kind::Company, "2.16");
    a_contact_merged_before_2_16_is_marked_as_what_a_404_says(Change::Merge, Kind::Contact, "2.15");
}

cases! {
    a_contact_out_of_the_archive_lives_again {
        let case = Case::of(tiny()).await.synced().await;
        let archived = case.mutate(Mutation::archive(2));
        case.full_walk(0).await;
        case.full_walk(2).await;
        assert_eq!(case.tombstones().await.len(), 2);
        case.mutate(Mutation::new(Change::Unarchive, Kind::Contact, 2).ids(archived));
        // Their companies are asked for again, one by one or by a scroll.
        case.poll_exact(2).await;
        assert_eq!(case.tombstones().await.len(), 0);
    }

    news_comes_between_the_questions_after_a_mass_deletion {
        let world = World::with(&[("SYNC_INTERVAL", "1s"), ("CONVERSATION_CONCURRENCY", "8")]).await;
        let case = world.connect(WorkspaceSpec { contacts: 450, companies: 0, ..tiny() }).await;
        let _fleet = world.fleet(1);
        case.until_complete().await;
        case.mutate(Mutation::delete(Kind::Contact, 400));
        case.begin_run(Mode::Full, &[Stream::Contacts]).await;
        case.until_run_ends().await;
        // A batch has a hundred questions. The first one waits for the news, and the second batch until it is held.
        let first = case.inject(held().operation("get_contact").times(1));
        let second_batch = case.inject(held().operation("get_contact").skip(99));
        // A batch takes longer than the time between two polls, so a poll is due after the first.
        let late = case.inject(Fault::new(FaultAction::Delay { millis: 100 }).operation("get_contact"));
        case.begin_run(Mode::Full, &[Stream::Contacts]).await;
        case.until_hit(first).await;
        let news = case.mutate(Mutation::add(Kind::Contact, 1));
        case.clear_fault(first);
        case.until_held(Kind::Contact, &news[0]).await;
        assert!(case.calls("get_contact") < 400, "questions are left");
        case.clear_fault(second_batch);
        case.clear_fault(late);
        case.until_complete().await;
        case.assert_exact().await;
    }

    a_conversation_that_moved_during_a_walk_causes_no_second_walk {
        let case = Case::of(WorkspaceSpec { conversations: 320, parts: 0.0, companies: 0, ..tiny() }).await.synced().await;
        let mut conversations = case.live(Kind::Conversation);
        conversations.sort_by_key(|line| std::cmp::Reverse(line.updated_at));
        let late = case.hold_second_page("search_conversations");
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until_hit(late).await;
        // It moves from the third page to the front, which the walk has read.
        case.mutate(Mutation::update(Kind::Conversation, 1).ids([conversations[310].id.clone()]));
        case.clear_fault(late);
        case.until_complete().await;
        case.poll().await;
        assert_eq!(case.absences().await, []);
        case.settle().await;
        let before = case.stream(Stream::Conversations).await.last_ok_at;
        case.age_walks(&[Stream::Conversations], 25.0).await;
        case.until_walked_after(Stream::Conversations, before).await;
        assert_eq!(case.calls("search_conversations"), 1, "a poll is one page, and a walk is three");
    }

    a_contact_archived_for_one_walk_only_is_never_marked {
        let case = Case::of(tiny()).await.synced().await;
        let archived = case.mutate(Mutation::archive(1));
        case.full_walk(0).await;
        case.mutate(Mutation::new(Change::Unarchive, Kind::Contact, 1).ids(archived));
        case.full_walk(0).await;
        assert_eq!((case.tombstones().await.len(), case.absences().await), (0, Vec::new()));
        case.assert_exact().await;
    }

    an_archived_contact_is_not_deleted_and_is_checked_ever_less {
        let case = Case::of(WorkspaceSpec { archived_get_found: true, ..tiny() }).await.synced().await;
        case.mutate(Mutation::archive(1));
        for asked in [0, 1, 0, 1, 0] {
            case.full_walk(asked).await;
            assert_eq!(case.calls("get_contact"), asked);
        }
        assert_eq!(case.tombstones().await.len(), 0, "no 404, no tombstone");
    }

    a_walk_that_fails_half_way_suspects_no_contact {
        let case = Case::of(WorkspaceSpec { contacts: 160, ..tiny() }).await.synced().await;
        // The call and its repetition. The next attempt waits, so that the walk stays as it failed.
        let broken = case.inject(Fault::status(500).operation("list_contacts").skip(1).times(2));
        let again = case.inject(held().operation("list_contacts").skip(1).times(1));
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until_hit(again).await;
        assert_eq!(case.stream(Stream::Contacts).await.status, StreamActivity::Failed);
        assert_eq!((case.tombstones().await.len(), case.absences().await), (0, Vec::new()));
        case.clear_fault(again);
        case.until_complete().await;
        assert_eq!(case.absences().await, [], "the walk went on, and showed everybody");
        case.assert_exact_within(case.walk_floor() + case.hits(broken)).await;
    }

    a_failed_check_of_an_absence_marks_no_contact_as_deleted {
        let case = Case::of(tiny()).await.synced().await;
        case.mutate(Mutation::delete(Kind::Contact, 2));
        case.full_walk(0).await;
        let broken = case.inject(Fault::status(503).operation("get_contact").times(4));
        let floor = case.walk_floor();
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until_hits(broken, 4).await;
        case.until("they are set aside", |status| status.reasons.iter().any(|reason| reason.code == "set_aside")).await;
        assert_eq!(case.replay().await, 2);
        case.until_complete().await;
        // Two questions, each asked twice in vain and once more, after a poll.
        case.assert_calls_within(floor + 4 + 1 + 2);
        assert_eq!(case.tombstones().await.len(), 2);
        case.assert_exact().await;
    }

    an_object_that_could_not_be_read_on_a_page_was_shown {
        let case = Case::of(tiny()).await.synced().await;
        case.inject(garbled(Garble::WrongTypes, 1).operation("list_contacts").times(1));
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until_run_ends().await;
        assert_eq!(case.absences().await, []);
        assert!(!case.status().await.complete, "it is held, but not as it is now");
        // A poll looks for what is missing some seconds later.
        case.assert_calls_within(case.walk_floor() + case.calls("search_contacts"));
        case.full_walk(0).await;
        case.assert_exact().await;
    }

    a_scroll_that_hides_companies_without_users_deletes_none {
        let spec = WorkspaceSpec { companies: 8, scroll_includes_userless: true, companies_without_users: 0.0, ..tiny() };
        let case = Case::of(WorkspaceSpec { scroll_includes_userless: false, ..spec }).await;
        let case = case.connect().await;
        case.until_complete().await;
        case.assert_calls_within(case.first_floor());
        // Their last users leave: they live on, in no list.
        let before = case.stored_companies().await.len();
        case.mutate(Mutation::archive(6));
        // The second walk asks for the contacts and the companies that the first did not show.
        for asked in [0, 6 + before as u64, 0] {
            case.full_walk(asked).await;
        }
        assert!(before > 0);
        let (companies, marked) = (case.stored_companies().await, case.tombstones().await);
        assert_eq!(companies.len(), before);
        assert!(!companies.iter().any(|id| marked.contains(id)), "{marked:?}");
    }

    // A connector that deletes what it did not see also deletes after a walk that died half-way.
    a_scroll_that_dies_deletes_no_company {
        let case = Case::of(WorkspaceSpec { companies: 250, ..tiny() }).await.synced().await;
        case.settle().await;
        for _ in 0..2 {
            let dies = case.inject(Fault::status(500).operation("scroll_companies").skip(1).times(1));
            case.request(Mode::Full, &[Stream::Companies]).await;
            case.until_hit(dies).await;
            case.workspace.release_scroll();
            case.until_run_ends().await;
        }
        assert_eq!((case.tombstones().await, case.absences().await), (Vec::new(), Vec::new()));
        // Twice a page and the error, and then all four. A scroll that begins before the old one has ended is refused.
        case.assert_exact_within(2 * (2 + 4) + case.refused_scrolls()).await;
    }

    the_weekly_walk_finds_what_no_search_shows {
        let case = Case::of(tiny()).await.synced().await;
        case.mutate(Mutation::delete(Kind::Contact, 1));
        case.settle().await;
        let before = case.stream(Stream::Contacts).await.last_ok_at;
        case.pass_week().await;
        // It calls itself complete until the first page of a walk is stored.
        case.until_walked_after(Stream::Contacts, before).await;
        assert_eq!(case.calls("list_contacts"), 1);
        case.until_complete().await;
        assert_eq!(case.absences().await.len(), 1);
        // The second look is due a day later, not a week.
        case.age_walks(&[Stream::Contacts], 25.0).await;
        case.until("it is marked", |status| of(status, Stream::Contacts).held == 5).await;
        case.until_complete().await;
        assert_eq!(case.tombstones().await.len(), 1);
        // The second look, and the question.
        case.assert_exact_within(case.walk_floor() + 2).await;
        assert_eq!(case.calls("list_contacts"), 2);
    }

    a_walk_is_not_repeated_within_its_week {
        let case = Case::of(tiny()).await.synced().await;
        case.poll_exact(0).await;
        assert_eq!((case.calls("list_contacts"), case.calls("scroll_companies")), (0, 0));
    }

    before_2_16_two_walks_find_a_deleted_conversation {
        let case = Case::of(tiny()).await.version("2.15").synced().await;
        case.mutate(Mutation::delete(Kind::Conversation, 1));
        case.full_walk(0).await;
        // Its thread is asked for twice.
        case.full_walk(2).await;
        assert_eq!(case.status().await.threads.gone, 1);
        case.assert_exact().await;
    }
}
