//! The feed: a reader that goes on from page to page misses nothing, whoever writes and however late.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::TimeDelta;
use futures::future::join_all;
use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{
    domain::{Mode, Stream, ids, records::Conversation},
    intercom::wire,
    store::WorkerStore,
};
use simulation::rng::Rng;

use super::search::index;
use crate::support::{Caller, Case, OBJECTS, World, cases, tiny};

/// What a reader of the feed knows: the last op of each object that it was told of.
pub(super) struct Reader {
    caller: Caller,
    cursor: Option<String>,
    known: BTreeMap<(String, String), String>,
    /// The last entry's place.
    at: String,
}

impl Reader {
    async fn of(case: &Case) -> Self {
        let base = case.world.api().await;
        Self::with(Caller::service(&case.world, &base, Some(case.tenant)))
    }

    pub(super) fn with(caller: Caller) -> Self {
        Self {
            caller,
            cursor: None,
            known: BTreeMap::new(),
            at: String::new(),
        }
    }

    /// Reads one page. Whether it was the last one for now.
    async fn page(&mut self, limit: usize) -> bool {
        let cursor = self.cursor.as_deref();
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page = self
            .caller
            .get(&format!("/v1/changes?limit={limit}{cursor}"))
            .await;
        for item in page["items"].as_array().unwrap() {
            let word = |name: &str| item[name].as_str().unwrap().to_owned();
            // Texts of one form sort as their times do.
            let at = word("at");
            assert!(
                self.at.len() != at.len() || self.at < at,
                "{} then {at}",
                self.at
            );
            self.at = at;
            self.known.insert((word("object"), word("id")), word("op"));
        }
        self.cursor = Some(page["next_cursor"].as_str().unwrap().to_owned());
        page["caught_up"].as_bool().unwrap()
    }

    /// The last op of an object that it was told of.
    pub(super) fn op(&self, object: &str, id: &str) -> Option<&str> {
        let key = (object.to_owned(), id.to_owned());
        self.known.get(&key).map(String::as_str)
    }

    pub(super) async fn catch_up(&mut self) {
        while !self.page(7).await {}
    }

    /// What the feed has told since the last time: each object's id and op.
    pub(super) async fn news(&mut self) -> BTreeSet<(String, String)> {
        self.known.clear();
        self.catch_up().await;
        let told = self.known.iter();
        told.map(|((_, id), op)| (id.clone(), op.clone())).collect()
    }

    /// The objects of a kind that are not known to have gone.
    fn present(&self, object: &str) -> BTreeSet<String> {
        let of_kind = self.known.iter().filter(|((kind, _), _)| kind == object);
        let present = of_kind.filter(|(_, op)| !matches!(op.as_str(), "delete"));
        present.map(|((_, id), _)| id.clone()).collect()
    }
}

fn stub(number: usize, version: i64) -> Conversation {
    let raw =
        json!({"id": number.to_string(), "created_at": 1, "updated_at": version, "state": "open"});
    wire::read_conversation(&raw.to_string()).expect("a conversation")
}

/// Writes stubs in one transaction, which takes its time between its statements and its end.
async fn write(store: &WorkerStore, case: &Case, stubs: Vec<Conversation>, lingers: Duration) {
    let mut tx = store.begin(case.tenant).await.unwrap();
    tx.write_stubs(case.connection(), stubs).await.unwrap();
    tokio::time::sleep(lingers).await;
    tx.commit().await.unwrap();
}

fn id_of(case: &Case, number: usize) -> String {
    ids::conversation_id(case.connection(), &number.to_string()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_beside_another_transaction_is_told_of_whoever_ends_first() {
    let world = World::new().await;
    // Not synced, so that nothing else writes.
    let case = world.case(tiny()).await.connect().await;
    let connection = case.connection();
    let store = world.worker_store(2).await;
    let contact = json!({"id": "c1", "created_at": 1, "updated_at": 1, "email": "c1@acme.example",
        "companies": {"data": [{"id": "o1"}]}});
    let contact = || wire::read_contact(&contact.to_string()).unwrap();
    let company = json!({"id": "o1", "company_id": "acme", "created_at": 1, "updated_at": 1});
    let company = || wire::read_company(&company.to_string()).unwrap();
    let conversation = json!({"id": "7", "created_at": 1, "updated_at": 1, "state": "open",
        "contacts": {"contacts": [{"id": "c1"}]}});
    let conversation = wire::read_conversation(&conversation.to_string()).unwrap();
    let mut reader = Reader::of(&case).await;

    // None of the three sees the others, because each one ends after the last statement of all.
    let (mut first, mut second) = (
        store.begin(case.tenant).await.unwrap(),
        store.begin(case.tenant).await.unwrap(),
    );
    first
        .write_contacts(connection, vec![contact()])
        .await
        .unwrap();
    second
        .write_stubs(connection, vec![conversation])
        .await
        .unwrap();
    second.commit().await.unwrap();
    reader.catch_up().await;
    let id = id_of(&case, 7);
    assert_eq!(reader.op("conversation", &id), Some("upsert"));
    first.commit().await.unwrap();
    reader.catch_up().await;
    assert_eq!(
        reader.op("conversation", &id),
        Some("link"),
        "it has a participant now"
    );

    let mut first = store.begin(case.tenant).await.unwrap();
    let mut second = store.begin(case.tenant).await.unwrap();
    first
        .write_companies(connection, vec![company()])
        .await
        .unwrap();
    let mut changed = contact();
    changed.updated_at += TimeDelta::seconds(5);
    changed.raw.push(' ');
    second
        .write_contacts(connection, vec![changed])
        .await
        .unwrap();
    second.commit().await.unwrap();
    reader.catch_up().await;
    let person = ids::contact_id(connection, "c1").to_string();
    assert_eq!(reader.op("contact", &person), Some("upsert"));
    first.commit().await.unwrap();
    reader.catch_up().await;
    assert_eq!(
        reader.op("contact", &person),
        Some("link"),
        "it has a company now"
    );
    let shown = reader.caller.get(&format!("/v1/conversations/{id}")).await;
    let companies = json!([ids::company_id(connection, "o1")]);
    assert_eq!(
        (&shown["contact_ids"], &shown["company_ids"]),
        (&json!([person]), &companies)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_64_writers() {
    const WRITERS: usize = 64;
    const TRANSACTIONS: usize = 12;
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let other = WorkspaceSpec { seed: 2, ..tiny() };
    let other = world.connect(other).await;
    let store = world.worker_store(WRITERS as u32 + 1).await;
    // A transaction of another tenant that stays open holds nobody up.
    let mut open = store.begin(other.tenant).await.unwrap();
    open.write_stubs(other.connection(), vec![stub(1, 1)])
        .await
        .unwrap();

    let mut reader = Reader::of(&case).await;
    let writers = join_all((0..WRITERS).map(async |writer| {
        let mut rng = Rng::new(writer as u64);
        for n in 0..TRANSACTIONS {
            let stubs = vec![stub(1_000 + writer * TRANSACTIONS + n, 1)];
            let lingers = Duration::from_millis(rng.between(0, 30).unsigned_abs());
            write(&store, &case, stubs, lingers).await;
        }
    }));
    tokio::pin!(writers);
    loop {
        tokio::select! {
            _ = &mut writers => break,
            _ = reader.page(5) => {}
        }
    }
    reader.catch_up().await;
    let expected: BTreeSet<String> = (1_000..1_000 + WRITERS * TRANSACTIONS)
        .map(|number| id_of(&case, number))
        .collect();
    assert_eq!(reader.present("conversation"), expected);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_outlives_a_restored_database() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let store = world.worker_store(1).await;
    let write = async |stubs| write(&store, &case, stubs, Duration::ZERO).await;
    write(vec![stub(1, 1), stub(2, 1)]).await;
    case.dump_feed().await;
    write(vec![stub(2, 2), stub(3, 1)]).await;
    let mut reader = Reader::of(&case).await;
    reader.catch_up().await;
    assert_eq!(reader.known.len(), 3);

    // The older database knows neither the second version nor the third conversation. A sync brings them again, and
    // another one.
    case.restore_feed().await;
    reader.known.clear();
    reader.catch_up().await;
    assert_eq!(reader.known, BTreeMap::new());
    write(vec![stub(2, 2), stub(3, 1), stub(4, 1)]).await;
    reader.catch_up().await;
    let expected: BTreeSet<String> = [2, 3, 4].map(|number| id_of(&case, number)).into();
    assert_eq!(reader.present("conversation"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_conversations_reads_a_feed_without_them() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    let body = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (status, made) = caller.call(Method::POST, "/v1/api_keys", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let mut all = Reader::with(caller);
    all.catch_up().await;
    assert!(!all.present("conversation").is_empty());
    let mut some = Reader::with(all.caller.with_key(made["key"].as_str().unwrap()));
    some.catch_up().await;
    assert!(some.present("conversation").is_empty());
    for object in ["contact", "company"] {
        assert_eq!(some.present(object), all.present(object));
    }
    // Its cursor would lead past the conversations, so it does not open for a caller that reads them.
    all.cursor = some.cursor.take();
    let path = format!("/v1/changes?cursor={}", all.cursor.unwrap());
    let (status, problem) = all.caller.call(Method::GET, &path, None).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_cursor"))
    );
}

/// What the lists show, by their objects' word.
async fn listed(caller: &Caller) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut shown = BTreeMap::new();
    for (object, list) in [
        ("contact", "contacts"),
        ("company", "companies"),
        ("conversation", "conversations"),
    ] {
        let items: Vec<Value> = caller.all(&format!("/v1/{list}")).await;
        let ids = items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned());
        shown.insert(object, ids.collect());
    }
    shown
}

cases! {
    the_feed_tells_of_every_change_and_end {
        let case = Case::of(tiny()).await.synced().await;
        let mut reader = Reader::of(&case).await;
        reader.catch_up().await;
        for (object, ids) in listed(&reader.caller).await {
            assert_eq!(reader.present(object), ids, "{object}");
        }
        // An empty page has a cursor too, and it leads on.
        assert!(reader.page(7).await);
        reader.known.clear();

        case.mutate(Mutation::update(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Conversation, 2).ago(10));
        case.poll().await;
        reader.catch_up().await;
        let told = |reader: &Reader, op: &str| {
            reader.known.values().filter(|known| *known == op).count()
        };
        assert_eq!(told(&reader, "upsert") + told(&reader, "link"), reader.known.len());
        assert!(reader.present("contact").len() >= 2 && reader.present("conversation").len() >= 2);

        case.mutate(Mutation::merge(2).ago(10));
        case.poll().await;
        reader.catch_up().await;
        // Two that are gone, and what they are merged into.
        assert!(told(&reader, "merge") >= 3, "{:?}", reader.known);

        case.mutate(Mutation::delete(Kind::Contact, 2));
        case.mutate(Mutation::delete(Kind::Company, 1));
        case.sync(Mode::Full, OBJECTS).await;
        case.sync(Mode::Full, OBJECTS).await;
        case.mutate(Mutation::delete(Kind::Conversation, 2));
        case.sync(Mode::Full, Stream::ALL).await;
        reader.catch_up().await;
        assert_eq!(told(&reader, "delete"), 5, "{:?}", reader.known);
        // A company that is gone has fewer conversations then. It stays told as gone.
        index(&case).await;
        reader.catch_up().await;
        assert_eq!(told(&reader, "delete"), 5, "{:?}", reader.known);
    }

    a_purge_tells_of_all_that_it_removes {
        let case = Case::of(tiny()).await.synced().await;
        let mut reader = Reader::of(&case).await;
        reader.catch_up().await;
        let known = reader.known.len();
        reader.known.clear();
        let path = format!("/v1/connections/{}?data=purge", case.connection());
        let (status, _) = reader.caller.call(Method::DELETE, &path, None).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        case.until_purged().await;
        reader.catch_up().await;
        assert_eq!(reader.known.len(), known);
        assert!(reader.known.values().all(|op| op == "delete"));
        for (object, ids) in listed(&reader.caller).await {
            assert_eq!(ids, BTreeSet::new(), "{object}");
        }
    }
}
