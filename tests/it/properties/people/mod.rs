//! A tenant of many people of whom four sources know something: after random merges, splits, new rules, removals and
//! erasures, readers see what an oracle gathers from the whole.
//!
//! `PEOPLE=500` makes a smaller tenant, and `PEOPLE_SEED=7` another one.

mod model;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{
    domain::{ConnectionId, Stream, ids},
    intercom::wire,
    store::{SliceKey, WorkerStore},
};
use simulation::rng::Rng;
use uuid::Uuid;

use self::{
    model::{Key, Model, Record, SOURCES, Split},
    oracle::{Expected, Person, expected},
};
use crate::{
    rest::search::index,
    support::{Caller, Case, World, tiny},
};

/// More are of no use to a call of a source.
const BATCH: usize = 1_000;

struct Life {
    case: Case,
    caller: Caller,
    store: WorkerStore,
    rng: Rng,
    model: Model,
}

fn setting(variable: &str, default: i64) -> i64 {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_four_sources_are_what_an_oracle_says() {
    let people = setting("PEOPLE", 5_000);
    let seed = setting("PEOPLE_SEED", 1).unsigned_abs();
    let world = World::new().await;
    // Not synced, because the test itself writes what Intercom says.
    let case = world.case(tiny()).await.connect().await;
    let mut rng = Rng::new(seed);
    let mut life = Life {
        caller: Caller::service(&world, &world.api().await, Some(case.tenant)),
        store: world.worker_store(1).await,
        model: Model::new(&mut rng, people),
        rng,
        case,
    };
    life.deliver_everything().await;
    life.compare().await;
    for _ in 0..people / 20 {
        life.step().await;
    }
    life.compare().await;
    life.remove("analytics").await;
    life.compare().await;
    // Everything comes once more, those who were erased too.
    life.deliver_everything().await;
    life.resend_erased().await;
    let seen = life.compare().await;
    let model = &life.model;
    let is_empty = [
        model.erased.is_empty(),
        model.splits.is_empty(),
        model.blocked.is_empty(),
    ];
    assert_eq!(is_empty, [false; 3]);
    life.look_around(&seen).await;
}

impl Life {
    /// Every record, conversation and event, in any order.
    async fn deliver_everything(&mut self) {
        let keys: Vec<Key> = self.model.records.keys().cloned().collect();
        let mut order: Vec<(i64, Key)> = keys
            .into_iter()
            .map(|key| (self.rng.between(0, 1_000_000), key))
            .collect();
        order.sort();
        let mut talks = self.model.talks.clone().into_iter();
        for page in order.chunks(BATCH) {
            let keys: Vec<&Key> = page.iter().map(|(_, key)| key).collect();
            self.deliver(&keys).await;
            // Conversations come between their contacts.
            self.deliver_talks(talks.by_ref().take(BATCH / 4)).await;
        }
        self.deliver_talks(talks).await;
        let events: Vec<Value> = self
            .model
            .events
            .iter()
            .map(|(id, contact)| {
                json!({
                    "source_id": id, "source_updated_at": "2026-11-01T12:00:00Z",
                    "fields": {"contact": contact, "kind": "email_opened", "occurred_at": "2026-11-01T12:00:00Z"},
                })
            })
            .collect();
        for page in events.chunks(BATCH) {
            self.caller.send("email", "event", page).await;
        }
    }

    async fn deliver(&self, keys: &[&Key]) {
        for source in SOURCES {
            let of = keys.iter().filter(|key| key.0 == source);
            let records = of.map(|key| &self.model.records[*key]);
            // Intercom lists no record that it has merged into another.
            let listed = records.filter(|record| record.merged_into.is_none());
            let sent: Vec<Value> = listed.map(Record::sent).collect();
            if source == "intercom" {
                self.write(&sent).await;
            } else if !sent.is_empty() {
                let taken = self.caller.send(source, "contact", &sent).await;
                assert_eq!(taken["rejected"], json!([]), "{source}");
            }
        }
    }

    /// What Intercom says, as a worker writes it.
    async fn write(&self, sent: &[Value]) {
        for page in sent.chunks(150) {
            let read = page
                .iter()
                .map(|raw| wire::read_contact(&raw.to_string()).unwrap());
            let mut tx = self.store.begin(self.case.tenant).await.unwrap();
            let written = tx
                .write_contacts(self.case.connection(), read.collect())
                .await;
            drop(written.unwrap());
            tx.commit().await.unwrap();
        }
    }

    async fn deliver_talks(&self, talks: impl Iterator<Item = model::Talk>) {
        let stubs = talks.map(|talk| {
            let contacts: Vec<Value> = talk.contacts.iter().map(|id| json!({"id": id})).collect();
            let raw = json!({
                "id": talk.id, "created_at": 1, "updated_at": 2, "state": "open",
                "contacts": {"contacts": contacts},
                "statistics": {"count_conversation_parts": 0},
            });
            wire::read_conversation(&raw.to_string()).unwrap()
        });
        let stubs: Vec<_> = stubs.collect();
        if !stubs.is_empty() {
            let mut tx = self.store.begin(self.case.tenant).await.unwrap();
            drop(tx.write_stubs(self.case.connection(), stubs).await.unwrap());
            tx.commit().await.unwrap();
        }
    }

    /// Something that changes who is who, or what is known of somebody.
    async fn step(&mut self) {
        let keys: Vec<Key> = self.model.records.keys().cloned().collect();
        let key = self.rng.pick(&keys).clone();
        let is_parted = self.model.splits.iter().any(|split| {
            let all = split.left.iter().chain(&split.right);
            let people: BTreeSet<i64> = all.map(|key| self.model.records[key].person).collect();
            people.contains(&self.model.records[&key].person)
        });
        match self.rng.between(0, 14) {
            0 => self.reorder().await,
            1 | 2 if !is_parted => self.erase(&key).await,
            3 | 4 if !is_parted => self.part(&key).await,
            5 if !self.model.splits.is_empty() => self.join_again().await,
            6 | 7 if !is_parted => self.merge(&key).await,
            8 | 9 if !is_parted => self.readdress(&key).await,
            10 | 11 if !is_parted => self.block(&key).await,
            _ => self.rename(&key).await,
        }
    }

    async fn change(&mut self, key: &Key, change: impl FnOnce(&mut Record)) {
        let record = self.model.records.get_mut(key).expect("it is known");
        record.version += 1;
        change(record);
        self.deliver(&[key]).await;
    }

    async fn rename(&mut self, key: &Key) {
        self.change(key, |record| {
            record.name = format!("{} ({})", record.name, record.version);
        })
        .await;
    }

    /// Another address, so that the record may be somebody else's.
    async fn readdress(&mut self, key: &Key) {
        self.change(key, |record| {
            record.email = Some(format!(
                "new{}-{}@other.example",
                record.person, record.version
            ));
        })
        .await;
    }

    async fn reorder(&mut self) {
        let by = self.rng.between(1, 4) as usize;
        self.model.order.rotate_left(by);
        let rules = json!({"contacts": {"default": self.model.order}});
        let answer = self
            .caller
            .call(Method::PUT, "/v1/merge_rules", Some(rules))
            .await;
        assert_eq!(answer.0, StatusCode::OK, "{answer:?}");
    }

    /// Blocks a value of a record, or unblocks one that was blocked before.
    async fn block(&mut self, key: &Key) {
        let values = self.model.records[key].values();
        if values.is_empty() {
            return;
        }
        let blocked: Vec<_> = self.model.blocked.iter().cloned().collect();
        if blocked.is_empty() || self.rng.between(0, 3) > 0 {
            let value = self.rng.pick(&values).clone();
            self.model.blocked.insert(value);
        } else {
            let value = self.rng.pick(&blocked);
            self.model.blocked.remove(value);
        }
        let values = self.model.blocked.iter().map(|(kind, value)| {
            let kind = ["external_id", "email", "phone"][*kind];
            json!({"kind": kind, "value": value})
        });
        let rules = json!({"contacts": {"blocked": values.collect::<Vec<_>>()}});
        let answer = self
            .caller
            .call(Method::PUT, "/v1/identity_rules", Some(rules))
            .await;
        assert_eq!(answer.0, StatusCode::OK, "{answer:?}");
    }

    /// Intercom merges a record into another one of the person.
    async fn merge(&mut self, key: &Key) {
        let person = self.model.records[key].person;
        let (survivor, gone) = (format!("a{person}"), format!("b{person}"));
        let both = [&survivor, &gone].map(|id| ("intercom", id.clone()));
        let are_alive = both.iter().all(|key| {
            let record = self.model.records.get(key);
            record.is_some_and(|record| record.merged_into.is_none())
        });
        if !are_alive {
            return;
        }
        let slice = SliceKey {
            tenant: self.case.tenant,
            connection: self.case.connection(),
            stream: Stream::Contacts,
            fence: 0,
        };
        let mut tx = self.store.begin(self.case.tenant).await.unwrap();
        let merged = [(gone, survivor.clone())];
        tx.mark_contacts_deleted(slice, &[], &merged).await.unwrap();
        tx.commit().await.unwrap();
        self.model.records.get_mut(&both[1]).unwrap().merged_into = Some(survivor);
    }

    /// Parts one record from the others of its person.
    async fn part(&mut self, key: &Key) {
        let contact = self.contact_of(key).await;
        let sources = contact["sources"].as_array().unwrap().clone();
        let named = |source: &Value| -> Key {
            let known = SOURCES
                .iter()
                .find(|known| source["source"] == **known)
                .unwrap();
            (known, source["source_id"].as_str().unwrap().to_owned())
        };
        let (left, right): (Vec<&Value>, Vec<&Value>) =
            sources.iter().partition(|source| named(source) == *key);
        if left.is_empty() || right.is_empty() {
            return;
        }
        let path = format!("/v1/contacts/{}/split", contact["id"].as_str().unwrap());
        let name = |source: &Value| json!({"connection_id": source["connection_id"], "source_id": source["source_id"]});
        let body = json!({"sources": [name(left[0])]});
        let (status, split) = self.caller.call(Method::POST, &path, Some(body)).await;
        assert!(status.is_success(), "{split}");
        self.model.splits.push(Split {
            id: split["id"].as_str().unwrap().to_owned(),
            left: left.into_iter().map(named).collect(),
            right: right.into_iter().map(named).collect(),
        });
    }

    async fn join_again(&mut self) {
        let place = self.rng.between(0, self.model.splits.len() as i64) as usize;
        let split = self.model.splits.remove(place);
        let key = split.left.first().expect("a split has records").clone();
        let contact = self.contact_of(&key).await;
        let path = format!(
            "/v1/contacts/{}/split/{}",
            contact["id"].as_str().unwrap(),
            split.id
        );
        let (status, body) = self.caller.call(Method::DELETE, &path, None).await;
        assert!(status.is_success(), "{body}");
    }

    async fn erase(&mut self, key: &Key) {
        let contact = self.contact_of(key).await;
        self.caller.erase(contact["id"].as_str().unwrap()).await;
        let seen = expected(&self.model, &self.connections().await);
        let id = seen.home[key];
        let people: BTreeSet<&Key> = seen
            .home
            .iter()
            .filter(|(_, of)| **of == id)
            .map(|(key, _)| key)
            .collect();
        for key in people {
            let record = self.model.records.remove(key).unwrap();
            self.model.erased.insert(key.clone(), record);
        }
        let erased = &self.model.erased;
        let is_left = |id: &String| !erased.contains_key(&("intercom", id.clone()));
        // Conversations of nobody else go with them.
        self.model
            .talks
            .retain(|talk| talk.contacts.iter().any(is_left));
        self.model
            .events
            .retain(|(_, id)| !erased.contains_key(&("email", id.clone())));
    }

    async fn remove(&mut self, source: &'static str) {
        self.caller.remove_source(source).await;
        // What is parted from nothing is not parted, so the test keeps to splits that stay.
        self.model.records.retain(|key, _| key.0 != source);
        for split in &mut self.model.splits {
            split.left.retain(|key| key.0 != source);
            split.right.retain(|key| key.0 != source);
        }
        self.model
            .splits
            .retain(|split| !split.left.is_empty() && !split.right.is_empty());
    }

    /// Nothing of a person who was erased comes back.
    async fn resend_erased(&self) {
        for source in SOURCES {
            let of = self
                .model
                .erased
                .values()
                .filter(|record| record.key.0 == source);
            let sent: Vec<Value> = of.map(Record::sent).collect();
            if source == "intercom" {
                self.write(&sent).await;
            } else if !sent.is_empty() && source != "analytics" {
                let taken = self.caller.send(source, "contact", &sent).await;
                let rejected = taken["rejected"].as_array().unwrap();
                assert_eq!(rejected.len(), sent.len(), "{taken}");
                assert!(
                    rejected.iter().all(|record| record["code"] == "erased"),
                    "{taken}"
                );
            }
        }
    }

    async fn contact_of(&self, key: &Key) -> Value {
        let connections = self.connections().await;
        let id = ids::contact_id(connections[key.0], &key.1);
        self.caller.get(&format!("/v1/contacts/{id}")).await
    }

    /// The connection of each source.
    async fn connections(&self) -> BTreeMap<String, ConnectionId> {
        let sources = self.caller.get("/v1/sources").await;
        let of = sources["items"].as_array().unwrap().iter().map(|source| {
            let id = Uuid::parse_str(source["connection_id"].as_str().unwrap()).unwrap();
            (
                source["source"].as_str().unwrap().to_owned(),
                ConnectionId(id),
            )
        });
        let mut connections: BTreeMap<String, ConnectionId> = of.collect();
        connections.insert("intercom".to_owned(), self.case.connection());
        connections
    }

    /// Every item of a list.
    async fn all(&self, path: &str) -> Vec<Value> {
        self.caller.all_by(200, path, "").await
    }

    /// Contacts and conversations are those of the oracle.
    async fn compare(&self) -> Expected {
        let seen = expected(&self.model, &self.connections().await);
        let shown: BTreeMap<Uuid, Person> = self
            .all("/v1/contacts")
            .await
            .iter()
            .map(|item| (id(&item["id"]), Person::shown(item)))
            .collect();
        for (id, person) in &seen.people {
            if shown.get(id) != Some(person) {
                let links = self
                    .caller
                    .get(&format!("/v1/contacts/{id}/identities"))
                    .await;
                let of = |key: &Key| seen.home.get(key) == Some(id);
                let records = self.model.records.iter().filter(|(key, _)| of(key));
                let records: Vec<&Record> = records.map(|(_, record)| record).collect();
                panic!(
                    "{:#?} for {person:#?}: {records:#?}, {links:#}",
                    shown.get(id)
                );
            }
        }
        let more = shown.iter().find(|(id, _)| !seen.people.contains_key(*id));
        assert_eq!(more, None, "a contact that should not be");
        let talks: BTreeMap<String, BTreeSet<Uuid>> = self
            .all("/v1/conversations")
            .await
            .iter()
            .map(|item| {
                let contacts = item["contact_ids"].as_array().unwrap().iter();
                (
                    item["source_id"].as_str().unwrap().to_owned(),
                    contacts.map(id).collect(),
                )
            })
            .collect();
        assert_eq!(talks, seen.talks);
        seen
    }

    /// Old ids, timelines and searches of some people.
    async fn look_around(&mut self, seen: &Expected) {
        index(&self.case).await;
        let connections = self.connections().await;
        let keys: Vec<Key> = self.model.records.keys().cloned().collect();
        for _ in 0..100 {
            let key = self.rng.pick(&keys).clone();
            let own = ids::contact_id(connections[key.0], &key.1);
            let home = seen.home[&key];
            let contact = self.caller.get(&format!("/v1/contacts/{own}")).await;
            assert_eq!(id(&contact["id"]), home, "{key:?}");
            let entries = self.all(&format!("/v1/contacts/{home}/timeline")).await;
            let of = |kind: &str| -> BTreeSet<String> {
                let of = entries.iter().filter(|entry| entry["type"] == kind);
                of.map(|entry| entry[kind]["source_id"].as_str().unwrap().to_owned())
                    .collect()
            };
            let talks = seen
                .talks
                .iter()
                .filter(|(_, people)| people.contains(&home));
            let talks: BTreeSet<String> = talks.map(|(id, _)| id.clone()).collect();
            assert_eq!(of("conversation"), talks, "{key:?}");
            assert_eq!(
                of("event"),
                seen.events.get(&home).cloned().unwrap_or_default(),
                "{key:?}"
            );
            let person = &seen.people[&home];
            if let Some(email) = person
                .emails
                .iter()
                .find(|email| !email.starts_with("info@"))
            {
                let query = json!({"q": email, "types": ["contact"]});
                let (_, found) = self
                    .caller
                    .call(Method::POST, "/v1/search", Some(query))
                    .await;
                let found = found["items"].as_array().unwrap().iter();
                let found: BTreeSet<Uuid> = found.map(|item| id(&item["id"])).collect();
                assert!(found.contains(&home), "{email}");
            }
        }
    }
}

fn id(value: &Value) -> Uuid {
    Uuid::parse_str(value.as_str().unwrap()).unwrap()
}
