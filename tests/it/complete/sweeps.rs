//! Who vanished: found by full walks only, absent twice, and gone only by Intercom's own word.

use intercom_simulator::{Change, Fault, FaultAction, Garble, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{Case, OBJECTS, cases, rows, tiny};

/// Tombstones of a connection: contacts and companies.
async fn tombstones(case: &Case) -> usize {
    case.sql(
        "SELECT source_id, 'contact' FROM contact_sources WHERE connection_id = $1 AND deleted_at IS NOT NULL
         UNION ALL SELECT source_id, 'company' FROM company_sources WHERE connection_id = $1 AND deleted_at IS NOT NULL",
    )
    .await
    .len()
}

async fn absences(case: &Case) -> Vec<(String, String)> {
    case.sql("SELECT source_id, walks::text FROM absences WHERE connection_id = $1 ORDER BY 1")
        .await
}

/// Polls see nothing, the first walk suspects, the second asks and is told.
async fn who_vanished_is_marked_after_two_walks(change: Change, kind: Kind, version: &'static str) {
    let case = Case::of(tiny()).await.version(version).synced().await;
    case.change(Mutation::new(change, kind, 2).ago(10));
    case.poll().await;
    assert_eq!(tombstones(&case).await, 0, "a search shows no absence");
    case.sweep(0).await;
    assert_eq!(
        (tombstones(&case).await, absences(&case).await.len()),
        (0, 2),
        "absent once"
    );
    case.sweep(2).await;
    assert_eq!(absences(&case).await, []);
    case.exact().await;
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
    case.run(0).await;
}

rows! { who_vanished_is_marked_after_two_walks:
    a_deleted_contact_is_marked_after_two_walks_and_a_404(Change::Delete, Kind::Contact, "2.16");
    a_deleted_contact_is_marked_after_two_walks_before_2_16(Change::Delete, Kind::Contact, "2.15");
    an_archived_contact_is_marked_after_two_walks_and_a_404(Change::Archive, Kind::Contact, "2.16");
    a_deleted_company_is_marked_after_two_walks_and_a_404(Change::Delete, Kind::Company, "2.16");
    a_contact_merged_before_2_16_is_marked_as_what_a_404_says(Change::Merge, Kind::Contact, "2.15");
}

cases! {
    a_contact_out_of_the_archive_lives_again {
        let case = Case::of(tiny()).await.synced().await;
        let archived = case.change(Mutation::archive(2));
        case.sweep(0).await;
        case.sweep(2).await;
        assert_eq!(tombstones(&case).await, 2);
        case.change(Mutation::new(Change::Unarchive, Kind::Contact, 2).ids(archived));
        // Their companies are asked for again, one by one or by a scroll.
        case.run(2).await;
        assert_eq!(tombstones(&case).await, 0);
    }

    a_contact_archived_for_one_walk_only_is_never_marked {
        let case = Case::of(tiny()).await.synced().await;
        let archived = case.change(Mutation::archive(1));
        case.sweep(0).await;
        case.change(Mutation::new(Change::Unarchive, Kind::Contact, 1).ids(archived));
        case.sweep(0).await;
        assert_eq!((tombstones(&case).await, absences(&case).await), (0, Vec::new()));
        case.exact().await;
    }

    an_archived_contact_is_not_deleted_and_is_checked_ever_less {
        let case = Case::of(WorkspaceSpec { archived_get_found: true, ..tiny() }).await.synced().await;
        case.change(Mutation::archive(1));
        for asked in [0, 1, 0, 1, 0] {
            case.sweep(asked).await;
            assert_eq!(case.calls("get_contact"), asked);
        }
        assert_eq!(tombstones(&case).await, 0, "no 404, no tombstone");
    }

    a_walk_that_fails_half_way_suspects_nobody {
        let case = Case::of(WorkspaceSpec { contacts: 160, ..tiny() }).await.synced().await;
        let broken = case.fault(Fault::status(500).operation("list_contacts").skip(1));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Full, OBJECTS).await;
        case.until_hit(broken).await;
        case.until("the walk has failed", |status| super::of(status, Stream::Contacts).status
            == shared::completeness::StreamState::Failed).await;
        assert_eq!((tombstones(&case).await, absences(&case).await), (0, Vec::new()));
        case.world.simulator.clear_fault(broken);
        case.complete().await;
        assert_eq!(absences(&case).await, [], "the walk went on, and showed everybody");
        case.exact_within(case.walk() + case.hits(broken)).await;
    }

    a_failed_check_of_an_absence_marks_no_contact_as_deleted {
        let case = Case::of(tiny()).await.synced().await;
        case.change(Mutation::delete(Kind::Contact, 2));
        case.sweep(0).await;
        let broken = case.fault(Fault::status(503).operation("get_contact").times(4));
        // Two questions, each asked twice in vain and once more.
        case.sweep(4 + 2).await;
        assert_eq!(case.hits(broken), 4);
        assert_eq!(tombstones(&case).await, 2);
        case.exact().await;
    }

    an_object_that_could_not_be_read_on_a_page_was_shown {
        let case = Case::of(tiny()).await.synced().await;
        let garbled = FaultAction::Garble { how: Garble::WrongTypes, id: None, place: 1, part: false };
        case.fault(Fault::new(garbled).operation("list_contacts").times(1));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Full, OBJECTS).await;
        case.world.until_run_ends(case.connected()).await;
        assert_eq!(absences(&case).await, []);
        assert!(!case.status().await.complete, "it is held, but not as it is now");
        case.within(case.walk());
        case.sweep(0).await;
        case.exact().await;
    }

    a_scroll_that_hides_companies_without_users_deletes_none {
        let spec = WorkspaceSpec { companies: 8, scroll_includes_userless: true, companies_without_users: 0.0, ..tiny() };
        let case = Case::of(WorkspaceSpec { scroll_includes_userless: false, ..spec }).await;
        let case = case.connect().await;
        case.complete().await;
        case.within(case.first());
        // Their last users leave: they live on, in no list.
        let before = case.sql("SELECT source_id, '' FROM company_sources WHERE connection_id = $1").await.len();
        case.change(Mutation::archive(6));
        // The second walk asks for the contacts and the companies that the first did not show.
        for asked in [0, 6 + before as u64, 0] {
            case.sweep(asked).await;
        }
        let alive = case
            .sql("SELECT source_id, '' FROM company_sources WHERE connection_id = $1 AND deleted_at IS NULL")
            .await;
        assert!(before > 0 && alive.len() == before, "{before} companies were held, {} are alive", alive.len());
    }

    the_weekly_walk_finds_what_no_search_shows {
        let case = Case::of(tiny()).await.synced().await;
        case.change(Mutation::delete(Kind::Contact, 1));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        let before = case.stream(Stream::Contacts).await.last_ok_at;
        case.a_week_passes().await;
        // It calls itself complete until the first page of a walk is stored.
        case.walks(Stream::Contacts, before).await;
        assert_eq!(case.calls("list_contacts"), 1);
        case.complete().await;
        assert_eq!(absences(&case).await.len(), 1);
        // The second look is due a day later, not a week.
        case.sql("UPDATE streams SET walked_at = walked_at - interval '25 hours', due_at = now(), ticketed_at = NULL
                  WHERE connection_id = $1 AND stream = 'contacts' RETURNING stream, ''").await;
        case.until("it is marked", |status| super::of(status, Stream::Contacts).held == 5).await;
        case.complete().await;
        assert_eq!(tombstones(&case).await, 1);
        // The second look, and the question.
        case.exact_within(case.walk() + 2).await;
        assert_eq!(case.calls("list_contacts"), 2);
    }

    a_walk_is_not_repeated_within_its_week {
        let case = Case::of(tiny()).await.synced().await;
        case.run(0).await;
        assert_eq!((case.calls("list_contacts"), case.calls("scroll_companies")), (0, 0));
    }

    before_2_16_two_walks_find_a_deleted_conversation {
        let case = Case::of(tiny()).await.version("2.15").synced().await;
        case.change(Mutation::delete(Kind::Conversation, 1));
        case.sweep(0).await;
        case.sweep(1).await;
        assert_eq!(case.status().await.threads.gone, 1);
        case.exact().await;
    }
}
