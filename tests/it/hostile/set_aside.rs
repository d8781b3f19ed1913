//! One record that Intercom does not give: it is set aside with its reason, its neighbours land, its stream goes on, and
//! it is asked for again.

use std::collections::BTreeSet;

use intercom_simulator::{Fault, FaultAction, FaultId, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use crate::support::{Case, OBJECTS, World, cases, held, refusal, rows, tiny, wait_for};

/// The call fails whenever it is made, until the fault is cleared.
fn fails(how: &'static str) -> Fault {
    match how {
        "reset" => Fault::new(FaultAction::Reset),
        "html" => Fault::new(FaultAction::Html { status: 403 }),
        "forbidden" => Fault::new(refusal(403, "forbidden")),
        "bad request" => Fault::new(refusal(400, "client_error")),
        _ => Fault::status(500),
    }
}

/// One contact, whose list of companies is longer than one slice may read.
async fn with_a_long_list() -> Case {
    let world = World::with(&[("COMPANY_LISTS_TIME", "0s")]).await;
    let spec = WorkspaceSpec {
        contacts: 1,
        companies: 120,
        contacts_over_10_companies: 1.0,
        conversations: 1,
        ..tiny()
    };
    let case = world.case(spec).await;
    let contact = case.ids(Kind::Contact);
    for seed in 0..14 {
        let grow = Mutation::grow(Kind::Contact, 1).ids(contact.clone());
        case.mutate(grow.seed(seed).ago(4_000));
    }
    case
}

impl Case {
    /// Waits until one record is set aside, and returns its id with its kind.
    async fn until_set_aside(&self) -> String {
        self.until("a record is set aside", |status| {
            status
                .reasons
                .iter()
                .any(|reason| reason.code == "set_aside")
        })
        .await;
        let quarantined = self.quarantined().await;
        assert_eq!(quarantined.len(), 1, "{quarantined:?}");
        let status = self.status().await;
        let reason = status
            .reasons
            .iter()
            .find(|reason| reason.code == "set_aside")
            .unwrap();
        let (id, why) = &quarantined[0];
        let name = id.split_once('/').unwrap().1;
        assert!(!status.complete && reason.until.is_some());
        assert!(
            reason.message.contains(name) && !why.is_empty(),
            "{}",
            reason.message
        );
        id.clone()
    }

    /// The scroll breaks until it is set aside. Its minutes need not be waited for.
    async fn until_scroll_rests(&self, broken: FaultId) {
        for times in 1..=3 {
            self.until_hits(broken, times).await;
            self.workspace.release_scroll();
            self.until("the scroll has failed", |status| {
                status.reasons.iter().any(|reason| {
                    reason.stream == Some(Stream::Companies)
                        && matches!(
                            reason.code.as_str(),
                            "retrying" | "scroll_taken" | "set_aside"
                        )
                })
            })
            .await;
            self.make_due(&[Stream::Companies]).await;
        }
        assert_eq!(self.until_set_aside().await, "company/scroll");
    }

    /// An operator asks for everything that is set aside, and it is given.
    async fn until_given(&self) {
        assert_eq!(self.replay().await, 1);
        self.until_complete().await;
        assert_eq!(self.quarantined().await, []);
        self.assert_exact().await;
    }
}

/// A contact that is absent from two walks and whose own call fails delays no poll.
async fn an_absent_contact_whose_call_fails_is_set_aside(how: &'static str) {
    let case = Case::of(tiny()).await.synced().await;
    let gone = case.mutate(Mutation::archive(2));
    case.full_walk(0).await;
    let broken = case.inject(fails(how).path(format!("/contacts/{}", gone[0])));
    case.begin_run(Mode::Full, OBJECTS).await;
    assert_eq!(case.until_set_aside().await, format!("contact/{}", gone[0]));
    case.until_run_ends().await;
    // The other question was answered, and a poll finds what is new.
    assert_eq!(case.tombstones().await, [gone[1].clone()]);
    case.mutate(Mutation::add(Kind::Contact, 1));
    case.request(Mode::Incremental, &[Stream::Contacts]).await;
    case.until("the new contact is held", |status| {
        status
            .streams
            .iter()
            .any(|of| of.stream == Stream::Contacts && of.held == 6)
    })
    .await;
    case.until_run_ends().await;
    assert!(!case.status().await.complete && case.hits(broken) > 0);
    case.clear_fault(broken);
    case.until_given().await;
}

rows! { an_absent_contact_whose_call_fails_is_set_aside:
    an_absent_contact_that_answers_500_is_set_aside("500");
    an_absent_contact_that_answers_403_is_set_aside("forbidden");
    an_absent_contact_that_answers_400_is_set_aside("bad request");
    an_absent_contact_behind_a_firewall_is_set_aside("html");
    an_absent_contact_that_never_answers_is_set_aside("reset");
}

cases! {
    a_run_that_is_requested_beside_questions_begins_after_them {
        let case = Case::of(tiny()).await.synced().await;
        let gone = case.mutate(Mutation::archive(2));
        case.full_walk(0).await;
        let late = case.inject(held().path(format!("/contacts/{}", gone[0])));
        case.begin_run(Mode::Full, OBJECTS).await;
        case.until_hit(late).await;
        case.until_run_ends().await;
        case.request(Mode::Incremental, &[Stream::Contacts]).await;
        case.clear_fault(late);
        case.until_run_ends().await;
        case.until_complete().await;
        assert_eq!(case.tombstones().await.len(), 2);
    }
}

/// Each contact has more companies than its own object shows.
fn crowded() -> WorkspaceSpec {
    WorkspaceSpec {
        companies: 30,
        contacts_over_10_companies: 1.0,
        conversations: 1,
        ..tiny()
    }
}

/// The companies of one contact are not given, and its page is stored with everybody on it.
async fn a_list_of_companies_that_fails_costs_no_page(how: &'static str) {
    let case = Case::of(crowded()).await;
    let contact = case.ids(Kind::Contact)[2].clone();
    let broken = case.inject(fails(how).path(format!("/contacts/{contact}/companies")));
    let case = case.connect().await;
    assert_eq!(case.until_set_aside().await, format!("contact/{contact}"));
    case.until_run_ends().await;
    assert_eq!(case.held(Stream::Contacts).await, (6, Some(6)));
    let of_contact = case
        .stored_links()
        .await
        .into_iter()
        .filter(|(of, _)| *of == contact)
        .count();
    assert_eq!(of_contact, 10, "the companies that the contact shows");
    case.clear_fault(broken);
    case.until_given().await;
}

rows! { a_list_of_companies_that_fails_costs_no_page:
    companies_that_answer_500_cost_no_page("500");
    companies_that_answer_403_cost_no_page("forbidden");
    companies_behind_a_firewall_cost_no_page("html");
    companies_that_never_answer_cost_no_page("reset");
}

/// One contact breaks every page that would show it.
async fn a_contact_that_breaks_its_pages_is_stepped_over(status: u16, place: usize) {
    let case = Case::of(WorkspaceSpec {
        contacts: 160,
        companies: 0,
        ..tiny()
    })
    .await;
    let mut contacts = case.live(Kind::Contact);
    contacts.sort_by_key(|line| std::cmp::Reverse(line.updated_at));
    let culprit = contacts[place].clone();
    let choke = FaultAction::Choke {
        id: culprit.id.clone(),
        status,
    };
    let choke = case.inject(Fault::new(choke).path("/contacts*"));
    let case = case.connect().await;
    let id = case.until_set_aside().await;
    assert!(id.starts_with("contact/updated_at:"), "{id}");
    case.until_run_ends().await;
    assert_eq!(case.held(Stream::Contacts).await, (159, Some(160)));
    let mut truth = case.workspace.truth();
    truth.retain(|line| line.id != culprit.id);
    let report = case.compare(&truth).await;
    assert_eq!(
        (report.missing, report.different, report.extra),
        (0, 0, 0),
        "{report}"
    );
    case.clear_fault(choke);
    case.until_given().await;
}

rows! { a_contact_that_breaks_its_pages_is_stepped_over:
    a_contact_that_breaks_its_pages_with_404_is_stepped_over(404, 90);
    a_contact_that_breaks_its_pages_with_500_is_stepped_over(500, 70);
    the_newest_contact_that_breaks_its_pages_is_stepped_over(404, 0);
    the_oldest_contact_that_breaks_its_pages_is_stepped_over(404, 159);
}

/// Companies that contacts name are fetched by id while the scroll rests, whichever of the two was read first.
async fn a_scroll_that_always_breaks(are_contacts_late: bool) {
    let spec = WorkspaceSpec {
        companies: 250,
        contacts: 40,
        companies_without_users: 0.0,
        ..tiny()
    };
    let case = Case::of(spec).await;
    // Companies that are not on the scroll's first page are named as well.
    for seed in 0..4 {
        case.mutate(Mutation::grow(Kind::Contact, 20).seed(seed).ago(4_000));
    }
    let links = case.live(Kind::Link);
    let named: BTreeSet<String> = links.into_iter().filter_map(|line| line.company).collect();
    let broken = case.inject(fails("500").operation("scroll_companies").skip(1));
    let late = are_contacts_late.then(|| case.inject(held().operation("list_contacts")));
    let case = case.connect().await;
    case.until_scroll_rests(broken).await;
    if let Some(late) = late {
        case.clear_fault(late);
    }
    case.until_run_ends().await;
    case.until("the companies that contacts name are fetched", |status| {
        let mut reasons = status.reasons.iter();
        reasons.all(|reason| reason.code != "wanted_companies")
    })
    .await;
    let stored: BTreeSet<String> = case.stored_companies().await.into_iter().collect();
    assert!(
        stored.is_superset(&named),
        "{} of {}",
        stored.len(),
        named.len()
    );
    assert!(
        case.calls("get_company") > 0,
        "the scroll's first page names them all"
    );
    case.clear_fault(broken);
    case.workspace.release_scroll();
    case.until_given().await;
}

rows! { a_scroll_that_always_breaks:
    a_scroll_that_breaks_is_replaced_by_what_contacts_name(false);
    a_scroll_that_breaks_before_contacts_are_read_is_replaced_by_what_they_name(true);
}

cases! {
    a_contact_that_breaks_only_the_list_is_found_by_search {
        let case = Case::of(WorkspaceSpec { contacts: 160, companies: 0, ..tiny() }).await;
        let choke = FaultAction::Choke { id: case.ids(Kind::Contact)[80].clone(), status: 404 };
        let choke = case.inject(Fault::new(choke).operation("list_contacts"));
        let case = case.connect().await;
        case.until_complete().await;
        assert!(case.hits(choke) > 0);
        assert_eq!(case.ever_quarantined().await, []);
        case.assert_exact().await;
    }

    a_contact_that_breaks_a_poll_costs_no_neighbour {
        let case = Case::of(WorkspaceSpec { contacts: 60, companies: 0, ..tiny() }).await.synced().await;
        let changed = case.mutate(Mutation::update(Kind::Contact, 20).ago(10).spread(300));
        let choke = FaultAction::Choke { id: changed[7].clone(), status: 404 };
        let choke = case.inject(Fault::new(choke).operation("search_contacts"));
        case.begin_run(Mode::Incremental, OBJECTS).await;
        case.until_set_aside().await;
        case.until_run_ends().await;
        let report = case.compare(&case.workspace.truth()).await;
        assert_eq!((report.missing, report.different), (0, 1), "{report}");
        case.clear_fault(choke);
        case.until_given().await;
    }

    a_long_list_of_companies_is_read_over_several_slices {
        let case = with_a_long_list().await;
        let _fleet = case.world.fleet(1);
        let case = case.synced().await;
        assert!(case.ids(Kind::Link).len() > 50 && case.calls("contact_companies") >= 2);
        let unread = case.ever_quarantined().await;
        assert_eq!(unread[0].0, format!("contact/{}", case.ids(Kind::Contact)[0]), "it was not read in one slice");
    }

    a_list_that_is_read_beside_a_scroll_asks_for_nothing_twice {
        let case = with_a_long_list().await;
        let held = case.hold_second_page("scroll_companies");
        let _fleet = case.world.fleet(1);
        let case = case.connect().await;
        wait_for("the list names companies that the scroll has not shown", async || {
            let wanted = case.wanted_companies().await.len();
            if wanted > 3 { Ok(()) } else { Err(format!("{wanted}")) }
        })
        .await;
        case.clear_fault(held);
        case.first_sync(0).await;
    }

    a_company_whose_call_fails_delays_no_other {
        let case = Case::of(WorkspaceSpec { companies: 250, contacts: 40, ..tiny() }).await.synced().await;
        let mut companies: Vec<String> = case.live(Kind::Link).into_iter().filter_map(|line| line.company).collect();
        companies.sort();
        companies.dedup();
        let broken = case.inject(fails("500").path(format!("/companies/{}", companies[0])));
        for company in &companies[..2] {
            case.mutate(Mutation::update(Kind::Company, 1).ids([company.clone()]).ago(10));
        }
        case.begin_run(Mode::Incremental, OBJECTS).await;
        assert_eq!(case.until_set_aside().await, format!("company/{}", companies[0]));
        case.until_run_ends().await;
        let report = case.compare(&case.workspace.truth()).await;
        assert_eq!((report.missing, report.different), (0, 1), "{report}");
        case.clear_fault(broken);
        case.until_given().await;
    }

    a_scroll_that_rests_is_tried_again_by_itself {
        // A walk waits twenty times as long as a question.
        let world = World::with(&[("RECORD_RETRY", "100ms")]).await;
        let _fleet = world.fleet(1);
        let case = world.case(WorkspaceSpec { companies: 250, contacts: 40, ..tiny() }).await;
        let broken = case.inject(fails("500").operation("scroll_companies").skip(1));
        let case = case.connect().await;
        case.until_scroll_rests(broken).await;
        case.clear_fault(broken);
        case.workspace.release_scroll();
        case.until_complete().await;
        assert_eq!(case.quarantined().await, []);
        case.assert_exact().await;
    }
}
