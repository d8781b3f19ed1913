//! Whatever records a source sends, and in whatever order: each belongs to the contact or company that the set of all of
//! them says.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use intercom_simulator::Kind;
use serde_json::json;
use shared::{
    domain::{
        Stream,
        profile::{IdentityRecord, IdentityRules, IdentityValue, RecordKey, resolve},
        records::{Company, Contact},
    },
    intercom::wire,
    store::{SliceKey, SourcesStore, WorkerStore},
};
use simulation::rng::{Rng, seeds};
use uuid::Uuid;

use super::servers;
use crate::support::{Case, play, tiny};

/// Few records and fewer values, so that most of them meet.
const RECORDS: i64 = 14;
const STEPS: usize = 30;

/// A stored record, as far as its identity goes.
type Row = (
    String,
    Uuid,
    Uuid,
    DateTime<Utc>,
    Option<String>,
    String,
    bool,
);

fn value(rng: &mut Rng, kind: &str, of: i64) -> Option<String> {
    let number = rng.between(0, of);
    (number > 0).then(|| match kind {
        "external_id" => format!("u{number}"),
        "email" => format!("p{number}@acme.example"),
        "website" => format!("https://www.company{number}.example/about"),
        _ => format!("+49301234{number}"),
    })
}

/// A version of a record. Most have an address, and few more than that.
fn contact(rng: &mut Rng, number: i64, version: usize) -> Contact {
    let raw = json!({
        "id": format!("c{number}"), "created_at": 1_000 - number, "updated_at": version + 1,
        "external_id": value(rng, "external_id", 6).filter(|_| rng.between(0, 3) == 0),
        "email": value(rng, "email", 7),
        "phone": value(rng, "phone", 5).filter(|_| rng.between(0, 2) == 0),
    });
    wire::read_contact(&raw.to_string()).expect("a contact")
}

fn company(rng: &mut Rng, number: i64, version: usize) -> Company {
    let raw = json!({
        "id": format!("c{number}"), "created_at": 1_000 - number, "updated_at": version + 1,
        "company_id": value(rng, "external_id", 6).filter(|_| rng.between(0, 3) == 0),
        "website": value(rng, "website", 7),
    });
    wire::read_company(&raw.to_string()).expect("a company")
}

/// One transaction: a page of companies, or a deletion.
async fn company_step(
    (store, sources): (&WorkerStore, &SourcesStore),
    case: &Case,
    rng: &mut Rng,
    version: usize,
) {
    let number = rng.between(0, RECORDS);
    if rng.between(0, 8) == 0 {
        let at = DateTime::from_timestamp(version as i64 + 1, 0).unwrap();
        let ended = [(format!("c{number}"), at)];
        let mut tx = sources.begin(case.tenant).await.unwrap();
        tx.end_companies(case.connection(), &ended).await.unwrap();
        tx.commit().await.unwrap();
        return;
    }
    let count = rng.between(1, 4);
    let page = (0..count).map(|n| company(rng, (number + n * 5) % RECORDS, version));
    let page = page.collect();
    let mut tx = store.begin(case.tenant).await.unwrap();
    drop(tx.write_companies(case.connection(), page).await.unwrap());
    tx.commit().await.unwrap();
}

/// One transaction: a page of contacts, a merge, or a deletion.
async fn contact_step(store: &WorkerStore, case: &Case, rng: &mut Rng, version: usize) {
    let key = SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream: Stream::Contacts,
        fence: 0,
    };
    let name = |number: i64| format!("c{number}");
    let mut tx = store.begin(case.tenant).await.unwrap();
    let number = rng.between(0, RECORDS);
    match rng.between(0, 10) {
        0 => {
            let merged = [(name(number), name((number + 1) % RECORDS))];
            tx.mark_contacts_deleted(key, &[], &merged).await.unwrap();
        }
        1 => {
            tx.mark_contacts_deleted(key, &[name(number)], &[])
                .await
                .unwrap();
        }
        _ => {
            let count = rng.between(1, 4);
            let page = (0..count).map(|n| contact(rng, (number + n * 5) % RECORDS, version));
            let page = page.collect();
            drop(tx.write_contacts(key.connection, page).await.unwrap());
        }
    }
    tx.commit().await.unwrap();
}

/// What the set of all stored records says, by record.
fn expected(case: &Case, rows: &[Row]) -> BTreeMap<String, Uuid> {
    let records: Vec<IdentityRecord> = rows
        .iter()
        .map(|(source_id, id, _, created_at, merged_into, values, _)| {
            let values: Vec<String> = serde_json::from_str(values).unwrap();
            IdentityRecord {
                key: RecordKey {
                    connection: case.connection(),
                    source_id: source_id.clone(),
                },
                id: *id,
                source_created_at: *created_at,
                merged_into: merged_into.clone(),
                values: values.iter().map(|value| of_stored(value)).collect(),
            }
        })
        .collect();
    let found = resolve(
        &records,
        &IdentityRules::default(),
        &[],
        &Default::default(),
    );
    let of = |profile: &shared::domain::profile::Profile| {
        let id = profile.id;
        let all = profile.members.iter().chain(&profile.absorbed);
        all.map(move |key| (key.source_id.clone(), id))
            .collect::<Vec<_>>()
    };
    found.profiles.iter().flat_map(of).collect()
}

fn of_stored(stored: &str) -> IdentityValue {
    let (kind, text) = stored.split_once(':').unwrap();
    match kind {
        "external_id" | "company_id" => IdentityValue::external_id(text),
        "domain" => IdentityValue::domain(text),
        "email" => IdentityValue::email(text),
        _ => IdentityValue::phone(text),
    }
}

/// What the feed should say of each record's own id: 0 listed, 1 deleted, 2 merged.
fn fates(rows: &[Row]) -> BTreeMap<Uuid, i16> {
    let mut alive = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for (_, _, contact, _, merged_into, _, is_deleted) in rows {
        match (merged_into, is_deleted) {
            (None, false) => drop(alive.insert(*contact)),
            (None, true) => drop(ended.insert(*contact)),
            (Some(_), _) => {}
        }
    }
    rows.iter()
        .map(|(_, id, contact, ..)| {
            let fate = if id != contact {
                2
            } else if alive.contains(id) {
                0
            } else if ended.contains(id) {
                1
            } else {
                2
            };
            (*id, fate)
        })
        .collect()
}

#[test]
fn every_record_belongs_to_the_contact_that_the_set_says() {
    histories(Kind::Contact);
}

#[test]
fn every_record_belongs_to_the_company_that_the_set_says() {
    histories(Kind::Company);
}

fn histories(kind: Kind) {
    play(async {
        let world = servers().await.beside(&[]).await;
        let store = world.worker_store(1).await;
        let sources = SourcesStore::connect(&world.config.database, 1).await;
        let sources = sources.expect("postgres answers");
        let mut joined = 0;
        for seed in seeds("PROPERTY_SEEDS", 12) {
            let spec = intercom_simulator::WorkspaceSpec {
                seed: 7_000 + seed,
                ..tiny()
            };
            let case = world.connect(spec).await;
            let mut rng = Rng::new(seed);
            for version in 0..STEPS {
                if kind == Kind::Company {
                    company_step((&store, &sources), &case, &mut rng, version).await;
                } else {
                    contact_step(&store, &case, &mut rng, version).await;
                }
                let rows: Vec<Row> = case.stored_identities(kind).await;
                let held: BTreeMap<String, Uuid> = rows
                    .iter()
                    .map(|(source_id, _, profile, ..)| (source_id.clone(), *profile))
                    .collect();
                let context = format!(
                    "PROPERTY_SEEDS={seed}..{}, step {version}: {rows:#?}",
                    seed + 1
                );
                assert_eq!(held, expected(&case, &rows), "{context}");
                assert_eq!(case.fates(kind).await, fates(&rows), "{context}");
                joined += rows
                    .iter()
                    .filter(|(_, id, profile, ..)| id != profile)
                    .count();
            }
        }
        assert!(joined > 100, "only {joined} records were joined");
    });
}
