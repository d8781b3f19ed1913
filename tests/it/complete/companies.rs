//! Companies: one scroll per workspace, which dies of silence, never resumes, and ends in two ways.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, ScrollEnd, WorkspaceSpec};
use shared::{
    completeness::StreamState,
    domain::{Mode, Stream},
};

use super::{Case, OBJECTS, cases, of, rows, tiny};

async fn a_scroll_costs_its_pages_and_its_end(companies: u32, scroll_end: ScrollEnd, more: u64) {
    let spec = WorkspaceSpec {
        companies,
        scroll_end,
        ..tiny()
    };
    Case::of(spec).await.synced_with(more).await;
}

// A 404 is believed when a second walk meets it at the same place, after a full page a third.
rows! { a_scroll_costs_its_pages_and_its_end:
    no_company_costs_one_call(0, ScrollEnd::EmptyPage, 0);
    one_company_costs_a_page_and_the_empty_one(1, ScrollEnd::EmptyPage, 0);
    a_full_page_of_companies_costs_a_page_and_the_empty_one(100, ScrollEnd::EmptyPage, 0);
    one_company_more_than_a_page_costs_one_page_more(101, ScrollEnd::EmptyPage, 0);
    many_companies_cost_their_pages_and_the_empty_one(350, ScrollEnd::EmptyPage, 0);
    twenty_five_thousand_companies_are_one_scroll(25_000, ScrollEnd::EmptyPage, 0);
    no_company_in_a_scroll_that_ends_with_404_costs_one_call(0, ScrollEnd::NotFound, 0);
    a_scroll_that_ends_with_404_is_believed_the_second_time(1, ScrollEnd::NotFound, 2);
    a_404_after_a_full_scroll_page_is_believed_the_third_time(100, ScrollEnd::NotFound, 4);
}

cases! {
    companies_without_users_are_held {
        Case::of(WorkspaceSpec { companies: 40, companies_without_users: 1.0, ..tiny() }).await.synced().await;
    }

    a_company_that_gains_its_first_user_is_asked_for_by_id {
        let spec = WorkspaceSpec { companies: 3, companies_without_users: 1.0, ..tiny() };
        let case = Case::of(spec).await.synced().await;
        let company = case.ids(Kind::Company)[0].clone();
        case.change(Mutation::grow(Kind::Company, 1).ids([company]).ago(10));
        case.run(1).await;
        assert_eq!((case.calls("get_company"), case.calls("scroll_companies")), (1, 0));
    }

    a_poll_reads_only_the_companies_of_changed_contacts {
        let case = Case::of(WorkspaceSpec { companies: 250, contacts: 40, ..tiny() }).await.synced().await;
        let truth = case.workspace.truth();
        let company = truth.iter().find_map(|line| line.company.clone()).unwrap();
        case.change(Mutation::update(Kind::Company, 1).ids([company]).ago(10));
        // Four would be a scroll.
        case.run(3).await;
        assert_eq!(case.calls("scroll_companies"), 0);
    }

    a_new_company_of_a_changed_contact_is_held_after_a_poll {
        let case = Case::of(tiny()).await.synced().await;
        case.change(Mutation::add(Kind::Company, 1).ago(10));
        // One by id, or a scroll.
        case.run(2).await;
    }

    a_company_that_changes_alone_is_held_after_the_daily_walk {
        let case = Case::of(tiny()).await.synced().await;
        case.change(Mutation::update(Kind::Company, 2).touch_contact(false).ago(10));
        case.poll().await;
        case.within(2);
        assert_eq!(case.calls("get_company"), 0, "nothing shows it");
        case.workspace.ledger().reset();
        let before = case.stream(Stream::Companies).await.last_ok_at;
        case.a_week_passes().await;
        case.walks(Stream::Companies, before).await;
        assert_eq!(case.calls("scroll_companies"), 2);
        case.complete().await;
        case.exact_within(case.walk()).await;
    }

    more_wishes_than_a_scroll_has_pages_become_a_scroll {
        let case = Case::of(WorkspaceSpec { companies: 8, contacts: 60, ..tiny() }).await.synced().await;
        case.change(Mutation::update(Kind::Contact, 60).ago(10));
        case.run(2).await;
        assert_eq!((case.calls("scroll_companies"), case.calls("get_company")), (2, 0));
    }

    a_wish_stored_while_the_slice_begins_is_served_once {
        let case = Case::of(tiny()).await.synced().await;
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        // As a page of contacts leaves it whose transaction is younger than the slice and was waited for.
        case.sql("WITH wish AS (
                      INSERT INTO company_wants (tenant_id, connection_id, source_id, wanted_at)
                      SELECT tenant_id, connection_id, source_id, now() + interval '3 seconds' FROM company_sources
                      WHERE connection_id = $1 ORDER BY source_id LIMIT 1
                  )
                  UPDATE streams SET due_at = now(), ticketed_at = NULL
                  WHERE connection_id = $1 AND stream = 'companies' RETURNING stream, ''").await;
        let begun = std::time::Instant::now();
        while !case.sql("SELECT source_id, '' FROM company_wants WHERE connection_id = $1").await.is_empty() {
            assert!(begun.elapsed() < crate::world::PATIENCE, "the wish is not served");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        case.exact_within(1).await;
    }

    another_vendors_scroll_is_waited_out_and_said {
        let case = Case::of(tiny()).await;
        case.workspace.hold_scroll(Duration::from_secs(3_600));
        let case = case.connect().await;
        case.until("the scroll is taken", |status| of(status, Stream::Companies).blocked.is_some()).await;
        let blocked = case.stream(Stream::Companies).await.blocked.unwrap();
        assert_eq!(blocked.code, "scroll_taken");
        assert!(!blocked.message.is_empty() && blocked.action.is_some() && blocked.until.is_some());
        assert!(!case.status().await.complete);
        // Nobody knocks before the other's minute has passed.
        assert_eq!(case.calls("scroll_companies"), 1);
        case.workspace.release_scroll();
        case.sql("UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = 'companies' RETURNING stream, ''").await;
        // The knock.
        case.first_sync(1).await;
    }

    a_foreign_scroll_deletes_nothing_and_delays_no_other_stream {
        let case = Case::of(tiny()).await.synced().await;
        case.workspace.hold_scroll(Duration::from_secs(3_600));
        case.change(Mutation::add(Kind::Contact, 2).ago(10));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Full, OBJECTS).await;
        case.until("contacts are held", |status| of(status, Stream::Contacts).held == 8).await;
        case.until("the scroll is taken", |status| of(status, Stream::Companies).blocked.is_some()).await;
        let absent = case.sql("SELECT source_id, '' FROM absences WHERE connection_id = $1").await;
        assert_eq!(absent, []);
        case.workspace.release_scroll();
        case.ask_again().await;
        // The knock.
        case.exact_within(case.walk() + 1 + case.asked_again()).await;
    }

    a_scroll_lost_to_another_vendor_half_way_starts_over {
        let case = Case::of(WorkspaceSpec { companies: 250, ..tiny() }).await;
        let late = case.late_second_page("scroll_companies");
        let third = case.fault(Fault::new(FaultAction::Delay { millis: 250 }).operation("scroll_companies").skip(2).times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        case.workspace.release_scroll();
        case.let_go(late);
        // Two pages and the lost scroll.
        case.first_sync(3).await;
        assert_eq!(case.hits(third), 1);
    }

    an_expired_scroll_is_not_taken_for_its_end {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { companies: 250, ..tiny() }).await;
        let late = case.late_second_page("scroll_companies");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.world.simulator.clock().advance(Duration::from_secs(62));
        case.let_go(late);
        // Two pages and the dead cursor.
        case.first_sync(3).await;
        let companies = case.stream(Stream::Companies).await;
        assert_eq!((companies.held, companies.status), (250, StreamState::Idle));
        // And then three pages and the empty one.
        assert_eq!(case.calls("scroll_companies"), 3 + 4);
    }

    an_error_half_way_restarts_the_scroll_and_loses_no_page {
        let case = Case::of(WorkspaceSpec { companies: 250, ..tiny() }).await;
        let broken = case.fault(Fault::status(500).operation("scroll_companies").skip(1).times(1));
        let case = case.connect().await;
        case.until_hit(broken).await;
        // Intercom asks to restart it, which it allows once the old one has ended.
        case.workspace.release_scroll();
        // A page and the error: the next page of a scroll is never asked for twice.
        case.first_sync(2).await;
    }

    an_empty_page_at_once_is_a_workspace_without_companies {
        let spec = WorkspaceSpec { companies: 20, companies_without_users: 1.0, scroll_includes_userless: false, ..tiny() };
        let case = Case::of(spec).await.connect().await;
        case.complete().await;
        assert_eq!((case.calls("scroll_companies"), case.stream(Stream::Companies).await.held), (1, 0));
        // Without the page that shows none.
        case.within(case.first() - 1);
    }

    companies_that_change_during_a_scroll_come_with_a_poll {
        let case = Case::of(WorkspaceSpec { companies: 250, contacts: 20, ..tiny() }).await;
        let late = case.late_second_page("scroll_companies");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.change(Mutation::new(Change::Update, Kind::Company, 3));
        case.let_go(late);
        case.complete().await;
        case.within(case.first());
        case.sweep(0).await;
        case.exact().await;
    }
}
