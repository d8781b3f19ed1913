//! What readers should see: gathered anew from the whole model, with nothing remembered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::domain::{ConnectionId, ids};
use uuid::Uuid;

use super::model::{Key, Model, Record};

/// A value that more records hold is nobody's.
const MOST_HOLDERS: usize = 25;

/// A contact as a list shows it, as far as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) sources: BTreeSet<(String, String)>,
    pub(super) name: String,
    pub(super) emails: BTreeSet<String>,
    pub(super) external_ids: BTreeSet<String>,
    pub(super) may_email: bool,
}

/// Everything that readers should see.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) people: BTreeMap<Uuid, Person>,
    /// The contact that each record belongs to, also those that were merged into others.
    pub(super) home: BTreeMap<Key, Uuid>,
    /// The participants by conversation.
    pub(super) talks: BTreeMap<String, BTreeSet<Uuid>>,
    /// Events by contact.
    pub(super) events: BTreeMap<Uuid, BTreeSet<String>>,
}

/// The groups of records, each with the records that were merged into its members.
struct Groups<'a> {
    model: &'a Model,
    /// Records with one label are one person.
    label: BTreeMap<Key, usize>,
    of_label: BTreeMap<usize, Vec<Key>>,
}

pub(super) fn expected(model: &Model, connections: &BTreeMap<String, ConnectionId>) -> Expected {
    let mut groups = Groups::of(model);
    groups.join();
    let id_of = |key: &Key| ids::contact_id(connections[key.0], &key.1);
    let (mut people, mut home) = (BTreeMap::new(), BTreeMap::new());
    for records in groups.records() {
        let oldest = records.iter().min_by_key(|record| record.created_at);
        let Some(oldest) = oldest else { continue };
        let id = id_of(&oldest.key);
        home.extend(records.iter().map(|record| (record.key.clone(), id)));
        people.insert(id, person(model, records));
    }
    for record in model.records.values() {
        if let Some(survivor) = &record.merged_into {
            let survivor: Key = ("intercom", survivor.clone());
            home.insert(record.key.clone(), home[&survivor]);
        }
    }
    let mut talks = BTreeMap::new();
    for talk in &model.talks {
        let people = talk
            .contacts
            .iter()
            .filter_map(|id| home.get(&("intercom", id.clone())));
        talks.insert(talk.id.clone(), people.copied().collect());
    }
    let mut events: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for (event, contact) in &model.events {
        if let Some(id) = home.get(&("email", contact.clone())) {
            events.entry(*id).or_default().insert(event.clone());
        }
    }
    Expected {
        people,
        home,
        talks,
        events,
    }
}

impl<'a> Groups<'a> {
    fn of(model: &'a Model) -> Self {
        let alive = model
            .records
            .values()
            .filter(|record| record.merged_into.is_none());
        let label: BTreeMap<Key, usize> = alive.map(|record| record.key.clone()).zip(0..).collect();
        let of_label = label.iter().map(|(key, label)| (*label, vec![key.clone()]));
        Self {
            model,
            of_label: of_label.collect(),
            label,
        }
    }

    /// Joins the holders of each value, the strongest kind first.
    fn join(&mut self) {
        for kind in 0..3 {
            let mut holders: BTreeMap<String, Vec<Key>> = BTreeMap::new();
            for key in self.label.keys() {
                for (of, value) in self.model.joining_values(&self.model.records[key]) {
                    if of == kind {
                        holders.entry(value).or_default().push(key.clone());
                    }
                }
            }
            for keys in holders.into_values() {
                let is_shared = keys.len() > MOST_HOLDERS;
                if !is_shared && keys.len() > 1 && !self.is_ambiguous(&keys, kind) {
                    self.unite(&keys);
                }
            }
        }
    }

    /// Whether two of the people that these records belong to have no value of a stronger kind in common, and both have
    /// one.
    fn is_ambiguous(&self, keys: &[Key], kind: usize) -> bool {
        let labels: BTreeSet<usize> = keys.iter().map(|key| self.label[key]).collect();
        (0..kind).any(|stronger| {
            let mut held: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
            for label in &labels {
                let values = self.of_label[label]
                    .iter()
                    .flat_map(|key| self.model.joining_values(&self.model.records[key]));
                let values = values.filter(|(of, _)| *of == stronger);
                held.entry(*label)
                    .or_default()
                    .extend(values.map(|(_, value)| value));
            }
            held.retain(|_, values| !values.is_empty());
            let held: Vec<BTreeSet<String>> = held.into_values().collect();
            (0..held.len()).any(|n| held[..n].iter().any(|other| other.is_disjoint(&held[n])))
        })
    }

    /// Makes these records one person, but for those that were parted.
    fn unite(&mut self, keys: &[Key]) {
        let side = |key: &Key| {
            let splits = self.model.splits.iter();
            splits.filter(|split| split.left.contains(key)).count()
        };
        for side_of in 0..2 {
            let same: BTreeSet<usize> = keys
                .iter()
                .filter(|key| side(key).min(1) == side_of)
                .map(|key| self.label[key])
                .collect();
            let mut same = same.into_iter();
            let Some(first) = same.next() else { continue };
            for label in same {
                for key in self.of_label.remove(&label).unwrap_or_default() {
                    self.label.insert(key.clone(), first);
                    self.of_label.entry(first).or_default().push(key);
                }
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Vec<&'a Record>> {
        let model = self.model;
        let groups = self.of_label.values();
        groups.map(move |keys| keys.iter().map(|key| &model.records[key]).collect())
    }
}

fn person(model: &Model, mut records: Vec<&Record>) -> Person {
    let rank = |record: &Record| {
        model
            .order
            .iter()
            .position(|source| *source == record.key.0)
    };
    records.sort_by_key(|record| (rank(record), -record.version, record.key.clone()));
    let all = |value: fn(&Record) -> &Option<String>| -> BTreeSet<String> {
        records
            .iter()
            .filter_map(|record| value(record).clone())
            .collect()
    };
    Person {
        name: records[0].name.clone(),
        sources: records
            .iter()
            .map(|record| (record.key.0.to_owned(), record.key.1.clone()))
            .collect(),
        emails: all(|record| &record.email)
            .iter()
            .map(|email| email.to_lowercase())
            .collect(),
        external_ids: all(|record| &record.external_id),
        // A "no" of any source counts.
        may_email: records.iter().all(|record| record.may_email != Some(false)),
    }
}

impl Person {
    /// As the API shows it.
    pub(super) fn shown(item: &Value) -> Self {
        let texts = |name: &str| -> BTreeSet<String> {
            let texts = item[name].as_array().into_iter().flatten();
            texts
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sources = item["sources"].as_array().into_iter().flatten();
        Self {
            sources: sources
                .map(|source| (word(&source["source"]), word(&source["source_id"])))
                .collect(),
            name: word(&item["name"]),
            emails: texts("emails")
                .iter()
                .map(|email| email.to_lowercase())
                .collect(),
            external_ids: texts("external_ids"),
            may_email: item["consent"]["may_email"] == json!(true),
        }
    }
}
