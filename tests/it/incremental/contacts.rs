//! Polls of contacts: index delay, seconds, days, and what changes meanwhile.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::support::{Case, OBJECTS, cases, of, rows, tiny, unix};

/// Changes of one kind to this many contacts, found by one poll in this many calls beside the two.
async fn a_poll_finds(change: Change, count: u32, pages: u64) {
    let spec = WorkspaceSpec {
        contacts: 320,
        companies: 0,
        conversations: 1,
        ..tiny()
    };
    let case = Case::of(spec).await.synced().await;
    case.mutate(
        Mutation::new(change, Kind::Contact, count)
            .ago(10)
            .spread(30),
    );
    case.poll_exact(pages - 1).await;
    // What it holds, it does not write again.
    let written = case.last_profile_write().await;
    case.poll_exact(pages - 1).await;
    let again = case.last_profile_write().await;
    assert_eq!(written, again);
}

rows! { a_poll_finds:
    a_poll_without_changes_costs_two_calls(Change::Update, 0, 1);
    a_poll_finds_one_changed_contact(Change::Update, 1, 1);
    a_poll_finds_a_new_contact(Change::Add, 1, 1);
    a_poll_finds_a_contact_that_grew(Change::Grow, 3, 1);
    a_poll_finds_two_pages_of_changed_contacts(Change::Update, 200, 2);
    a_poll_finds_that_every_contact_changed(Change::Update, 320, 3);
}

cases! {
    a_contact_that_search_shows_late_comes_with_a_later_poll {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { index_delay_seconds: 300, ..tiny() }).await;
        let case = case.synced().await;
        case.mutate(Mutation::add(Kind::Contact, 1));
        // Polls come and go, and their watermarks with them.
        for _ in 0..3 {
            case.world.simulator.clock().advance(Duration::from_secs(60));
            case.poll().await;
            case.assert_calls_within(2);
            assert_eq!(case.stream(Stream::Contacts).await.held, 6, "search does not show it yet");
        }
        case.world.simulator.clock().advance(Duration::from_secs(150));
        // Its company, or a scroll.
        case.poll_exact(2).await;
    }

    a_contact_hidden_around_midnight_comes_with_the_weekly_walk {
        let case = Case::at("2026-05-05T22:00:00Z", WorkspaceSpec { midnight_blind_seconds: 300, ..tiny() }).await;
        let case = case.synced().await;
        case.world.simulator.clock().set_now(unix("2026-05-06T00:01:00Z"));
        let late = case.mutate(Mutation::add(Kind::Contact, 1));
        case.world.simulator.clock().advance(Duration::from_secs(1_800));
        case.poll().await;
        case.assert_calls_within(2);
        assert!(case.ids(Kind::Contact).contains(&late[0]) && case.stream(Stream::Contacts).await.held == 6);
        case.reset_calls();
        case.pass_week().await;
        case.until("the walk has it", |status| of(status, Stream::Contacts).held == 7).await;
        case.until_complete().await;
        case.assert_exact_within(case.walk_floor()).await;
    }

    a_poll_between_two_changes_of_a_second_loses_neither {
        let case = Case::at("2026-05-05T10:00:00Z", tiny()).await.synced().await;
        let clock = case.world.simulator.clock();
        let contact = case.ids(Kind::Contact)[0].clone();
        for seed in 0..3 {
            clock.set_now(unix("2026-05-05T10:10:00Z"));
            case.mutate(Mutation::update(Kind::Contact, 1).ids([contact.clone()]).seed(seed));
            // Its company, or a scroll.
            case.poll_exact(2).await;
        }
    }

    // `updated_at > watermark` means "from the next day on", so what changes later on the watermark's day is never read.
    a_later_change_on_the_day_of_the_watermark_is_read {
        let case = Case::at("2026-05-05T17:00:00Z", WorkspaceSpec { companies: 0, ..tiny() }).await.synced().await;
        for minutes in [20, 40, 60, 400] {
            case.world.simulator.clock().set_now(unix("2026-05-05T17:00:00Z") + minutes * 60);
            case.mutate(Mutation::update(Kind::Contact, 1).seed(u64::try_from(minutes).unwrap()));
            case.poll_exact(0).await;
        }
    }

    // Windows of thirty days that end with `<` leave out their last day.
    the_last_day_of_a_thirty_day_window_is_read {
        let spec = WorkspaceSpec { contacts: 400, history_days: 400, timezone: "UTC".to_owned(), companies: 0, ..tiny() };
        let case = Case::at("2026-05-05T00:00:00Z", spec).await.synced().await;
        // A poller that was away for two months finds all of them.
        for day in [1, 29, 30, 31, 59, 60, 61] {
            case.world.simulator.clock().set_now(unix("2026-05-05T00:00:00Z") + day * 86_400);
            case.mutate(Mutation::update(Kind::Contact, 3).seed(u64::try_from(day).unwrap()));
        }
        case.poll_exact(0).await;
    }

    contacts_that_change_while_a_poll_goes_on_come_with_the_next {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.mutate(Mutation::update(Kind::Contact, 200).ago(10));
        let late = case.hold_second_page("search_contacts");
        case.begin_run(Mode::Incremental, OBJECTS).await;
        case.until_hit(late).await;
        case.mutate(Mutation::update(Kind::Contact, 60).seed(3));
        case.clear_fault(late);
        case.until_complete().await;
        // The second page.
        case.assert_calls_within(2 + 1);
        case.poll_exact(2).await;
    }

    a_search_that_is_not_sorted_is_not_stopped_early {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.mutate(Mutation::update(Kind::Contact, 200).ago(10).spread(120));
        let unsorted = case.inject(Fault::new(FaultAction::Unsorted).operation("search_contacts"));
        // The second page.
        case.poll_exact(1).await;
        assert_eq!(case.hits(unsorted), 2);
    }

    a_search_whose_cursor_repeats_starts_over_and_ends {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.mutate(Mutation::update(Kind::Contact, 310).ago(10));
        let repeats = case.inject(Fault::new(FaultAction::RepeatCursor).operation("search_contacts").skip(1).times(1));
        // The page that led nowhere, and the walk anew.
        case.poll_exact(2 + 2).await;
        assert_eq!(case.hits(repeats), 1);
    }
}
