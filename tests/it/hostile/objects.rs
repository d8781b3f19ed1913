//! Contacts, companies, conversations and parts, among good ones.

use std::time::Duration;

use intercom_simulator::{Kind, Mutation, TruthLine, WorkspaceSpec};
use shared::{
    domain::{Mode, Stream},
    intercom::wire,
};

use super::{assert_fates, corpus, corpus::Hostile};
use crate::support::{Case, Kept, World, floors};

/// What differs by kind.
struct Subject {
    kind: Kind,
    file: &'static str,
    stream: Stream,
    spec: WorkspaceSpec,
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

fn count(file: &str) -> usize {
    corpus::of(file).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_contact_ends_where_it_belongs_and_heals() {
    play(Subject {
        kind: Kind::Contact,
        file: "contact",
        stream: Stream::Contacts,
        spec: WorkspaceSpec {
            contacts: 2 * count("contact") as u32 + 100,
            ..spec()
        },
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_company_ends_where_it_belongs_and_heals() {
    play(Subject {
        kind: Kind::Company,
        file: "company",
        stream: Stream::Companies,
        spec: WorkspaceSpec {
            companies: 2 * count("company") as u32,
            ..spec()
        },
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_conversation_ends_where_it_belongs_and_heals() {
    play(Subject {
        kind: Kind::Conversation,
        file: "conversation",
        stream: Stream::Conversations,
        spec: WorkspaceSpec {
            conversations: 2 * count("conversation") as u32,
            parts: 1.5,
            ..spec()
        },
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_part_ends_where_it_belongs_and_heals() {
    play(Subject {
        kind: Kind::Part,
        file: "part",
        stream: Stream::Threads,
        spec: WorkspaceSpec {
            conversations: 60,
            parts: 6.0,
            ..spec()
        },
    })
    .await;
}

async fn play(subject: Subject) {
    let world = World::new().await;
    let case = world.case(subject.spec.clone()).await;
    let truth = case.workspace.truth();
    let of_kind: Vec<&TruthLine> = truth
        .iter()
        .filter(|line| line.kind == subject.kind && !line.hidden)
        .collect();
    let (chosen, sent) = replace(&case, &subject, &of_kind);

    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_walked().await;
    case.until_run_ends().await;
    // What is hostile costs no call, except for a conversation's thread where it is held: at most one, whatever it counts.
    let own = sent
        .iter()
        .filter(|(entry, bytes)| match subject.kind {
            Kind::Conversation => entry.fate != "quarantined",
            // A contact that does not show its companies is asked for them.
            Kind::Contact => wire::read_contact(&wire::readable(bytes.clone()))
                .is_ok_and(|contact| !contact.companies.is_whole()),
            _ => false,
        })
        .count() as u64;
    case.assert_calls_within(
        floors::first(&truth, "2.16") - floors::unread(chosen.iter().copied()) + own,
    );

    let found = case.kept(subject.kind).await;
    assert_fates(&sent, &found, is_of);
    assert_neighbours(&of_kind, &chosen, &found);
    assert_told(&case, &subject, &found, of_kind.len()).await;
    for (id, reason, raw) in case.quarantined_bytes().await {
        assert!(
            (1..=256).contains(&reason.len()) && !raw.is_empty(),
            "{id}: {reason:?}"
        );
    }

    heals(&case, &subject, &truth, &sent, &chosen).await;
}

/// Puts each entry in the place of every other object, so that each has good neighbours.
fn replace<'a>(
    case: &Case,
    subject: &Subject,
    of_kind: &[&'a TruthLine],
) -> (Vec<&'a TruthLine>, Vec<(Hostile, Vec<u8>)>) {
    let entries = corpus::of(subject.file);
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
        let replaced = case
            .workspace
            .put_raw(subject.kind, &line.id, bytes.clone());
        assert!(replaced);
    }
    (chosen, sent)
}

/// What a reader keeps of an object is its bytes. The API adds the history of merges to a user's on the way.
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

/// Every good object is held as it is, and there are as many objects as were sent.
fn assert_neighbours(of_kind: &[&TruthLine], chosen: &[&TruthLine], found: &[Kept]) {
    let good: Vec<&&TruthLine> = of_kind
        .iter()
        .filter(|line| !chosen.iter().any(|bad| bad.id == line.id))
        .collect();
    assert!(good.len() >= 40);
    for line in &good {
        let held = found
            .iter()
            .filter(|kept| kept.fate == "stored" && is_of(line.object.get().as_bytes(), &kept.raw));
        assert_eq!(
            held.count(),
            1,
            "{:?} {} is held as it is",
            line.kind,
            line.id
        );
    }
    let counted = found
        .iter()
        // The first message of a conversation is no part in Intercom.
        .filter(|kept| kept.fate == "quarantined" || kept.id != "source");
    assert_eq!(
        counted.count(),
        of_kind.len(),
        "no object is lost, and none is doubled"
    );
}

/// The copy is not called complete while an object is in quarantine. Blocked threads are counted beside it.
async fn assert_told(case: &Case, subject: &Subject, found: &[Kept], there_are: usize) {
    let quarantined = found
        .iter()
        .filter(|kept| kept.fate == "quarantined")
        .count() as i64;
    assert!(quarantined > 10);
    let status = case.status().await;
    if subject.kind == Kind::Part {
        assert!(status.threads.blocked > 5);
        return;
    }
    assert!(!status.complete, "{status:#?}");
    let (held, expected) = case.held(subject.stream).await;
    assert_eq!(expected, Some(held + quarantined));
    // A conversation whose own call says that it does not exist is no longer counted.
    let ended = case.deleted_conversations().await.len() as i64;
    assert_eq!(held + quarantined + ended, there_are as i64);
}

/// Once the good versions are there, nothing is left of the bad ones except what came under ids of its own.
async fn heals(
    case: &Case,
    subject: &Subject,
    truth: &[TruthLine],
    sent: &[(Hostile, Vec<u8>)],
    chosen: &[&TruthLine],
) {
    for line in chosen {
        let object = line.object.get().to_owned();
        assert!(case.workspace.put_raw(subject.kind, &line.id, object));
    }
    if subject.kind == Kind::Part {
        // A thread is read again when its conversation says that it has changed.
        case.world
            .simulator
            .clock()
            .advance(Duration::from_secs(60));
        case.mutate(Mutation::update(Kind::Conversation, 1_000).ago(10));
    }
    case.sync(Mode::Full, Stream::ALL).await;
    // A conversation that can be read now, or has changed, has its thread read.
    let threads = match subject.kind {
        Kind::Part => floors::unread(truth),
        Kind::Conversation => floors::unread(chosen.iter().copied()),
        _ => 0,
    };
    case.assert_calls_within(case.reference_floor() + floors::walk(truth) + threads);
    let strangers = sent
        .iter()
        .filter(|(entry, bytes)| entry.fate != "quarantined" && is_stranger(bytes, chosen))
        .count() as u64;
    let report = case.compare(&case.workspace.truth()).await;
    // A thread with a part of another's id holds one more than it should.
    let longer = if subject.kind == Kind::Part {
        strangers
    } else {
        0
    };
    assert_eq!((report.missing, report.different), (0, longer), "{report}");
    assert_eq!(report.extra, strangers, "{report}");
    assert_eq!(case.world.simulator.ledger().outside_read_list, 0);
    assert_eq!(case.left_in_quarantine().await, Vec::<String>::new());
}

/// Whether an object came under an id that no good object has.
fn is_stranger(bytes: &[u8], chosen: &[&TruthLine]) -> bool {
    let object: serde_json::Value =
        serde_json::from_str(&wire::readable(bytes.to_vec())).unwrap_or_default();
    let is_known = |id: &str| chosen.iter().any(|line| line.id == id);
    !object.is_null() && !object["id"].as_str().is_some_and(is_known)
}
