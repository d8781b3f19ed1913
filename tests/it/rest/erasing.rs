//! A person is erased: nothing is left of them, and nothing of them comes back.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join;
use intercom_simulator::{Kind, Mutation, TruthLine, WorkspaceSpec};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::{Mode, Stream};
use uuid::Uuid;

use super::feed::Reader;
use crate::support::{Caller, Case, World, wait_for};

/// What Intercom knows of one person.
struct Person {
    id: String,
    email: String,
    /// Conversations of nobody else, and those with others.
    own: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Words that nobody else's records have: ids, addresses, names and texts.
    words: Vec<String>,
}

fn spec() -> WorkspaceSpec {
    WorkspaceSpec {
        seed: 3,
        contacts: 8,
        companies: 4,
        conversations: 90,
        parts: 4.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

fn participants(conversation: &TruthLine) -> BTreeSet<String> {
    let value = conversation.value();
    let contacts = value["contacts"]["contacts"].as_array();
    let contacts = contacts.map_or(&[][..], |contacts| contacts);
    let ids = contacts.iter().filter_map(|contact| contact["id"].as_str());
    ids.map(str::to_owned).collect()
}

fn is_by(part: &TruthLine, person: &str) -> bool {
    part.value()["author"]["id"] == person
}

/// Somebody who writes in conversations of their own and of several people.
fn person(case: &Case) -> Person {
    let conversations = case.live(Kind::Conversation);
    let parts = case.live(Kind::Part);
    let found = case.live(Kind::Contact).into_iter().find_map(|contact| {
        let email = contact.value()["email"].as_str()?.to_owned();
        let (mut own, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for conversation in &conversations {
            let people = participants(conversation);
            if people.contains(&contact.id) {
                let of_kind = if people.len() == 1 {
                    &mut own
                } else {
                    &mut groups
                };
                of_kind.insert(conversation.id.clone());
            }
        }
        let writes_in = |ids: &BTreeSet<String>| {
            let is_in = |part: &&TruthLine| ids.contains(part.parent.as_ref().unwrap());
            parts
                .iter()
                .filter(is_in)
                .any(|part| is_by(part, &contact.id))
        };
        (writes_in(&own) && writes_in(&groups)).then_some((contact, email, own, groups))
    });
    let (contact, email, own, groups) = found.expect("somebody writes in both");
    let mut words = vec![contact.id.clone(), email.clone()];
    let value = contact.value();
    for field in ["name", "phone", "external_id"] {
        words.extend(value[field].as_str().map(str::to_owned));
    }
    let of_person = |part: &&TruthLine| is_by(part, &contact.id);
    let bodies = parts.iter().filter(of_person);
    words.extend(bodies.filter_map(|part| Some(part.value()["body"].as_str()?.to_owned())));
    // What a text of somebody else's says as well proves nothing.
    let mut others: Vec<String> = Vec::new();
    for line in case.workspace.truth() {
        let is_persons = line.id == contact.id
            || line.kind == Kind::Link && line.parent.as_ref() == Some(&contact.id)
            || line.kind == Kind::Part
                && (is_by(&line, &contact.id) || own.contains(line.parent.as_ref().unwrap()))
            || line.kind == Kind::Conversation
                && (own.contains(&line.id) || groups.contains(&line.id));
        if !is_persons {
            others.push(line.object.get().to_owned());
        }
    }
    words.retain(|word| {
        // A word is looked for as it is written in every form of a row.
        let is_plain = json!(word).to_string().trim_matches('"') == word;
        // A few digits are in times and counts as well.
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        is_plain
            && !is_number
            && word.len() > 4
            && !others.iter().any(|text| text.contains(word.as_str()))
    });
    words.sort_unstable();
    words.dedup();
    assert!(
        words.contains(&email) && words.contains(&contact.id) && words.len() > 5,
        "{words:?}"
    );
    Person {
        id: contact.id.clone(),
        email,
        own,
        groups,
        words,
    }
}

/// How many parts the person has written in conversations with others.
fn written_in_groups(case: &Case, person: &Person) -> usize {
    let parts = case.live(Kind::Part);
    let is_written = |part: &&TruthLine| {
        is_by(part, &person.id) && person.groups.contains(part.parent.as_ref().unwrap())
    };
    parts.iter().filter(is_written).count()
}

async fn contact_of(caller: &Caller, source_id: &str) -> Option<Value> {
    let contacts = caller.all("/v1/contacts").await;
    let has = |contact: &&Value| {
        let mut sources = contact["sources"].as_array().unwrap().iter();
        sources.any(|source| source["source_id"] == source_id)
    };
    contacts.iter().find(has).cloned()
}

/// Conversations by Intercom's ids.
async fn conversations(caller: &Caller) -> BTreeMap<String, Value> {
    let all = caller.all("/v1/conversations").await;
    let by_id = all.into_iter().map(|conversation| {
        let id = conversation["source_id"].as_str().unwrap().to_owned();
        (id, conversation)
    });
    by_id.collect()
}

/// Everything that readers see, but of one person and of the conversations in which that person takes part.
async fn neighbours(caller: &Caller, person: &Person) -> Vec<Value> {
    let mut seen = caller.all("/v1/contacts").await;
    seen.retain(|contact| !contact.to_string().contains(&person.id));
    let mut companies = caller.all("/v1/companies").await;
    for company in &mut companies {
        // Companies of the person have fewer conversations then.
        for counted in ["conversations", "updated_at"] {
            company[counted].take();
        }
    }
    companies.sort_by_key(|company| company["id"].as_str().unwrap().to_owned());
    seen.extend(companies);
    for (id, conversation) in conversations(caller).await {
        if !person.own.contains(&id) && !person.groups.contains(&id) {
            let path = format!(
                "/v1/conversations/{}/parts",
                conversation["id"].as_str().unwrap()
            );
            seen.push(conversation);
            seen.extend(caller.all(&path).await);
        }
    }
    seen
}

/// Sends a record of a source with its fields.
async fn send(caller: &Caller, source: &str, object: &str, id: &str, fields: Value) -> Value {
    let record =
        json!({"source_id": id, "source_updated_at": "2026-11-01T12:00:00Z", "fields": fields});
    caller.send(source, object, &[record]).await
}

async fn erase(caller: &Caller, contact: &str) -> (StatusCode, Value) {
    let path = format!("/v1/contacts/{contact}/erasure");
    caller.call(Method::POST, &path, None).await
}

/// Waits for the copy, which is complete without the person, and in which no table names them.
async fn is_complete_without(case: &Case, person: &Person) {
    case.until_complete().await;
    let status = case.status().await;
    assert!(status.complete, "{}", status.sentence);
    assert_eq!(
        case.world.residue(&person.words).await,
        Vec::<String>::new()
    );
    assert_eq!(case.wrong_counts().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_nowhere_and_stays_out() {
    let world = World::new().await;
    let case = world.connect(spec()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    let mut person = person(&case);
    let email = json!({"email": person.email, "name": "Zebulon Quillfeather"});
    send(&caller, "crm", "contact", "crm-zebulon", email.clone()).await;
    send(&caller, "email", "contact", "mail-zebulon", email.clone()).await;
    send(
        &caller,
        "crm",
        "contact",
        "crm-other",
        json!({"email": "other@acme.example"}),
    )
    .await;
    for second in ["event-one", "event-two"] {
        let event = json!({"contact": "crm-zebulon", "kind": "call", "occurred_at": "2026-11-01T12:00:00Z", "title": "Zebulon called"});
        send(&caller, "crm", "event", second, event).await;
    }
    let own_words = ["crm-zebulon", "mail-zebulon", "Zebulon"];
    person.words.extend(own_words.map(str::to_owned));
    let found = world.residue(&person.words).await;
    for word in &person.words {
        assert!(
            found.iter().any(|place| place.ends_with(word.as_str())),
            "{word} is nowhere before"
        );
    }
    let contact = contact_of(&caller, &person.id).await.unwrap();
    assert_eq!(contact["sources"].as_array().unwrap().len(), 3);
    let id = contact["id"].as_str().unwrap().to_owned();
    let before = (
        neighbours(&caller, &person).await,
        conversations(&caller).await,
    );
    let mut reader = Reader::with(caller.clone());
    reader.catch_up().await;

    let (status, erasure) = erase(&caller, &id).await;

    assert_eq!(status, StatusCode::ACCEPTED, "{erasure}");
    assert_eq!(erasure["contact_id"], id);
    let show = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    let done = caller.get(&show).await;
    assert_eq!(done["status"], "finished", "{done}");
    let removed = &done["removed"];
    assert_eq!(removed["records"], 3, "{done}");
    assert_eq!(removed["conversations"], person.own.len());
    assert_eq!(removed["participations"], person.groups.len());
    assert_eq!(removed["events"], 2);
    assert!(removed["parts"].as_u64().unwrap() > person.own.len() as u64);
    let left = done["left"].as_object().unwrap();
    assert!(
        left.len() == 6 && left.values().all(|count| *count == 0),
        "{done}"
    );
    assert_eq!(world.residue(&person.words).await, Vec::<String>::new());

    // Readers find nothing, and the feed says why.
    for rest in ["", "/timeline", "/conversations", "/identities"] {
        let path = format!("/v1/contacts/{id}{rest}");
        assert_eq!(
            caller.call(Method::GET, &path, None).await.0,
            StatusCode::NOT_FOUND
        );
    }
    reader.catch_up().await;
    assert_eq!(reader.op("contact", &id), Some("erase"));
    let after = conversations(&caller).await;
    for source_id in &person.own {
        let id = before.1[source_id]["id"].as_str().unwrap();
        assert!(!after.contains_key(source_id));
        assert_eq!(reader.op("conversation", id), Some("erase"));
    }
    // In conversations with others the person's messages are empty, and all others are as they were.
    let parts: Vec<TruthLine> = case.live(Kind::Part);
    for source_id in &person.groups {
        let conversation = &after[source_id];
        assert_ne!(
            conversation["contact_ids"],
            before.1[source_id]["contact_ids"]
        );
        let thread = &conversation["thread"];
        assert_eq!(thread["held"], thread["expected"], "{conversation}");
        assert_eq!(thread["status"], "complete");
        let path = format!(
            "/v1/conversations/{}/parts",
            conversation["id"].as_str().unwrap()
        );
        for part in caller.all(&path).await {
            let sent = parts
                .iter()
                .find(|sent| part["source_id"] == sent.id.as_str());
            if sent.is_some_and(|sent| is_by(sent, &person.id)) {
                let shown = (
                    &part["kind"],
                    &part["body"],
                    &part["author"]["name"],
                    &part["redacted"],
                );
                assert_eq!(
                    shown,
                    (&json!("erased"), &Value::Null, &Value::Null, &json!(true))
                );
            } else {
                assert_ne!(part["kind"], "erased");
            }
        }
    }
    assert_eq!(neighbours(&caller, &person).await, before.0);

    // Nothing of it comes back: not by a walk, a change or a new connection.
    case.sync(Mode::Full, Stream::ALL).await;
    is_complete_without(&case, &person).await;
    case.mutate(
        Mutation::update(Kind::Contact, 1)
            .ids([person.id.as_str()])
            .ago(5),
    );
    let talks = person.own.iter().chain(&person.groups).cloned();
    // The person goes on writing, also where others take part.
    let written = written_in_groups(&case, &person);
    case.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids(talks)
            .parts(9)
            .ago(5),
    );
    assert!(written_in_groups(&case, &person) > written);
    case.poll().await;
    is_complete_without(&case, &person).await;
    case.sync(Mode::Reconcile, Stream::ALL).await;
    is_complete_without(&case, &person).await;
    case.reconnect().await;
    is_complete_without(&case, &person).await;
    assert_eq!(contact_of(&caller, &person.id).await, None);
    assert!(
        conversations(&caller)
            .await
            .keys()
            .all(|id| !person.own.contains(id))
    );

    // Other sources are told.
    let refused = |taken: &Value| {
        let rejected = taken["rejected"].as_array().unwrap().clone();
        rejected
            .iter()
            .map(|one| {
                (
                    one["index"].as_u64().unwrap(),
                    one["code"].as_str().unwrap().to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let erased = vec![(0, "erased".to_owned())];
    for (source, object, id, fields) in [
        (
            "crm",
            "contact",
            "crm-zebulon",
            json!({"email": "new@acme.example"}),
        ),
        ("crm", "contact", "crm-again", email.clone()),
        ("analytics", "contact", "seen", email.clone()),
        (
            "crm",
            "event",
            "event-three",
            json!({"contact": "crm-zebulon", "kind": "call", "occurred_at": "2026-11-01T12:00:00Z"}),
        ),
    ] {
        let taken = send(&caller, source, object, id, fields).await;
        assert_eq!(refused(&taken), erased, "{taken}");
        assert_eq!(
            (&taken["accepted"], &taken["changed"]),
            (&json!(0), &json!(0))
        );
    }
    let taken = send(
        &caller,
        "crm",
        "contact",
        "crm-third",
        json!({"email": "third@acme.example"}),
    )
    .await;
    assert_eq!(
        (&taken["accepted"], refused(&taken)),
        (&json!(1), Vec::new())
    );
    assert_eq!(world.residue(&person.words).await, Vec::<String>::new());

    // The same person is erased once, and only by whom the person belongs to.
    let (status, again) = erase(&caller, &id).await;
    assert_eq!(
        (status, &again["id"]),
        (StatusCode::ACCEPTED, &erasure["id"])
    );
    let list = caller.all("/v1/erasures").await;
    assert_eq!(list, [caller.get(&show).await]);
    for action in ["erasure.requested", "erasure.finished"] {
        let events = caller
            .get(&format!("/v1/audit_events?action={action}"))
            .await;
        let events = events["items"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{action}");
        assert_eq!(events[0]["object"], json!({"type": "contact", "id": id}));
    }
    let stranger = caller.acting_for(world.new_tenant().await);
    let other = contact_of(&caller, "crm-other").await.unwrap();
    for contact in [
        &id,
        other["id"].as_str().unwrap(),
        &Uuid::now_v7().to_string(),
    ] {
        assert_eq!(erase(&stranger, contact).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(
        stranger.call(Method::GET, &show, None).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(stranger.all("/v1/erasures").await, Vec::<Value>::new());
    assert!(contact_of(&caller, "crm-other").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_dies_is_continued() {
    let world = World::new().await;
    let case = world.connect(spec()).await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    drop(fleet);
    case.until_slices(0).await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    let person = person(&case);
    let contact = contact_of(&caller, &person.id).await.unwrap();
    let id = contact["id"].as_str().unwrap();
    send(
        &caller,
        "crm",
        "contact",
        "crm-1",
        json!({"email": person.email}),
    )
    .await;
    let event = json!({"contact": "crm-1", "kind": "call", "occurred_at": "2026-11-01T12:00:00Z"});
    send(&caller, "crm", "event", "event-1", event).await;
    let store = &world.store;

    // A process dies right after it has promised the erasure: the contact is gone, and the rest is waited for.
    let mut tx = store.begin(case.tenant).await.unwrap();
    let (erasure, _) = tx
        .request_erasure(id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    let erasure = erasure.id;
    let show = format!("/v1/erasures/{erasure}");
    assert_eq!(
        caller
            .call(Method::GET, &format!("/v1/contacts/{id}"), None)
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(caller.get(&show).await["status"], "queued");
    assert_eq!(
        store.pending_erasures().await.unwrap(),
        [(case.tenant, erasure)]
    );

    // Another one takes it over and dies within a batch, of which nothing is left.
    let lock = case.lock_table("events").await;
    let (other, tenant) = (store.clone(), case.tenant);
    let work = tokio::spawn(async move { other.erase(tenant, erasure).await });
    wait_for("the deletion waits", async || {
        let waits = case.a_lock_is_waited_for().await;
        waits.then_some(()).ok_or("it does not wait".to_owned())
    })
    .await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    lock.rollback().await.unwrap();
    let begun = caller.get(&show).await;
    assert_eq!(begun["status"], "running", "{begun}");
    assert_eq!(begun["removed"]["conversations"], person.own.len());
    assert_eq!(begun["removed"]["events"], 0);
    assert!(begun.get("left").is_none(), "{begun}");

    // Two at once do the work once. The session of the dead one may hold its row for a moment longer.
    wait_for("the erasure has finished", async || {
        let (one, two) = join(store.erase(tenant, erasure), store.erase(tenant, erasure)).await;
        assert!(one.is_ok() && two.is_ok());
        let left = world.unfinished_erasures().await;
        (left == 0).then_some(()).ok_or("it is pending".to_owned())
    })
    .await;
    let done = caller.get(&show).await;
    assert_eq!(done["status"], "finished", "{done}");
    assert_eq!(done["removed"]["events"], 1);
    assert_eq!(done["removed"]["conversations"], person.own.len());
    assert_eq!(world.residue(&person.words).await, Vec::<String>::new());
    assert_eq!(case.wrong_counts().await, Vec::<String>::new());
}

/// A record that was stored beside the person is somebody else's, whatever it says later.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_who_shares_a_value_stays() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let desk = json!({"email": "desk@acme.example"});
    // Two people of different ids at one address are not joined.
    for (id, external) in [("ann", "u1"), ("bob", "u2")] {
        let fields = json!({"email": "desk@acme.example", "external_id": external});
        send(&caller, "crm", "contact", id, fields).await;
    }
    let ann = contact_of(&caller, "ann").await.unwrap();
    assert_eq!(
        erase(&caller, ann["id"].as_str().unwrap()).await.0,
        StatusCode::ACCEPTED
    );
    let taken = send(&caller, "email", "contact", "desk", desk).await;
    assert_eq!(taken["accepted"], 1, "{taken}");
    let taken = send(
        &caller,
        "email",
        "contact",
        "ann-2",
        json!({"external_id": "u1"}),
    )
    .await;
    assert_eq!(taken["rejected"][0]["code"], "erased", "{taken}");
    let record = json!({"source_id": "bob", "source_updated_at": "2026-11-02T12:00:00Z",
                        "fields": {"email": "bob@acme.example", "external_id": "u1"}});
    let taken = caller.send("crm", "contact", &[record]).await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(1), &json!(1))
    );
    assert!(contact_of(&caller, "bob").await.is_some());
    assert_eq!(contact_of(&caller, "ann").await, None);
}
