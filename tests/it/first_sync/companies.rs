//! The first scroll of companies. A workspace has one scroll, which expires in silence, never resumes and ends in two ways.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, ScrollEnd, WorkspaceSpec};
use shared::{completeness::StreamActivity, domain::Stream};

use crate::support::{Case, cases, held, rows, tiny};

/// A scroll is its pages and one call that ends it, and this many calls more.
async fn a_scroll_costs_its_pages_and_its_end(companies: u32, scroll_end: ScrollEnd, more: u64) {
    let spec = WorkspaceSpec {
        companies,
        scroll_end,
        ..tiny()
    };
    let case = Case::of(spec).await.synced_with(more).await;
    let pages = u64::from(companies.div_ceil(100));
    assert_eq!(case.calls("scroll_companies"), pages + 1 + more);
}

// A 404 is believed when a second walk meets it at the same place, after a full page a third.
rows! { a_scroll_costs_its_pages_and_its_end:
    no_company_costs_one_call(0, ScrollEnd::EmptyPage, 0);
    one_company_costs_a_page_and_the_empty_one(1, ScrollEnd::EmptyPage, 0);
    a_full_page_of_companies_costs_a_page_and_the_empty_one(100, ScrollEnd::EmptyPage, 0);
    one_company_more_than_a_page_costs_one_page_more(101, ScrollEnd::EmptyPage, 0);
    many_companies_cost_their_pages_and_the_empty_one(350, ScrollEnd::EmptyPage, 0);
    a_scroll_that_ends_with_an_empty_page_ends(253, ScrollEnd::EmptyPage, 0);
    twenty_five_thousand_companies_are_one_scroll(25_000, ScrollEnd::EmptyPage, 0);
    no_company_in_a_scroll_that_ends_with_404_costs_one_call(0, ScrollEnd::NotFound, 0);
    a_scroll_that_ends_with_404_is_believed_the_second_time(1, ScrollEnd::NotFound, 2);
    a_404_after_two_scroll_pages_is_believed_the_second_time(130, ScrollEnd::NotFound, 3);
    a_404_after_a_full_scroll_page_is_believed_the_third_time(100, ScrollEnd::NotFound, 4);
}

/// The scroll has moved on when a page breaks, and its next page is another one. So it starts over.
async fn a_broken_page_restarts_the_scroll(fault: Fault, companies: u32, pages: u64) {
    let case = Case::of(WorkspaceSpec {
        companies,
        ..tiny()
    })
    .await;
    let broken = case.inject(fault.operation("scroll_companies").skip(pages).times(1));
    let case = case.connect().await;
    case.until_hit(broken).await;
    // Intercom asks to restart it, which it allows once the old one has ended. Its minute need not be waited for.
    case.workspace.release_scroll();
    case.until_complete().await;
    // The pages that were read and the broken one, because the next page of a scroll is never asked for twice. A scroll
    // that begins before the old one has ended is refused, and waits for its minute.
    let more = pages + 1 + case.refused_scrolls();
    case.assert_exact_within(case.first_floor() + more).await;
}

rows! { a_broken_page_restarts_the_scroll:
    an_error_half_way_restarts_the_scroll_and_loses_no_page(Fault::status(500), 250, 1);
    a_page_of_the_scroll_that_is_cut_short_is_not_skipped(Fault::new(FaultAction::Truncate { keep: 60 }), 450, 2);
}

cases! {
    companies_without_users_are_held {
        Case::of(WorkspaceSpec { companies: 40, companies_without_users: 1.0, ..tiny() }).await.synced().await;
    }

    another_vendors_scroll_is_waited_out_and_said {
        let case = Case::of(tiny()).await;
        case.workspace.hold_scroll(Duration::from_secs(3_600));
        let case = case.connect().await;
        case.until_blocked(Stream::Companies).await;
        let blocked = case.stream(Stream::Companies).await.blocked.unwrap();
        assert_eq!(blocked.code, "scroll_taken");
        assert!(!blocked.message.is_empty() && blocked.action.is_some() && blocked.until.is_some());
        assert!(!case.status().await.complete);
        // The scroll is not asked for again before the other's minute has passed.
        assert_eq!(case.calls("scroll_companies"), 1);
        case.workspace.release_scroll();
        case.make_due(&[Stream::Companies]).await;
        // The call that found it taken.
        case.first_sync(1).await;
    }

    a_scroll_lost_to_another_vendor_half_way_starts_over {
        let case = Case::of(WorkspaceSpec { companies: 250, ..tiny() }).await;
        let late = case.hold_second_page("scroll_companies");
        let third = case.inject(Fault::new(FaultAction::Delay { millis: 250 }).operation("scroll_companies").skip(2).times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        case.workspace.release_scroll();
        case.clear_fault(late);
        // Two pages and the lost scroll.
        case.first_sync(3).await;
        assert_eq!(case.hits(third), 1);
    }

    // A scroll that has expired answers 404, which looks like its end.
    an_expired_scroll_is_not_the_end_of_the_companies {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { companies: 150, ..tiny() }).await;
        let late = case.hold_second_page("scroll_companies");
        // Of the calls that reach this one it is the third: the late one does not, the dead cursor is the second.
        let again = case.inject(held().operation("scroll_companies").skip(2).times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        assert_eq!(case.stream(Stream::Companies).await.held, 100);
        // The late page was made before the jump. The one after it is too late.
        case.world.simulator.clock().advance(Duration::from_secs(62));
        case.clear_fault(late);
        case.until_hit(again).await;
        assert_eq!(case.calls("scroll_companies"), 4, "the walk has begun anew");
        assert_eq!(case.stream(Stream::Companies).await.held, 150);
        assert!(!case.status().await.complete, "all are held, and nobody has said that these are all");
        case.clear_fault(again);
        // Two pages and the dead cursor.
        case.first_sync(3).await;
        let companies = case.stream(Stream::Companies).await;
        assert_eq!((companies.held, companies.status), (150, StreamActivity::Idle));
        // And then two pages and the empty one.
        assert_eq!(case.calls("scroll_companies"), 3 + 3);
    }

    an_empty_page_at_once_is_a_workspace_without_companies {
        let spec = WorkspaceSpec { companies: 20, companies_without_users: 1.0, scroll_includes_userless: false, ..tiny() };
        let case = Case::of(spec).await.connect().await;
        case.until_complete().await;
        assert_eq!((case.calls("scroll_companies"), case.stream(Stream::Companies).await.held), (1, 0));
        // Without the page that shows none.
        case.assert_calls_within(case.first_floor() - 1);
    }

    companies_that_change_during_a_scroll_come_with_a_poll {
        let case = Case::of(WorkspaceSpec { companies: 250, contacts: 20, ..tiny() }).await;
        let late = case.hold_second_page("scroll_companies");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.mutate(Mutation::new(Change::Update, Kind::Company, 3));
        case.clear_fault(late);
        case.until_complete().await;
        case.assert_calls_within(case.first_floor());
        case.full_walk(0).await;
        case.assert_exact().await;
    }
}
