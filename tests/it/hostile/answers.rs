//! Answers as a whole: lists that are none, and errors with odd bodies. Never data, never the end of data, and over with
//! the answer.

use intercom_simulator::{Fault, FaultId};
use shared::domain::Stream;

use super::{corpus, corpus::Hostile, good_contacts, small_named};
use crate::support::{Case, World, held, raw};

/// A world in which a held answer is waited for until the test has looked at every tenant.
async fn world() -> World {
    World::with(&[("REQUEST_TIMEOUT", "120s")]).await
}

/// A tenant for each entry, all at once, and what is sent to it this often instead of its first page of contacts.
async fn tenants(
    world: &World,
    entries: Vec<Hostile>,
    times: u64,
) -> Vec<(Hostile, Case, FaultId)> {
    let mut tenants = Vec::new();
    for (n, entry) in entries.into_iter().enumerate() {
        let case = world.case(small_named(&format!("{}{n}", entry.kind))).await;
        let status = entry.fate.parse().unwrap_or(200);
        let good = format!("[{}]", good_contacts(&case.workspace));
        let fault =
            Fault::new(raw(status, entry.with(&[("$GOOD", &good)]))).operation("list_contacts");
        let fault = case.inject(fault.times(times));
        tenants.push((entry, case.connect().await, fault));
    }
    tenants
}

/// A tenant for each entry, which two of its calls get. The next one waits until all faults are cleared, because after a
/// few more failures a walk may find the contacts by a search.
async fn failing(world: &World, entries: Vec<Hostile>) -> Vec<(Hostile, Case, FaultId)> {
    let tenants = tenants(world, entries, 2).await;
    world.simulator.inject(held().operation("list_contacts"));
    tenants
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_is_never_data_nor_its_end() {
    let world = world().await;
    let mut refused = corpus::of("list");
    refused.retain(|entry| entry.fate == "refused");
    assert!(refused.len() >= 20);
    let tenants = failing(&world, refused).await;
    let _fleet = world.fleet(1);
    for (entry, case, _) in &tenants {
        let error = case.until_error(Stream::Contacts).await;
        assert!(
            error.starts_with("intercom is unavailable: ") && error.len() <= 400,
            "{}: {error:?}",
            entry.name
        );
        let contacts = case.stream(Stream::Contacts).await;
        assert_eq!(
            (contacts.held, contacts.last_ok_at),
            (0, None),
            "{}",
            entry.name
        );
        assert!(!case.status().await.complete, "{}", entry.name);
    }
    // From now on Intercom answers well, and the call that waits brings the data.
    world.simulator.clear_faults();
    for (entry, case, fault) in &tenants {
        case.first_sync(case.hits(*fault)).await;
        assert_eq!(case.quarantined().await, [], "{}", entry.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_an_oddity_is_still_a_list() {
    let world = World::new().await;
    let mut accepted = corpus::of("list");
    accepted.retain(|entry| entry.fate == "accepted");
    assert!(accepted.len() >= 10);
    let tenants = tenants(&world, accepted, 1).await;
    let _fleet = world.fleet(1);
    for (entry, case, _) in &tenants {
        case.until_complete().await;
        assert_eq!(case.calls("list_contacts"), 1, "{}: at once", entry.name);
        case.first_sync(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_with_an_odd_body_is_an_error_and_passes() {
    let world = world().await;
    let tenants = failing(&world, corpus::of("error")).await;
    let _fleet = world.fleet(1);
    for (entry, case, _) in &tenants {
        let error = case.until_error(Stream::Contacts).await;
        assert!(
            !error.contains('\0') && error.len() <= 400,
            "{}: {error:?}",
            entry.name
        );
        assert!(error.contains(&entry.fate), "{}: {error:?}", entry.name);
    }
    world.simulator.clear_faults();
    for (_, case, fault) in &tenants {
        let failed = case.hits(*fault);
        assert!(failed >= 1);
        case.first_sync(failed).await;
    }
    assert_eq!(tenants[0].1.dead_letters().await, Vec::<String>::new());
}
