//! Bytes without end, too slow, too small for what they become, or not what their headers say: none of them costs
//! more than the cap of an answer, and none is taken for data.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, Workspace, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{good_contacts, small, small_named};
use crate::support::{Case, World, held};

/// What an answer may have, decoded.
const CAP: u64 = 32 << 20;
const TOO_LARGE: &[&str] = &["the answer is larger than 33554432 bytes"];

const CUT_SHORT: &[&str] = &[
    "intercom is unavailable: the answer was cut short",
    "intercom is unavailable: the connection broke",
];
/// The calls of one attempt. After a few more of such attempts a walk finds the contacts by a search.
const CALLS: u64 = 2;

/// The good answer to the first page of contacts.
fn good(workspace: &Workspace) -> Vec<u8> {
    let contacts = good_contacts(workspace);
    format!(r#"{{"type":"list","data":[{contacts}],"total_count":6,"pages":null}}"#).into_bytes()
}

/// Contacts are answered like this until the stream has failed with one of these errors. A neighbour syncs meanwhile, and
/// this workspace syncs once it is over. Returns how many calls were answered so.
async fn refused(world: &World, fault: Fault, errors: &[&str]) -> u64 {
    let case = world.case(small_named("hostile")).await;
    let fault = case.inject(fault.operation("list_contacts"));
    // Once the fault is spent, the next attempt waits until the test has seen the error.
    let next = case.inject(held().operation("list_contacts"));
    let case = case.connect().await;
    let neighbour = world.connect(WorkspaceSpec { seed: 7, ..small() }).await;
    let _fleet = world.fleet(1);
    neighbour.until_complete().await;
    neighbour.assert_exact().await;
    let error = case.until_error(Stream::Contacts).await;
    assert!(errors.contains(&&*error), "{error:?}");
    case.clear_fault(next);
    case.clear_fault(fault);
    let hits = case.hits(fault);
    // Six contacts after an answer that was too large for one of them: pages of one, two and four.
    let smaller_pages = if errors == TOO_LARGE { 2 } else { 0 };
    case.first_sync(hits + smaller_pages).await;
    hits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_gigabyte_is_cut_off_at_the_cap() {
    let world = World::new().await;
    let flood = FaultAction::Flood {
        bytes: 1 << 30,
        gzip: false,
    };
    let hits = refused(&world, Fault::new(flood), TOO_LARGE).await;
    // What lies in sockets between the two was sent and not read.
    let most = hits * (CAP + (16 << 20));
    let sent = world.simulator.bytes_sent();
    assert!(sent < most, "{sent} bytes in {hits} answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_a_gigabyte_in_a_megabyte_is_cut_off_at_the_cap() {
    let world = World::new().await;
    let bomb = FaultAction::Flood {
        bytes: 1 << 30,
        gzip: true,
    };
    let hits = refused(&world, Fault::new(bomb), TOO_LARGE).await;
    assert!(
        hits > 0 && world.simulator.bytes_sent() < hits * (2 << 20) + (4 << 20),
        "it was a bomb"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drip_is_cut_off_in_time() {
    let world = World::new().await;
    let case = world.connect(small_named("hostile")).await;
    let fleet = world.fleet(1);
    case.first_sync(0).await;
    case.settle().await;
    drop(fleet);
    let drip = FaultAction::Drip {
        bytes: 1,
        millis: 300,
    };
    let fault = case.inject(Fault::new(drip).operation("search_contacts"));
    case.request(Mode::Incremental, &[Stream::Contacts]).await;
    // On a busy machine so short a limit cuts off good answers as well, so no others are counted under it.
    let hasty = world.otherwise(&[("REQUEST_TIMEOUT", "3s")]).fleet(1);
    let neighbour = world.connect(WorkspaceSpec { seed: 7, ..small() }).await;
    neighbour.until_complete().await;
    neighbour.assert_exact().await;
    let error = case.until_error(Stream::Contacts).await;
    assert_eq!(error, "intercom is unavailable: timed out");
    drop(hasty);
    case.clear_fault(fault);
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact_within(case.hits(fault) + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_shorter_than_announced_is_cut_short() {
    let world = World::new().await;
    let cut = Fault::new(FaultAction::Truncate { keep: 200 });
    refused(&world, cut.times(CALLS), CUT_SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_itself_compressed_and_is_not_is_cut_short() {
    let world = World::new().await;
    let headers = vec![("content-encoding".to_owned(), "gzip".to_owned())];
    let action = FaultAction::Raw {
        status: 200,
        body: b"{\"data\":[]}".to_vec(),
        headers,
    };
    refused(&world, Fault::new(action).times(CALLS), &CUT_SHORT[..1]).await;
}

/// A good first page of contacts with these headers, once.
async fn with_headers(world: &World, name: &str, headers: &[(&str, &str)]) -> Case {
    let case = world.case(small_named(name)).await;
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let raw = FaultAction::Raw {
        status: 200,
        body: good(&case.workspace),
        headers,
    };
    case.inject(Fault::new(raw).operation("list_contacts").times(1));
    case.connect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_make_no_sense_cost_nothing() {
    let world = World::new().await;
    let mut cases = Vec::new();
    for (name, headers) in [
        ("type", vec![("content-type", "text/html")]),
        (
            "noise",
            vec![
                ("x-ratelimit-limit", "banana"),
                ("x-ratelimit-remaining", ""),
                ("x-ratelimit-reset", "-1"),
            ],
        ),
        (
            "beyond",
            vec![
                ("x-ratelimit-limit", "18446744073709551615"),
                ("x-ratelimit-reset", "18446744073709551615"),
            ],
        ),
        (
            "overflow",
            vec![
                ("x-ratelimit-limit", "99999999999999999999999"),
                ("retry-after", "1e9"),
            ],
        ),
        (
            "more",
            vec![
                ("x-ratelimit-limit", "10"),
                ("x-ratelimit-remaining", "1000000"),
            ],
        ),
        (
            "epoch",
            vec![
                ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
                ("x-ratelimit-reset", "0"),
            ],
        ),
        ("no_time", vec![("date", "yesterday")]),
        (
            "link",
            vec![("link", "<javascript:alert(1)>; rel=\"canonical\"")],
        ),
    ] {
        cases.push(with_headers(&world, name, &headers).await);
    }
    let _fleet = world.fleet(1);
    for case in &cases {
        case.until_complete().await;
        assert_eq!(case.calls("list_contacts"), 1);
        case.first_sync(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_the_year_9999_does_not_become_the_watermark() {
    let world = World::new().await;
    let case = with_headers(&world, "late", &[("date", "Fri, 31 Dec 9999 23:59:59 GMT")]).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let contacts = case.stream(Stream::Contacts).await;
    assert!(
        contacts.watermark.unwrap() < contacts.last_ok_at.unwrap(),
        "{contacts:#?}"
    );
    case.assert_calls_within(case.first_floor());
    // What changes now is still asked for.
    world.simulator.clock().advance(Duration::from_secs(5));
    case.mutate(Mutation::update(Kind::Contact, 2));
    case.sync(Mode::Incremental, Stream::ALL).await;
    // Both polls, the reference data, and a scroll for the companies of two contacts.
    case.assert_exact_within(2 + case.reference_floor() + 2)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_stamped_in_the_future_is_not_fetched_for_ever() {
    let world = World::new().await;
    let case = world
        .case(WorkspaceSpec {
            conversations: 10,
            parts: 3.0,
            ..small()
        })
        .await;
    let line = case.live(Kind::Conversation).remove(0);
    // Within the day that clocks may differ by, and far beyond the two seconds in which a change may hide.
    let ahead = world.simulator.clock().now() + 3_600;
    let object = line.object.get().replace(
        &format!("\"updated_at\":{}", line.updated_at.unwrap()),
        &format!("\"updated_at\":{ahead}"),
    );
    assert!(case.workspace.put_raw(Kind::Conversation, &line.id, object));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_walked().await;
    case.until_complete().await;
    case.assert_calls_within(case.first_floor());
}
