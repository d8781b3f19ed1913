//! Bytes without end, too slow, too small for what they become, or not what their headers say: none of them costs
//! more than the cap of an answer, and none is taken for data.

use intercom_simulator::{Fault, FaultAction, Kind, Workspace, WorkspaceSpec};
use shared::domain::Stream;

use super::{good_contacts, has_ended, small};
use crate::{
    floors,
    world::{Connected, PATIENCE, World},
};

/// What an answer may have, decoded.
const CAP: u64 = 32 << 20;
const TOO_LARGE: &[&str] = &["the answer is larger than 33554432 bytes"];

const CUT_SHORT: &[&str] = &[
    "intercom is unavailable: the answer was cut short",
    "intercom is unavailable: the connection broke",
];

/// The good answer to the first page of contacts.
fn good(workspace: &Workspace) -> Vec<u8> {
    let contacts = good_contacts(workspace);
    format!(r#"{{"type":"list","data":[{contacts}],"total_count":6,"pages":null}}"#).into_bytes()
}

/// Contacts are answered like this until it has failed; the stream's error then. A neighbour syncs meanwhile, and
/// this workspace once it is over.
async fn refused(world: &World, action: FaultAction, errors: &[&str]) -> u64 {
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        id_code: Some("hostile".to_owned()),
        ..small()
    });
    let fault = Fault::new(action)
        .operation("list_contacts")
        .workspace(workspace.id_code());
    let fault = world.simulator.inject(fault);
    let tenant = world.store.create_tenant("Hostile").await.unwrap().id;
    let connected = world.connect_as(tenant, &workspace).await;
    let neighbour = world.connect(WorkspaceSpec { seed: 7, ..small() }).await;
    let _fleet = world.fleet(1);
    world.until_complete(&neighbour).await;
    world.assert_exact(&neighbour).await;
    let begun = std::time::Instant::now();
    let seen = loop {
        let row = world
            .sql(
                "SELECT coalesce(last_error, ''), '' FROM streams WHERE connection_id = $1 AND stream = 'contacts'",
                &connected,
            )
            .await;
        if !row[0].0.is_empty() {
            break row[0].0.clone();
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(errors.contains(&&*seen), "{seen:?}");
    world.simulator.clear_fault(fault);
    let hits = world.simulator.fault_hits(fault);
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // Six contacts after an answer that was too large for one of them: pages of one, two and four.
    let smaller_pages = if errors == TOO_LARGE { 2 } else { 0 };
    connected.within_first(hits + smaller_pages);
    hits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_gigabyte_is_cut_off_at_the_cap() {
    let world = World::new().await;
    let flood = FaultAction::Flood {
        bytes: 1 << 30,
        gzip: false,
    };
    let hits = refused(&world, flood, TOO_LARGE).await;
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
    let hits = refused(&world, bomb, TOO_LARGE).await;
    assert!(
        hits > 0 && world.simulator.bytes_sent() < hits * (2 << 20) + (4 << 20),
        "it was a bomb"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drip_is_cut_off_in_time() {
    let world = World::with(&[("REQUEST_TIMEOUT", "2s")]).await;
    refused(
        &world,
        FaultAction::Drip {
            bytes: 1,
            millis: 300,
        },
        &["intercom is unavailable: timed out"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_shorter_than_announced_is_cut_short() {
    let world = World::new().await;
    refused(&world, FaultAction::Truncate { keep: 200 }, CUT_SHORT).await;
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
    refused(&world, action, &CUT_SHORT[..1]).await;
}

/// A good first page of contacts with these headers, once.
async fn with_headers(world: &World, name: &str, headers: &[(&str, &str)]) -> Connected {
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        id_code: Some(name.to_owned()),
        ..small()
    });
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let raw = FaultAction::Raw {
        status: 200,
        body: good(&workspace),
        headers,
    };
    world.simulator.inject(
        Fault::new(raw)
            .operation("list_contacts")
            .workspace(name)
            .times(1),
    );
    let tenant = world.store.create_tenant(name).await.unwrap().id;
    world.connect_as(tenant, &workspace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_make_no_sense_cost_nothing() {
    let world = World::new().await;
    let mut connected = Vec::new();
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
        connected.push(with_headers(&world, name, &headers).await);
    }
    let _fleet = world.fleet(1);
    for connected in &connected {
        world.until_complete(connected).await;
        world.assert_exact(connected).await;
        assert_eq!(connected.workspace.ledger().calls("list_contacts"), 1);
        connected.within_first(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_the_year_9999_does_not_become_the_watermark() {
    let world = World::new().await;
    let connected =
        with_headers(&world, "late", &[("date", "Fri, 31 Dec 9999 23:59:59 GMT")]).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    let status = world.status(&connected).await;
    let contacts = status
        .streams
        .iter()
        .find(|stream| stream.stream == Stream::Contacts)
        .unwrap();
    assert!(
        contacts.watermark.unwrap() < contacts.last_ok_at.unwrap(),
        "{contacts:#?}"
    );
    connected.within_first(0);
    // What changes now is still asked for.
    world
        .simulator
        .clock()
        .advance(std::time::Duration::from_secs(5));
    connected
        .workspace
        .mutate(intercom_simulator::Mutation::update(Kind::Contact, 2));
    world.until_run_ends(&connected).await;
    connected.workspace.ledger().reset();
    world
        .resync(&connected, shared::domain::Mode::Incremental)
        .await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // Both polls, the reference data, and a scroll for the companies of two contacts.
    floors::within(&connected.workspace, 2 + floors::reference("2.16") + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_stamped_in_the_future_is_not_fetched_for_ever() {
    let world = World::new().await;
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        conversations: 10,
        parts: 3.0,
        ..small()
    });
    let line = workspace
        .truth()
        .into_iter()
        .find(|line| line.kind == Kind::Conversation)
        .unwrap();
    // Within the day that clocks may differ by, and far beyond the two seconds in which a change may hide.
    let ahead = world.simulator.clock().now() + 3_600;
    let object = line.object.get().replace(
        &format!("\"updated_at\":{}", line.updated_at.unwrap()),
        &format!("\"updated_at\":{ahead}"),
    );
    assert!(workspace.put_raw(Kind::Conversation, &line.id, object));
    let tenant = world.store.create_tenant("Acme").await.unwrap().id;
    let connected = world.connect_as(tenant, &workspace).await;
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the walks have ended", has_ended)
        .await;
    world.until_complete(&connected).await;
    connected.within_first(0);
}
