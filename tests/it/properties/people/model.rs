//! What the sources know of a tenant's people, and what its callers have decided.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simulation::rng::Rng;

/// A source and its id of a record.
pub(super) type Key = (&'static str, String);

/// All sources, in the order in which they are believed at first.
pub(super) const SOURCES: [&str; 4] = ["crm", "email", "analytics", "intercom"];

/// More records hold it than one person has.
const SWITCHBOARD: &str = "+493099990000";

/// What one source says of a person.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) person: i64,
    pub(super) version: i64,
    /// In seconds. No two records have the same.
    pub(super) created_at: i64,
    pub(super) external_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) name: String,
    pub(super) may_email: Option<bool>,
    /// The record of Intercom's that it was merged into.
    pub(super) merged_into: Option<String>,
}

/// A conversation of Intercom's and its participants.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) id: String,
    pub(super) contacts: Vec<String>,
}

/// Records that were parted.
#[derive(Clone, Debug)]
pub(super) struct Split {
    /// The API's id of it.
    pub(super) id: String,
    pub(super) left: BTreeSet<Key>,
    pub(super) right: BTreeSet<Key>,
}

/// Everything that decides what readers see.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) records: BTreeMap<Key, Record>,
    pub(super) talks: Vec<Talk>,
    /// Events of the mailing tool: their ids, and the record of their person.
    pub(super) events: Vec<(String, String)>,
    pub(super) splits: Vec<Split>,
    /// The sources, the one that is believed first in front.
    pub(super) order: [&'static str; 4],
    /// Values that join nobody, each with its kind as in [`Record::values`].
    pub(super) blocked: BTreeSet<(usize, String)>,
    /// Records of people who were erased.
    pub(super) erased: BTreeMap<Key, Record>,
}

impl Model {
    /// So many people, of each of whom one to four sources know something.
    pub(super) fn new(rng: &mut Rng, people: i64) -> Self {
        let mut model = Self {
            records: BTreeMap::new(),
            talks: Vec::new(),
            events: Vec::new(),
            splits: Vec::new(),
            order: SOURCES,
            blocked: BTreeSet::new(),
            erased: BTreeMap::new(),
        };
        for person in 0..people {
            let shares = [("intercom", 8), ("crm", 6), ("email", 5), ("analytics", 4)];
            let known: Vec<&str> = shares
                .iter()
                .filter(|(_, share)| rng.between(0, 10) < *share)
                .map(|(source, _)| *source)
                .collect();
            let known = if known.is_empty() {
                vec!["intercom"]
            } else {
                known
            };
            for source in known {
                model.add(record(rng, source, person, "a"));
            }
            if rng.between(0, 20) == 0 {
                let mut second = record(rng, "intercom", person, "b");
                second.email = Some(address(person));
                model.add(second);
            }
        }
        model.add_events(rng);
        model.add_talks(rng, people / 4);
        model
    }

    fn add(&mut self, record: Record) {
        self.records.insert(record.key.clone(), record);
    }

    /// What may join a record with others, the strongest kind first.
    pub(super) fn joining_values(&self, record: &Record) -> Vec<(usize, String)> {
        let mut values = record.values();
        values.retain(|value| !self.blocked.contains(value));
        values
    }

    fn add_events(&mut self, rng: &mut Rng) {
        let mailed: Vec<String> = self
            .records
            .keys()
            .filter(|(source, _)| *source == "email")
            .map(|(_, id)| id.clone())
            .collect();
        for (number, contact) in mailed.into_iter().enumerate() {
            if rng.between(0, 3) == 0 {
                self.events.push((format!("e{number}"), contact));
            }
        }
    }

    fn add_talks(&mut self, rng: &mut Rng, count: i64) {
        let known: Vec<String> = self
            .of("intercom")
            .map(|record| record.key.1.clone())
            .collect();
        for number in 0..count {
            let mut contacts = vec![rng.pick(&known).clone()];
            if rng.between(0, 4) == 0 {
                contacts.push(rng.pick(&known).clone());
            }
            contacts.sort();
            contacts.dedup();
            let id = format!("{}", 1_000 + number);
            self.talks.push(Talk { id, contacts });
        }
    }

    pub(super) fn of(&self, source: &'static str) -> impl Iterator<Item = &Record> {
        self.records
            .values()
            .filter(move |record| record.key.0 == source)
    }
}

fn address(person: i64) -> String {
    format!("person{person}@mail{}.example", person % 53)
}

/// What a source knows of a person: some of what they are known by, and never nothing.
fn record(rng: &mut Rng, source: &'static str, person: i64, which: &str) -> Record {
    let place = SOURCES
        .iter()
        .position(|known| *known == source)
        .unwrap_or(0) as i64;
    let place = 2 * place + i64::from(which == "b");
    let mut record = Record {
        key: (source, format!("{which}{person}")),
        person,
        version: 1,
        created_at: 1_000_000 + rng.between(0, 1_000_000) * 8 + place,
        external_id: (rng.between(0, 10) < 4).then(|| format!("own-{person}")),
        email: (rng.between(0, 10) < 8).then(|| address(person)),
        phone: (rng.between(0, 10) < 3).then(|| format!("+4930{}", 10_000_000 + person)),
        name: format!("Person {person} of {source}"),
        may_email: (rng.between(0, 5) == 0).then(|| rng.between(0, 2) == 0),
        merged_into: None,
    };
    if record.external_id.is_none() && record.phone.is_none() {
        record.email = Some(address(person));
    }
    // Written in another way, which is the same address.
    if rng.between(0, 6) == 0 {
        record.email = record.email.map(|email| email.to_uppercase());
    }
    match rng.between(0, 60) {
        // What is no identity of one person.
        0 => record.email = Some(format!("info@mail{}.example", person % 53)),
        1 => record.external_id = Some("-1".to_owned()),
        2 | 3 => record.phone = Some(SWITCHBOARD.to_owned()),
        // An office of two people who are known to be two.
        4..=6 => {
            record.external_id = Some(format!("own-{person}"));
            record.phone = Some(format!("+4930{}", 80_000_000 + person / 2));
        }
        _ => {}
    }
    record
}

impl Record {
    /// As its source sends it.
    pub(super) fn sent(&self) -> Value {
        let at = |second: i64| chrono::DateTime::from_timestamp(second, 0);
        if self.key.0 == "intercom" {
            return json!({
                "id": self.key.1, "created_at": self.created_at, "updated_at": self.updated_at(), "name": self.name,
                "external_id": self.external_id, "email": self.email, "phone": self.phone,
                "unsubscribed_from_emails": self.may_email.map(|may| !may),
            });
        }
        json!({
            "source_id": self.key.1,
            "source_updated_at": at(self.updated_at()),
            "fields": {
                "created_at": at(self.created_at), "name": self.name, "email": self.email, "phone": self.phone,
                "external_id": self.external_id,
                "consent": self.may_email.map(|may| json!({"may_email": may})),
            },
        })
    }

    pub(super) const fn updated_at(&self) -> i64 {
        20_000_000 + self.version
    }

    /// What it is known by, the strongest kind first, in the form that is compared.
    pub(super) fn values(&self) -> Vec<(usize, String)> {
        let kinds = [
            self.external_id.as_ref().filter(|id| *id != "-1").cloned(),
            self.email
                .as_ref()
                .map(|email| email.to_lowercase())
                .filter(|email| !email.starts_with("info@")),
            self.phone.clone(),
        ];
        let kinds = kinds.into_iter().enumerate();
        kinds
            .filter_map(|(kind, value)| Some((kind, value?)))
            .collect()
    }
}
