//! Lists that come whole: reference data, and the conversations that were deleted.

use intercom_simulator::{Fault, FaultAction, Kind, WorkspaceSpec};
use pathbound::exact::compare;
use shared::domain::{Mode, Stream};

use super::{assert_fates, corpus, corpus::Hostile, has_ended, rows, seen};
use crate::{
    floors,
    world::{Connected, World},
};

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 5,
        companies: 3,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

fn raw(body: Vec<u8>) -> FaultAction {
    FaultAction::Raw {
        status: 200,
        body,
        headers: Vec::new(),
    }
}

fn list(name: &str, items: &[Vec<u8>]) -> Vec<u8> {
    [
        format!(r#"{{"type":"list","{name}":["#).into_bytes(),
        items.join(&b","[..]),
        b"],\"pages\":null}".to_vec(),
    ]
    .concat()
}

/// Looks at the reference data once.
async fn look(world: &World, connected: &Connected) {
    world.until_run_ends(connected).await;
    connected.workspace.ledger().reset();
    world
        .request(connected, Mode::Full, &[Stream::Reference])
        .await;
    world.until_run_ends(connected).await;
    floors::within(&connected.workspace, floors::reference("2.16"));
}

const fn fate(sanitised: bool) -> &'static str {
    if sanitised { "sanitised" } else { "stored" }
}

const QUARANTINED: &str = "SELECT 'quarantined', source_id, raw FROM quarantine
    WHERE connection_id = $1 AND kind = 'reference' AND resolved_at IS NULL";

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_tag_ends_where_it_belongs_and_heals() {
    let world = World::new().await;
    let connected = world.connect(spec()).await;
    let sent: Vec<(Hostile, Vec<u8>)> = corpus::of("reference")
        .into_iter()
        .map(|entry| {
            let bytes = entry.with(&[("$ID", &format!("tag-{}", entry.name))]);
            (entry, bytes)
        })
        .collect();
    let mut items: Vec<Vec<u8>> = sent.iter().map(|(_, bytes)| bytes.clone()).collect();
    let good: Vec<String> = (0..items.len()).map(|n| format!("good-{n}")).collect();
    for (n, id) in good.iter().enumerate() {
        items.insert(
            2 * n,
            format!(r#"{{"type":"tag","id":"{id}","name":"good"}}"#).into_bytes(),
        );
    }
    let fault = world
        .simulator
        .inject(Fault::new(raw(list("data", &items))).operation("list_tags"));
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the walks have ended", has_ended)
        .await;
    assert_eq!(world.simulator.fault_hits(fault), 1);
    connected.within_first(0);

    // What is stored keeps its fields and not its bytes: found by its id.
    let stored = world.sql("SELECT source_id, coalesce(name, '') FROM reference_items WHERE connection_id = $1 AND kind = 'tag' AND removed_at IS NULL", &connected).await;
    let mut missing: Vec<&str> = good.iter().map(String::as_str).collect();
    missing.retain(|id| !stored.contains(&((*id).to_owned(), "good".to_owned())));
    assert_eq!(missing, [""; 0], "good neighbours are held");
    let held: Vec<(String, bool)> = {
        let mut tx = world.store.begin(connected.tenant).await.unwrap();
        let items = tx
            .export_reference(connected.connection)
            .await
            .unwrap()
            .into_iter();
        items
            .filter(|item| item.kind == "tag")
            .map(|item| (item.source_id, item.sanitised))
            .collect()
    };
    assert!(
        held.iter()
            .all(|(id, sanitised)| !(*sanitised && good.contains(id))),
        "what is good is as it was sent"
    );
    let mut found = rows(&world, &connected, QUARANTINED).await;
    for (entry, bytes) in &sent {
        let id = format!("tag-{}", entry.name);
        let fates = held
            .iter()
            .filter(|(held, _)| *held == id)
            .map(|(_, sanitised)| fate(*sanitised));
        found.extend(fates.map(|fate| (fate.to_owned(), id.clone(), seen(bytes))));
    }
    assert_fates(&sent, &found, |sent, raw| sent == raw);
    assert_eq!(
        stored.len(),
        good.len()
            + sent
                .iter()
                .filter(|(entry, _)| entry.fate != "quarantined")
                .count()
    );
    assert!(
        !world.status(&connected).await.complete,
        "no green status over what is in quarantine"
    );

    world.simulator.clear_fault(fault);
    look(&world, &connected).await;
    world.until_complete(&connected).await;
    // What is no longer listed stays, marked.
    let report = compare(
        &world.store,
        connected.tenant,
        connected.connection,
        &connected.workspace.truth(),
    )
    .await
    .unwrap();
    assert_eq!(
        (report.missing, report.different, report.extra),
        (0, 0, stored.len() as u64),
        "{report}"
    );
    let listed = world.sql("SELECT source_id, '' FROM reference_items WHERE connection_id = $1 AND kind = 'tag' AND removed_at IS NULL AND (source_id LIKE 'good-%' OR source_id LIKE 'tag-%')", &connected).await;
    assert_eq!(listed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_deletion_is_believed_or_quarantined() {
    let world = World::new().await;
    let entries = corpus::of("deleted");
    let connected = world
        .connect(WorkspaceSpec {
            conversations: 2 * entries.len() as u32,
            parts: 1.0,
            ..spec()
        })
        .await;
    let _fleet = world.fleet(1);
    world.until_complete(&connected).await;
    connected.within_first(0);
    let truth = connected.workspace.truth();
    let conversations: Vec<&str> = truth
        .iter()
        .filter(|line| line.kind == Kind::Conversation && !line.deleted)
        .map(|line| line.id.as_str())
        .collect();
    let now = world.simulator.clock().now().to_string();
    let sent: Vec<(Hostile, Vec<u8>)> = entries
        .into_iter()
        .zip(&conversations)
        .map(|(entry, id)| {
            let bytes = entry.with(&[("$ID", id), ("$NOW", &now)]);
            (entry, bytes)
        })
        .collect();
    let items: Vec<Vec<u8>> = sent.iter().map(|(_, bytes)| bytes.clone()).collect();
    let fault = world
        .simulator
        .inject(Fault::new(raw(list("conversations", &items))).operation("deleted_conversations"));
    look(&world, &connected).await;

    let gone = world
        .sql("SELECT source_id, '' FROM conversations WHERE connection_id = $1 AND deleted_at IS NOT NULL", &connected)
        .await;
    let mut found = rows(&world, &connected, QUARANTINED).await;
    for ((entry, bytes), id) in sent.iter().zip(&conversations) {
        if gone.iter().any(|(gone, _)| gone == id) {
            found.push(("stored".to_owned(), entry.name.clone(), seen(bytes)));
        }
    }
    assert_fates(&sent, &found, |sent, raw| sent == raw);
    assert_eq!(
        gone.len(),
        sent.iter()
            .filter(|(entry, _)| entry.fate == "stored")
            .count(),
        "nobody else is marked"
    );
    assert!(!world.status(&connected).await.complete);

    // They are alive after all; and what could not be read is no longer listed.
    world.simulator.clear_fault(fault);
    look(&world, &connected).await;
    connected.workspace.ledger().reset();
    world.resync(&connected, Mode::Full).await;
    world.until_complete(&connected).await;
    world.assert_exact(&connected).await;
    // And the threads of those that were called deleted.
    let again = truth
        .iter()
        .filter(|line| gone.iter().any(|(gone, _)| *gone == line.id));
    floors::within(
        &connected.workspace,
        floors::reference("2.16") + floors::walk(&truth) + floors::unread(again),
    );
}
