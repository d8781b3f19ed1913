//! The first walk of contacts: pages, the rest of their companies, and a list that breaks.

use intercom_simulator::{Fault, Kind, Mutation, WorkspaceSpec};

use crate::support::{Case, cases, rows, tiny};

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

/// Each contact has more companies than its own object shows.
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
            case.mutate(Mutation::grow(Kind::Contact, 1).ids(contact.clone()).seed(seed).ago(4_000));
        }
        let case = case.synced().await;
        assert!(case.ids(Kind::Link).len() > 50 && case.calls("contact_companies") >= 2);
    }

    companies_that_a_404_hides_of_a_live_contact_are_read_again {
        let case = Case::of(WorkspaceSpec { contacts: 1, ..crowded(30) }).await;
        let hidden = case.inject(Fault::status(404).operation("contact_companies").times(1));
        // Whether the contact lives, and its companies once more.
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(hidden), 1);
    }

    companies_that_fail_are_reported_missing_until_they_come {
        let case = Case::of(WorkspaceSpec { contacts: 1, ..crowded(30) }).await;
        let hidden = case.inject(Fault::status(404).operation("contact_companies"));
        let case = case.connect().await;
        case.until_run_ends().await;
        assert!(!case.status().await.complete);
        assert_eq!(case.hits(hidden), 2);
        // Whether the contact lives, and its companies once more.
        case.assert_calls_within(case.first_floor() + 2);
        let quarantined: Vec<String> = case.quarantined().await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(quarantined, [format!("contact/{}", case.ids(Kind::Contact)[0])]);
        case.clear_fault(hidden);
        // Nothing about the contact itself has changed.
        case.full_walk(0).await;
        case.assert_exact().await;
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

    contacts_that_change_during_the_first_walk_come_with_a_poll {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let late = case.hold_second_page("list_contacts");
        let case = case.connect().await;
        case.until_hit(late).await;
        case.mutate(Mutation::update(Kind::Contact, 40));
        case.mutate(Mutation::add(Kind::Contact, 3));
        case.clear_fault(late);
        case.until_complete().await;
        case.assert_calls_within(case.first_floor());
        // A scroll, since they have more companies than that has pages.
        case.poll_exact(2).await;
    }

    a_list_whose_cursor_dies_starts_over_and_is_exact {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let dead = case.inject(Fault::status(400).operation("list_contacts").skip(1).times(1));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(dead), 1);
    }

    a_page_of_contacts_that_fails_twice_is_asked_for_again_alone {
        let case = Case::of(WorkspaceSpec { contacts: 320, ..tiny() }).await;
        let broken = case.inject(Fault::status(502).operation("list_contacts").skip(1).times(2));
        let case = case.synced_with(2).await;
        assert_eq!(case.hits(broken), 2);
    }
}
