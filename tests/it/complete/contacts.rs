//! Contacts: pages, sub-lists, index delay, seconds, and walks while things move.

use std::time::Duration;

use intercom_simulator::{Change, Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{Case, OBJECTS, cases, rows, tiny};

async fn a_first_walk_costs_its_pages(contacts: u32) {
    Case::of(WorkspaceSpec { contacts, ..tiny() })
        .await
        .synced()
        .await;
}

rows! { a_first_walk_costs_its_pages:
    no_contact_costs_one_page(0);
    one_contact_costs_one_page(1);
    a_full_page_of_contacts_costs_one_page(150);
    one_contact_more_than_a_page_costs_two(151);
    two_full_pages_of_contacts_cost_two(300);
}

/// Changes of one kind to this many contacts, found by one poll in this many calls beside the two.
async fn a_poll_finds(change: Change, count: u32, pages: u64) {
    let spec = WorkspaceSpec {
        contacts: 320,
        companies: 0,
        conversations: 1,
        ..tiny()
    };
    let case = Case::of(spec).await.synced().await;
    case.change(
        Mutation::new(change, Kind::Contact, count)
            .ago(10)
            .spread(30),
    );
    case.run(pages - 1).await;
    // What it holds, it does not write again.
    let written = case.sql("SELECT max(updated_at)::text, '' FROM contacts WHERE tenant_id = (SELECT tenant_id FROM connections WHERE id = $1)").await;
    case.run(pages - 1).await;
    let again = case.sql("SELECT max(updated_at)::text, '' FROM contacts WHERE tenant_id = (SELECT tenant_id FROM connections WHERE id = $1)").await;
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

/// Everybody has more companies than a contact shows.
fn crowded(companies: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        companies,
        contacts_over_10_companies: 1.0,
        conversations: 1,
        ..tiny()
    }
}

cases! {
    companies_beyond_the_ten_that_a_contact_shows_are_asked_for {
        let case = Case::of(crowded(30)).await.synced().await;
        assert_eq!(case.calls("contact_companies"), 6);
    }

    more_companies_than_a_page_of_fifty_come_page_by_page {
        let case = Case::of(WorkspaceSpec { contacts: 1, ..crowded(120) }).await;
        let contact = case.ids(Kind::Contact);
        for seed in 0..14 {
            case.change(Mutation::grow(Kind::Contact, 1).ids(contact.clone()).seed(seed).ago(4_000));
        }
        let case = case.synced().await;
        assert!(case.ids(Kind::Link).len() > 50 && case.calls("contact_companies") >= 2);
    }

    a_contact_that_leaves_a_company_loses_that_link_alone {
        let case = Case::of(crowded(30)).await.synced().await;
        let company = case.ids(Kind::Company)[0].clone();
        case.change(Mutation::delete(Kind::Company, 1).ids([company]).ago(10));
        case.poll().await;
        let links = case.sql("SELECT contact_source_id, company_source_id FROM contact_companies WHERE connection_id = $1").await;
        assert_eq!(links.len(), case.ids(Kind::Link).len());
        // The rest of who left, and a scroll instead of each of their companies.
        assert!(case.calls("contact_companies") <= 6);
        case.within(2 + case.calls("contact_companies") + 2);
        // The company is absent from a second walk, and asked for.
        case.sweep(1).await;
        case.sweep(0).await;
        case.exact().await;
    }

    a_contact_that_vanishes_keeps_the_companies_that_it_had {
        let case = Case::of(crowded(30)).await.synced().await;
        let contact = case.ids(Kind::Contact)[0].clone();
        case.change(Mutation::update(Kind::Contact, 1).ids([contact.clone()]).ago(10));
        let gone = case.fault(Fault::status(404).path(format!("/contacts/{contact}/companies")).times(1));
        let asked = case.fault(Fault::status(404).path(format!("/contacts/{contact}")).times(1));
        // Two refusals; and a scroll, since it has more companies than that has pages.
        case.run(2 + 2).await;
        assert_eq!((case.hits(gone), case.hits(asked)), (1, 1));
    }

    companies_that_a_404_hides_of_a_live_contact_are_read_again {
        let case = Case::of(WorkspaceSpec { contacts: 1, ..crowded(30) }).await;
        let hidden = case.fault(Fault::status(404).operation("contact_companies").times(1));
        // Whether the contact lives, and its companies once more.
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(hidden), 1);
    }

    companies_that_fail_are_reported_missing_until_they_come {
        let case = Case::of(WorkspaceSpec { contacts: 1, ..crowded(30) }).await;
        let hidden = case.fault(Fault::status(404).operation("contact_companies"));
        let case = case.connect().await;
        case.world.until_run_ends(case.connected()).await;
        assert!(!case.status().await.complete);
        assert_eq!(case.hits(hidden), 2);
        // Whether the contact lives, and its companies once more.
        case.within(case.first() + 2);
        let quarantine = case.sql("SELECT kind, source_id FROM quarantine WHERE connection_id = $1 AND resolved_at IS NULL").await;
        assert_eq!(quarantine, [("contact".to_owned(), case.ids(Kind::Contact)[0].clone())]);
        case.world.simulator.clear_fault(hidden);
        // Nothing about the contact itself has changed.
        case.sweep(0).await;
        case.exact().await;
    }

    tags_beyond_the_ten_that_a_contact_shows_cost_no_call {
        let spec = WorkspaceSpec { contacts_over_10_tags: 1.0, tags: 30, ..tiny() };
        let case = Case::of(spec).await.synced().await;
        assert_eq!(case.calls("contact_tags"), 0);
    }

    leads_without_an_address_are_held {
        let spec = WorkspaceSpec { leads: 1.0, leads_without_email: 1.0, ..tiny() };
        Case::of(spec).await.synced().await;
    }

    a_contact_that_search_shows_late_comes_with_a_later_poll {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { index_delay_seconds: 300, ..tiny() }).await;
        let case = case.synced().await;
        case.change(Mutation::add(Kind::Contact, 1));
        // Polls come and go, and their watermarks with them.
        for _ in 0..3 {
            case.world.simulator.clock().advance(Duration::from_secs(60));
            case.poll().await;
            case.within(2);
            assert_eq!(case.stream(Stream::Contacts).await.held, 6, "search does not show it yet");
        }
        case.world.simulator.clock().advance(Duration::from_secs(150));
        // Its company, or a scroll.
        case.run(2).await;
    }

    a_contact_hidden_around_midnight_comes_with_the_weekly_walk {
        let case = Case::at("2026-05-05T22:00:00Z", WorkspaceSpec { midnight_blind_seconds: 300, ..tiny() }).await;
        let case = case.synced().await;
        case.world.simulator.clock().set_now(super::unix("2026-05-06T00:01:00Z"));
        let late = case.change(Mutation::add(Kind::Contact, 1));
        case.world.simulator.clock().advance(Duration::from_secs(1_800));
        case.poll().await;
        case.within(2);
        assert!(case.ids(Kind::Contact).contains(&late[0]) && case.stream(Stream::Contacts).await.held == 6);
        case.workspace.ledger().reset();
        case.a_week_passes().await;
        case.until("the walk has it", |status| super::of(status, Stream::Contacts).held == 7).await;
        case.complete().await;
        case.exact_within(case.walk()).await;
    }

    a_poll_between_two_changes_of_a_second_loses_neither {
        let case = Case::at("2026-05-05T10:00:00Z", tiny()).await.synced().await;
        let clock = case.world.simulator.clock();
        let contact = case.ids(Kind::Contact)[0].clone();
        for seed in 0..3 {
            clock.set_now(super::unix("2026-05-05T10:10:00Z"));
            case.change(Mutation::update(Kind::Contact, 1).ids([contact.clone()]).seed(seed));
            // Its company, or a scroll.
            case.run(2).await;
        }
    }

    contacts_that_change_during_the_first_walk_come_with_a_poll {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let late = case.late_second_page("list_contacts");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.change(Mutation::update(Kind::Contact, 40));
        case.change(Mutation::add(Kind::Contact, 3));
        case.let_go(late);
        case.complete().await;
        case.within(case.first());
        // A scroll, since they have more companies than that has pages.
        case.run(2).await;
    }

    contacts_that_change_while_a_poll_goes_on_come_with_the_next {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.change(Mutation::update(Kind::Contact, 200).ago(10));
        let late = case.late_second_page("search_contacts");
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Incremental, OBJECTS).await;
        case.until_hit(late).await;
        case.change(Mutation::update(Kind::Contact, 60).seed(3));
        case.let_go(late);
        case.complete().await;
        // The second page.
        case.within(2 + 1);
        case.run(2).await;
    }

    a_search_that_is_not_sorted_is_not_stopped_early {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.change(Mutation::update(Kind::Contact, 200).ago(10).spread(120));
        let unsorted = case.fault(Fault::new(FaultAction::Unsorted).operation("search_contacts"));
        // The second page.
        case.run(1).await;
        assert_eq!(case.hits(unsorted), 2);
    }

    a_search_whose_cursor_repeats_starts_over_and_ends {
        let case = Case::of(WorkspaceSpec { contacts: 320, companies: 0, ..tiny() }).await.synced().await;
        case.change(Mutation::update(Kind::Contact, 310).ago(10));
        let repeats = case.fault(Fault::new(FaultAction::RepeatCursor).operation("search_contacts").skip(1).times(1));
        // The page that led nowhere, and the walk anew.
        case.run(2 + 2).await;
        assert_eq!(case.hits(repeats), 1);
    }

    a_list_whose_cursor_dies_starts_over_and_is_exact {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let dead = case.fault(Fault::status(400).operation("list_contacts").skip(1).times(1));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(dead), 1);
    }

    a_page_of_contacts_that_fails_twice_is_asked_for_again_alone {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let broken = case.fault(Fault::status(502).operation("list_contacts").skip(1).times(2));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(broken), 2);
    }
}
