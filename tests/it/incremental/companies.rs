//! Companies of contacts that have changed, by id or by a scroll.

use std::time::Duration;

use intercom_simulator::{Fault, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::support::{Case, OBJECTS, cases, of, tiny, wait_for};

/// Each contact has more companies than its own object shows.
fn crowded() -> WorkspaceSpec {
    WorkspaceSpec {
        companies: 30,
        contacts_over_10_companies: 1.0,
        conversations: 1,
        ..tiny()
    }
}

cases! {
    a_company_that_gains_its_first_user_is_asked_for_by_id {
        let spec = WorkspaceSpec { companies: 3, companies_without_users: 1.0, ..tiny() };
        let case = Case::of(spec).await.synced().await;
        let company = case.ids(Kind::Company)[0].clone();
        case.mutate(Mutation::grow(Kind::Company, 1).ids([company]).ago(10));
        case.poll_exact(1).await;
        assert_eq!((case.calls("get_company"), case.calls("scroll_companies")), (1, 0));
    }

    a_poll_reads_only_the_companies_of_changed_contacts {
        let case = Case::of(WorkspaceSpec { companies: 250, contacts: 40, ..tiny() }).await.synced().await;
        let truth = case.workspace.truth();
        let company = truth.iter().find_map(|line| line.company.clone()).unwrap();
        case.mutate(Mutation::update(Kind::Company, 1).ids([company]).ago(10));
        // Four would be a scroll.
        case.poll_exact(3).await;
        assert_eq!(case.calls("scroll_companies"), 0);
    }

    a_new_company_of_a_changed_contact_is_held_after_a_poll {
        let case = Case::of(tiny()).await.synced().await;
        case.mutate(Mutation::add(Kind::Company, 1).ago(10));
        // One by id, or a scroll.
        case.poll_exact(2).await;
    }

    a_company_that_changes_alone_is_held_after_the_daily_walk {
        let case = Case::of(tiny()).await.synced().await;
        case.mutate(Mutation::update(Kind::Company, 2).touch_contact(false).ago(10));
        case.poll().await;
        case.assert_calls_within(2);
        assert_eq!(case.calls("get_company"), 0, "nothing shows it");
        case.reset_calls();
        let before = case.stream(Stream::Companies).await.last_ok_at;
        case.pass_week().await;
        case.until_walked_after(Stream::Companies, before).await;
        assert_eq!(case.calls("scroll_companies"), 2);
        case.until_complete().await;
        case.assert_exact_within(case.walk_floor()).await;
    }

    more_wanted_companies_than_scroll_pages_become_a_scroll {
        let case = Case::of(WorkspaceSpec { companies: 8, contacts: 60, ..tiny() }).await.synced().await;
        case.mutate(Mutation::update(Kind::Contact, 60).ago(10));
        case.poll_exact(2).await;
        assert_eq!((case.calls("scroll_companies"), case.calls("get_company")), (2, 0));
    }

    a_company_wanted_while_the_slice_begins_is_read_once {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        case.want_a_company_in(3.0).await;
        wait_for("the company is fetched", async || {
            let wanted = case.wanted_companies().await;
            if wanted.is_empty() { Ok(()) } else { Err(format!("{wanted:?}")) }
        })
        .await;
        case.assert_exact_within(1).await;
    }

    a_foreign_scroll_deletes_nothing_and_delays_no_other_stream {
        let case = Case::of(tiny()).await.synced().await;
        case.workspace.hold_scroll(Duration::from_secs(3_600));
        case.mutate(Mutation::add(Kind::Contact, 2).ago(10));
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until("contacts are held", |status| of(status, Stream::Contacts).held == 8).await;
        case.until_blocked(Stream::Companies).await;
        assert_eq!(case.absences().await, []);
        case.workspace.release_scroll();
        case.retry_now().await;
        // The call that found it taken.
        case.assert_exact_within(case.walk_floor() + 1 + case.retry_floor()).await;
    }

    a_contact_that_leaves_a_company_loses_that_link_alone {
        let case = Case::of(crowded()).await.synced().await;
        let company = case.ids(Kind::Company)[0].clone();
        case.mutate(Mutation::delete(Kind::Company, 1).ids([company]).ago(10));
        case.poll().await;
        assert_eq!(case.stored_links().await.len(), case.ids(Kind::Link).len());
        // The rest of the companies of those that left, and a scroll instead of each company.
        assert!(case.calls("contact_companies") <= 6);
        case.assert_calls_within(2 + case.calls("contact_companies") + 2);
        // The company is absent from a second walk, and asked for.
        case.full_walk(1).await;
        case.full_walk(0).await;
        case.assert_exact().await;
    }

    a_contact_that_vanishes_keeps_the_companies_that_it_had {
        let case = Case::of(crowded()).await.synced().await;
        let contact = case.ids(Kind::Contact)[0].clone();
        case.mutate(Mutation::update(Kind::Contact, 1).ids([contact.clone()]).ago(10));
        let gone = case.inject(Fault::status(404).path(format!("/contacts/{contact}/companies")).times(1));
        let asked = case.inject(Fault::status(404).path(format!("/contacts/{contact}")).times(1));
        // Two refusals, and a scroll, because the contact has more companies than a scroll has pages.
        case.poll_exact(2 + 2).await;
        assert_eq!((case.hits(gone), case.hits(asked)), (1, 1));
    }
}
