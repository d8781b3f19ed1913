//! Contacts, companies, conversations and parts, among good ones.

use std::time::Duration;

use intercom_simulator::{Kind, Mutation, TruthLine, WorkspaceSpec};
use pathbound::exact::compare;
use shared::{
    completeness::SyncStatus,
    domain::{Mode, Stream},
};

use super::{assert_fates, corpus, corpus::Hostile, has_ended, quarantine, rows, stream};
use crate::{
    floors,
    world::{Connected, World},
};

/// What differs by kind.
struct Case {
    kind: Kind,
    folder: &'static str,
    stream: Stream,
    spec: WorkspaceSpec,
    rows: &'static str,
}

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 5,
        companies: 3,
        conversations: 3,
        contacts_over_10_companies: 0.0,
        contacts_over_10_tags: 0.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

fn count(folder: &str) -> usize {
    corpus::of(folder).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_contact_ends_where_it_belongs_and_heals() {
    play(Case {
        kind: Kind::Contact,
        folder: "contact",
        stream: Stream::Contacts,
        spec: WorkspaceSpec {
            contacts: 2 * count("contact") as u32 + 100,
            ..spec()
        },
        rows: "SELECT CASE WHEN sanitised THEN 'sanitised' ELSE 'stored' END, source_id, raw
               FROM contact_sources WHERE connection_id = $1
               UNION ALL SELECT 'quarantined', source_id, raw FROM quarantine
               WHERE connection_id = $1 AND kind = 'contact' AND resolved_at IS NULL",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_company_ends_where_it_belongs_and_heals() {
    play(Case {
        kind: Kind::Company,
        folder: "company",
        stream: Stream::Companies,
        spec: WorkspaceSpec {
            companies: 2 * count("company") as u32,
            ..spec()
        },
        rows: "SELECT CASE WHEN sanitised THEN 'sanitised' ELSE 'stored' END, source_id, raw
               FROM company_sources WHERE connection_id = $1
               UNION ALL SELECT 'quarantined', source_id, raw FROM quarantine
               WHERE connection_id = $1 AND kind = 'company' AND resolved_at IS NULL",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_conversation_ends_where_it_belongs_and_heals() {
    play(Case {
        kind: Kind::Conversation,
        folder: "conversation",
        stream: Stream::Conversations,
        spec: WorkspaceSpec {
            conversations: 2 * count("conversation") as u32,
            parts: 1.5,
            ..spec()
        },
        rows: "SELECT CASE WHEN sanitised THEN 'sanitised' ELSE 'stored' END, source_id, raw
               FROM conversations WHERE connection_id = $1
               UNION ALL SELECT 'quarantined', source_id, raw FROM quarantine
               WHERE connection_id = $1 AND kind = 'conversation' AND resolved_at IS NULL",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_part_ends_where_it_belongs_and_heals() {
    play(Case {
        kind: Kind::Part,
        folder: "part",
        stream: Stream::Threads,
        spec: WorkspaceSpec { conversations: 60, parts: 6.0, ..spec() },
        rows: "SELECT CASE WHEN p.sanitised THEN 'sanitised' ELSE 'stored' END, p.source_id, p.raw
               FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
               WHERE c.connection_id = $1
               UNION ALL SELECT 'quarantined', source_id, raw FROM quarantine
               WHERE connection_id = $1 AND kind = 'part' AND resolved_at IS NULL",
    })
    .await;
}

async fn play(case: Case) {
    let world = World::new().await;
    let workspace = world.simulator.add_workspace(case.spec.clone());
    let truth = workspace.truth();
    let entries = corpus::of(case.folder);
    // Every other one, so that each has good neighbours.
    let of_kind: Vec<&TruthLine> = truth
        .iter()
        .filter(|line| line.kind == case.kind && !line.hidden)
        .collect();
    let chosen: Vec<&TruthLine> = of_kind
        .iter()
        .step_by(2)
        .copied()
        .take(entries.len())
        .collect();
    assert_eq!(
        chosen.len(),
        entries.len(),
        "every entry has a place among {}",
        of_kind.len()
    );
    let sent: Vec<(Hostile, Vec<u8>)> = entries
        .into_iter()
        .zip(&chosen)
        .map(|(entry, line)| {
            let bytes = entry.with(&[("$ID", &line.id)]);
            (entry, bytes)
        })
        .collect();
    for ((_, bytes), line) in sent.iter().zip(&chosen) {
        assert!(workspace.put_raw(case.kind, &line.id, bytes.clone()));
    }

    let tenant = world.store.create_tenant("Acme").await.unwrap().id;
    let connected = world.connect_as(tenant, &workspace).await;
    let _fleet = world.fleet(1);
    world
        .until(&connected, "the walks have ended", has_ended)
        .await;
    world.until_run_ends(&connected).await;
    // What is hostile costs no call, but for a conversation's thread where it is held: whatever it counts, at most one.
    let held = sent
        .iter()
        .filter(|(entry, _)| entry.fate != "quarantined")
        .count() as u64;
    let own = if case.kind == Kind::Conversation {
        held
    } else {
        0
    };
    floors::within(
        &workspace,
        floors::first(&truth, "2.16") - floors::unread(chosen.iter().copied()) + own,
    );

    let found = rows(&world, &connected, case.rows).await;
    assert_fates(&sent, &found, is_of);
    let good: Vec<&TruthLine> = of_kind
        .iter()
        .filter(|line| !chosen.iter().any(|bad| bad.id == line.id))
        .copied()
        .collect();
    assert!(good.len() >= 40);
    for line in &good {
        let held = found
            .iter()
            .filter(|(fate, _, raw)| fate == "stored" && is_of(line.object.get().as_bytes(), raw));
        assert_eq!(
            held.count(),
            1,
            "{:?} {} is held as it is",
            case.kind,
            line.id
        );
    }
    assert_eq!(
        found
            .iter()
            .filter(|(fate, id, _)| fate != "quarantined" && id != "source")
            .count()
            + found
                .iter()
                .filter(|(fate, ..)| fate == "quarantined")
                .count(),
        of_kind.len(),
        "no object is lost, none is doubled"
    );
    says_so(
        &case,
        &world.status(&connected).await,
        &found,
        of_kind.len(),
    );
    for (id, reason, raw) in quarantine(&world, &connected).await {
        assert!(
            (1..=256).contains(&reason.len()) && !raw.is_empty(),
            "{id}: {reason:?}"
        );
    }

    heals(&world, &connected, &case, &truth, &sent, &chosen).await;
}

/// What a reader keeps of an object is its bytes; the API adds the history of merges to a user's on the way.
fn is_of(sent: &[u8], raw: &[u8]) -> bool {
    let history = |rest: &[u8]| {
        rest.strip_prefix(b",")
            .unwrap_or(rest)
            .starts_with(b"\"merge_history\":")
    };
    raw == sent
        || sent
            .strip_suffix(b"}")
            .is_some_and(|open| raw.strip_prefix(open).is_some_and(history))
}

/// No green status over what is in quarantine; of threads, the blocked ones are counted beside it.
fn says_so(case: &Case, status: &SyncStatus, found: &[super::Row], there_are: usize) {
    let quarantined = found
        .iter()
        .filter(|(fate, ..)| fate == "quarantined")
        .count() as i64;
    assert!(quarantined > 10);
    if case.kind == Kind::Part {
        assert!(status.threads.blocked > 5);
        return;
    }
    assert!(!status.complete, "{status:#?}");
    let (held, expected) = stream(status, case.stream);
    assert_eq!(expected, Some(held + quarantined));
    assert_eq!(held + quarantined, there_are as i64);
}

/// Once the good versions are there, nothing of all that is left but what came under ids of its own.
async fn heals(
    world: &World,
    connected: &Connected,
    case: &Case,
    truth: &[TruthLine],
    sent: &[(Hostile, Vec<u8>)],
    chosen: &[&TruthLine],
) {
    for line in chosen {
        assert!(
            connected
                .workspace
                .put_raw(case.kind, &line.id, line.object.get().to_owned())
        );
    }
    if case.kind == Kind::Part {
        // A thread is read again when its conversation says that it has changed.
        world.simulator.clock().advance(Duration::from_secs(60));
        connected
            .workspace
            .mutate(Mutation::update(Kind::Conversation, 1_000).ago(10));
    }
    connected.workspace.ledger().reset();
    world.resync(connected, Mode::Full).await;
    world.until_complete(connected).await;
    // A conversation that can be read now, or has changed, has its thread read.
    let owed = match case.kind {
        Kind::Part => floors::unread(truth),
        Kind::Conversation => floors::unread(chosen.iter().copied()),
        _ => 0,
    };
    floors::within(
        &connected.workspace,
        floors::reference("2.16") + floors::walk(truth) + owed,
    );
    let strangers = sent
        .iter()
        .filter(|(entry, bytes)| {
            entry.fate != "quarantined" && {
                let object: serde_json::Value =
                    serde_json::from_str(&shared::intercom::wire::readable(bytes.clone()))
                        .unwrap_or_default();
                object["id"]
                    .as_str()
                    .is_none_or(|id| !chosen.iter().any(|line| line.id == id))
                    && !object.is_null()
            }
        })
        .count() as u64;
    let report = compare(
        &world.store,
        connected.tenant,
        connected.connection,
        &connected.workspace.truth(),
    )
    .await
    .unwrap();
    // A thread with a part of another's id holds one more than it should.
    let longer = if case.kind == Kind::Part {
        strangers
    } else {
        0
    };
    assert_eq!((report.missing, report.different), (0, longer), "{report}");
    assert_eq!(report.extra, strangers, "{report}");
    assert_eq!(world.simulator.ledger().outside_read_list, 0);
    // What they said may have been redacted since.
    let kept = world
        .sql("SELECT source_id, reason FROM quarantine WHERE connection_id = $1 AND (length(raw) > 0 OR resolved_at IS NULL)", connected)
        .await;
    assert_eq!(kept, []);
}
