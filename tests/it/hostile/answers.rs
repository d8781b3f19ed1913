//! Answers as a whole: lists that are none, threads that are none, errors with odd bodies. Never data, never the end
//! of data, and over with the answer.

use futures::future::join_all;
use intercom_simulator::{Fault, FaultAction, FaultId, Kind, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{corpus, corpus::Hostile, good_contacts, quarantine, seen, small};
use crate::{
    floors,
    world::{Connected, PATIENCE, World},
};

fn raw(status: u16, body: Vec<u8>) -> FaultAction {
    FaultAction::Raw {
        status,
        body,
        headers: Vec::new(),
    }
}

/// A tenant for each entry, all at once, and what is sent to it instead of its first page of contacts.
async fn tenants(
    world: &World,
    entries: Vec<Hostile>,
    times: Option<u64>,
) -> Vec<(Hostile, Connected, FaultId)> {
    let mut connected = Vec::new();
    for (n, entry) in entries.into_iter().enumerate() {
        let workspace = world.simulator.add_workspace(WorkspaceSpec {
            id_code: Some(format!("{}{n}", entry.kind)),
            ..small()
        });
        let status = entry.fate.parse().unwrap_or(200);
        let body = entry.with(&[("$GOOD", &format!("[{}]", good_contacts(&workspace)))]);
        let fault = Fault::new(raw(status, body))
            .operation("list_contacts")
            .workspace(workspace.id_code());
        let fault = world.simulator.inject(match times {
            Some(times) => fault.times(times),
            None => fault,
        });
        let tenant = world.store.create_tenant(&entry.name).await.unwrap().id;
        connected.push((entry, world.connect_as(tenant, &workspace).await, fault));
    }
    connected
}

/// The stream's error, once it has one.
async fn error_of(world: &World, connected: &Connected) -> String {
    let begun = std::time::Instant::now();
    loop {
        let row = world
            .sql("SELECT coalesce(last_error, ''), attempts::text FROM streams WHERE connection_id = $1 AND stream = 'contacts'", connected)
            .await;
        if !row[0].0.is_empty() {
            return row[0].0.clone();
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the answer was not refused: {row:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_is_never_data_nor_its_end() {
    let world = World::new().await;
    let refused: Vec<Hostile> = corpus::of("list")
        .into_iter()
        .filter(|entry| entry.fate == "refused")
        .collect();
    assert!(refused.len() >= 20);
    let tenants = tenants(&world, refused, None).await;
    let _fleet = world.fleet(1);
    join_all(tenants.iter().map(|(entry, connected, _)| {
        let world = &world;
        async move {
            let error = error_of(world, connected).await;
            assert!(
                error.starts_with("intercom is unavailable: ") && error.len() <= 400,
                "{}: {error:?}",
                entry.name
            );
            let status = world.status(connected).await;
            let contacts = status
                .streams
                .iter()
                .find(|stream| stream.stream == Stream::Contacts)
                .unwrap();
            assert_eq!(
                (contacts.held, contacts.last_ok_at),
                (0, None),
                "{}",
                entry.name
            );
            assert!(!status.complete, "{}", entry.name);
        }
    }))
    .await;
    world.simulator.clear_faults();
    for (entry, connected, fault) in &tenants {
        world.until_complete(connected).await;
        world.assert_exact(connected).await;
        connected.within_first(world.simulator.fault_hits(*fault));
        assert_eq!(quarantine(&world, connected).await, [], "{}", entry.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_an_oddity_is_still_a_list() {
    let world = World::new().await;
    let accepted: Vec<Hostile> = corpus::of("list")
        .into_iter()
        .filter(|entry| entry.fate == "accepted")
        .collect();
    assert!(accepted.len() >= 10);
    let tenants = tenants(&world, accepted, Some(1)).await;
    let _fleet = world.fleet(1);
    for (entry, connected, _) in &tenants {
        world.until_complete(connected).await;
        assert_eq!(
            connected.workspace.ledger().calls("list_contacts"),
            1,
            "{}: at once",
            entry.name
        );
        world.assert_exact(connected).await;
        connected.within_first(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_with_an_odd_body_is_an_error_and_passes() {
    let world = World::new().await;
    let tenants = tenants(&world, corpus::of("error"), None).await;
    let _fleet = world.fleet(1);
    join_all(tenants.iter().map(|(entry, connected, _)| {
        let world = &world;
        async move {
            let error = error_of(world, connected).await;
            assert!(
                !error.contains('\0') && error.len() <= 400,
                "{}: {error:?}",
                entry.name
            );
            assert!(error.contains(&entry.fate), "{}: {error:?}", entry.name);
        }
    }))
    .await;
    world.simulator.clear_faults();
    for (_, connected, fault) in &tenants {
        world.until_complete(connected).await;
        world.assert_exact(connected).await;
        let failed = world.simulator.fault_hits(*fault);
        assert!(failed >= 1);
        connected.within_first(failed);
    }
    let dead = world
        .sql(
            "SELECT cause, '' FROM dead_letters WHERE connection_id = $1",
            &tenants[0].1,
        )
        .await;
    assert_eq!(dead, []);
}

/// A conversation's stub up to its last brace.
fn stub(object: &str) -> &str {
    object.trim_end().strip_suffix('}').unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_thread_is_asked_for_again() {
    let world = World::new().await;
    let entries = corpus::of("thread");
    let connected_to = world.simulator.add_workspace(WorkspaceSpec {
        conversations: 2 * entries.len() as u32,
        parts: 3.0,
        ..small()
    });
    let truth = connected_to.truth();
    let mut faults = Vec::new();
    let with_parts = truth.iter().filter(|line| {
        line.kind == Kind::Conversation
            && truth
                .iter()
                .any(|part| part.kind == Kind::Part && part.parent.as_ref() == Some(&line.id))
    });
    for (entry, line) in entries.into_iter().zip(with_parts) {
        let body = entry.with(&[("$STUB", stub(line.object.get()))]);
        let fault = Fault::new(raw(200, body))
            .path(format!("/conversations/{}", line.id))
            .times(1);
        faults.push((entry, world.simulator.inject(fault)));
    }
    assert!(faults.len() >= 12);
    let tenant = world.store.create_tenant("Acme").await.unwrap().id;
    let connected = world.connect_as(tenant, &connected_to).await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    // An empty thread, taken for one, would be a difference here.
    world.assert_exact(&connected).await;
    for (entry, fault) in &faults {
        assert_eq!(world.simulator.fault_hits(*fault), 1, "{}", entry.name);
    }
    connected.within_first(faults.len() as u64);
    assert_eq!(quarantine(&world, &connected).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_thread_is_given_up_with_its_bytes_and_heals() {
    let world = World::new().await;
    let connected = world.connect(small()).await;
    let truth = connected.workspace.truth();
    let part = truth.iter().find(|line| line.kind == Kind::Part).unwrap();
    let id = part.parent.clone().unwrap();
    let body = br#"{"id":"another","created_at":1700000000,"updated_at":1700000000,"conversation_parts":{"conversation_parts":[{"id":"1","created_at":1}]}}"#;
    let fault = world
        .simulator
        .inject(Fault::new(raw(200, body.to_vec())).path(format!("/conversations/{id}")));
    let _fleet = world.fleet(1);
    // Its fifth attempt, without the half minute between.
    let begun = std::time::Instant::now();
    loop {
        let failed = world
            .sql("UPDATE threads SET attempts = 4, due_at = now() WHERE connection_id = $1 AND status = 'pending' AND error IS NOT NULL RETURNING source_id, error", &connected)
            .await;
        world.sql("UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = 'threads' RETURNING stream, ''", &connected).await;
        if failed.iter().any(|(failed, _)| *failed == id) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world
        .until(&connected, "the thread is blocked", |status| {
            status.threads.blocked == 1
        })
        .await;
    let kept = quarantine(&world, &connected).await;
    assert_eq!(
        kept,
        [(
            format!("part/{id}/thread"),
            "the answer is another conversation".to_owned(),
            seen(body)
        )]
    );

    world.simulator.clear_fault(fault);
    world.until_run_ends(&connected).await;
    // One of its answers is in the place of a good one.
    connected.within_first(world.simulator.fault_hits(fault) - 1);
    connected.workspace.ledger().reset();
    world.resync(&connected, Mode::Full).await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // And its thread.
    floors::within(
        &connected.workspace,
        floors::reference("2.16") + floors::walk(&truth) + 1,
    );
    assert_eq!(quarantine(&world, &connected).await, []);
}
