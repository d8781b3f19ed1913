//! Lists that come whole: reference data, and the conversations that were deleted.

use intercom_simulator::{Fault, Kind, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{assert_fates, corpus, corpus::Hostile, seen};
use crate::support::{Case, Kept, World, floors, raw};

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 5,
        companies: 3,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
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

/// Reads the reference data once.
async fn read_reference(case: &Case) {
    case.begin_run(Mode::Full, &[Stream::Reference]).await;
    case.until_run_ends().await;
    case.assert_calls_within(case.reference_floor());
}

/// Ids of stored tags, and whether they were repaired.
async fn tags(case: &Case) -> Vec<(String, bool)> {
    let mut tx = case.world.store.begin(case.tenant).await.unwrap();
    let items = tx.export_reference(case.connection()).await.unwrap();
    items
        .into_iter()
        .filter(|item| item.kind == "tag")
        .map(|item| (item.source_id, item.sanitised))
        .collect()
}

const fn fate(sanitised: bool) -> &'static str {
    if sanitised { "sanitised" } else { "stored" }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_tag_ends_where_it_belongs_and_heals() {
    let world = World::new().await;
    let case = world.connect(spec()).await;
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
        // Good neighbours stand before and behind each hostile one.
        items.insert(
            2 * n,
            format!(r#"{{"type":"tag","id":"{id}","name":"good"}}"#).into_bytes(),
        );
    }
    let fault = case.inject(Fault::new(raw(200, list("data", &items))).operation("list_tags"));
    let _fleet = world.fleet(1);
    case.until_walked().await;
    assert_eq!(case.hits(fault), 1);
    case.assert_calls_within(case.first_floor());

    // What is stored keeps its fields and not its bytes: found by its id.
    let stored = case.listed_tags().await;
    let mut missing: Vec<&str> = good.iter().map(String::as_str).collect();
    missing.retain(|id| !stored.contains(&((*id).to_owned(), "good".to_owned())));
    assert_eq!(missing, [""; 0], "good neighbours are held");
    let held = tags(&case).await;
    assert!(
        held.iter()
            .all(|(id, sanitised)| !(*sanitised && good.contains(id))),
        "what is good is as it was sent"
    );
    let mut found = case.quarantined_reference().await;
    for (entry, bytes) in &sent {
        let id = format!("tag-{}", entry.name);
        let fates = held
            .iter()
            .filter(|(held, _)| *held == id)
            .map(|(_, sanitised)| fate(*sanitised));
        found.extend(fates.map(|fate| Kept {
            fate: fate.to_owned(),
            id: id.clone(),
            raw: seen(bytes),
        }));
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
        !case.status().await.complete,
        "no green status over what is in quarantine"
    );

    case.clear_fault(fault);
    read_reference(&case).await;
    case.until_complete().await;
    // What is no longer listed stays, marked.
    let report = case.compare(&case.workspace.truth()).await;
    assert_eq!(
        (report.missing, report.different, report.extra),
        (0, 0, stored.len() as u64),
        "{report}"
    );
    let listed = case.listed_tags().await;
    assert!(
        !listed
            .iter()
            .any(|(id, _)| id.starts_with("good-") || id.starts_with("tag-")),
        "{listed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_deletion_is_believed_or_quarantined() {
    let world = World::new().await;
    let entries = corpus::of("deleted");
    let case = world
        .connect(WorkspaceSpec {
            conversations: 2 * entries.len() as u32,
            parts: 1.0,
            ..spec()
        })
        .await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_calls_within(case.first_floor());
    let truth = case.workspace.truth();
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
    let fault = case.inject(
        Fault::new(raw(200, list("conversations", &items))).operation("deleted_conversations"),
    );
    read_reference(&case).await;

    let gone = case.deleted_conversations().await;
    let mut found = case.quarantined_reference().await;
    for ((entry, bytes), id) in sent.iter().zip(&conversations) {
        if gone.iter().any(|gone| gone == id) {
            found.push(Kept {
                fate: "stored".to_owned(),
                id: entry.name.clone(),
                raw: seen(bytes),
            });
        }
    }
    assert_fates(&sent, &found, |sent, raw| sent == raw);
    assert_eq!(
        gone.len(),
        sent.iter()
            .filter(|(entry, _)| entry.fate == "stored")
            .count(),
        "no other is marked"
    );
    assert!(!case.status().await.complete);

    // They are alive after all, and what could not be read is no longer listed.
    case.clear_fault(fault);
    read_reference(&case).await;
    case.sync(Mode::Full, Stream::ALL).await;
    case.assert_exact().await;
    // And the threads of those that were called deleted.
    let again = truth.iter().filter(|line| gone.contains(&line.id));
    case.assert_calls_within(case.reference_floor() + floors::walk(&truth) + floors::unread(again));
}
