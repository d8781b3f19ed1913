//! Values that a tenant blocks: what they have joined is parted, and what they join is one again when they are left out.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{
    domain::profile::{BlockedValues, IdentityValue},
    intercom::wire,
    store::{ApiStore, WorkerTx},
};

use super::{
    feed::Reader,
    parting::{caller, contacts, path, send, sets, with},
    search::index,
    sources::{record, shown, someone},
    synced,
};
use crate::support::{Caller, Case, World, tiny, wait_for};

const RULES: &str = "/v1/identity_rules";

fn emails<const N: usize>(of: [&str; N]) -> Value {
    let blocked = of
        .map(|email| json!({"kind": "email", "value": email}))
        .to_vec();
    json!({"contacts": {"blocked": blocked}})
}

async fn set(caller: &Caller, rules: Value) -> Value {
    let (status, stored) = caller.call(Method::PUT, RULES, Some(rules)).await;
    assert_eq!(status, StatusCode::OK, "{stored}");
    assert_eq!(caller.get(RULES).await, stored);
    stored
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// What the feed has told of contacts since the last time.
async fn told_of_contacts(feed: &mut Reader, contacts: &[&String]) -> BTreeMap<String, String> {
    let news = feed.news().await.into_iter();
    news.filter(|(id, _)| contacts.contains(&id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_address_parts_a_contact_until_it_is_left_out() {
    let (_world, case, caller) = synced().await;
    let ada = someone(&caller).await;
    let email = ada["email"].as_str().unwrap();
    let fields =
        json!({"email": email, "name": "Ada of the CRM", "created_at": "2001-01-01T00:00:00Z"});
    caller
        .send("crm", "contact", &[record("p1", 1, fields)])
        .await;
    let whole = caller.get(&path(&ada, "")).await;
    let (own, joined) = (id(&ada), id(&whole));
    assert_ne!(own, joined, "the older record gives the contact its id");
    let talks = async |contact: &str| -> BTreeSet<String> {
        let path = format!("/v1/conversations?contact_id={contact}");
        let items = caller.get(&path).await["items"].clone();
        for item in items.as_array().unwrap() {
            let contacts = item["contact_ids"].as_array().unwrap();
            assert!(contacts.contains(&json!(contact)), "{item}");
        }
        items.as_array().unwrap().iter().map(id).collect()
    };
    let of_both = talks(&joined).await;
    assert!(!of_both.is_empty());
    let before = shown(&caller).await;
    let mut feed = Reader::with(caller.clone());
    feed.news().await;

    let spelt = format!("  {} ", email.to_uppercase());
    let stored = set(&caller, emails([&spelt])).await;
    let listed = json!([{"kind": "email", "value": email}]);
    assert_eq!(
        stored,
        json!({"contacts": {"blocked": listed}, "companies": {"blocked": []}})
    );
    let parted = caller.get(&path(&ada, "")).await;
    assert_eq!((&parted["id"], &parted["name"]), (&ada["id"], &ada["name"]));
    let of_crm = caller.get(&path(&whole, "")).await;
    assert_eq!(of_crm["sources"].as_array().unwrap().len(), 1, "{of_crm}");
    // Intercom's conversations are those of Intercom's record.
    assert_eq!(talks(&own).await, of_both);
    let told = feed.news().await;
    let mut expected = BTreeSet::from([
        (own.clone(), "split".to_owned()),
        (joined.clone(), "upsert".to_owned()),
    ]);
    expected.extend(of_both.iter().map(|id| (id.clone(), "link".to_owned())));
    assert_eq!(told, expected);
    // Both are found by the address, and each says why it is not the other.
    index(&case).await;
    let query = json!({"q": email, "types": ["contact"]});
    let (_, found) = caller.call(Method::POST, "/v1/search", Some(query)).await;
    let found: BTreeSet<String> = found["items"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(found, [own.clone(), joined.clone()].into());
    for contact in [&ada, &whole] {
        let identities = caller.get(&path(contact, "/identities")).await;
        let links = identities["links"].as_array().unwrap();
        let link = links.iter().find(|link| link["value"] == email).unwrap();
        let word = |member: &str| link[member].as_str();
        assert_eq!(word("status"), Some("blocked"), "{link}");
        assert_eq!(word("reason"), Some("tenant"), "{link}");
        assert_eq!(link["other"], Value::Null);
    }
    assert_eq!(feed.news().await, BTreeSet::new());

    // The same list again, in another spelling, is no change.
    set(&caller, emails([email, &spelt])).await;
    assert_eq!(feed.news().await, BTreeSet::new());

    set(&caller, json!({})).await;
    assert_eq!(shown(&caller).await, before);
    assert_eq!(id(&caller.get(&path(&ada, "")).await), joined);
    assert_eq!(talks(&joined).await, of_both);
    let told = told_of_contacts(&mut feed, &[&own, &joined]).await;
    let merge = "merge".to_owned();
    assert_eq!(told, [(own, merge.clone()), (joined, merge)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_domain_parts_a_company_and_its_contacts_follow() {
    let (_world, caller) = caller().await;
    for source in ["crm", "email"] {
        let company = record(
            source,
            1,
            json!({"name": source, "domain": "agency.example"}),
        );
        caller.send(source, "company", &[company]).await;
        let mut person = record(source, 1, json!({"name": source}));
        person["company"] = source.into();
        caller.send(source, "contact", &[person]).await;
    }
    let companies = async || caller.all("/v1/companies").await;
    // How many companies the two contacts have together.
    let of_contacts = async || {
        let contacts = caller.all("/v1/contacts").await;
        let of = contacts
            .iter()
            .map(|contact| contact["company_ids"].to_string());
        of.collect::<BTreeSet<String>>().len()
    };
    assert_eq!((companies().await.len(), of_contacts().await), (1, 1));
    let joined = companies().await;
    let mut feed = Reader::with(caller.clone());
    feed.news().await;

    // An external id of contacts is none of companies, and a domain is none of contacts.
    let domain = json!({"kind": "domain", "value": "www.Agency.example"});
    let other = json!({"kind": "external_id", "value": "agency.example"});
    let rules = json!({"contacts": {"blocked": [other]}, "companies": {"blocked": [domain]}});
    let stored = set(&caller, rules).await;
    assert_eq!(
        stored["companies"]["blocked"],
        json!([{"kind": "domain", "value": "agency.example"}])
    );
    assert_eq!((companies().await.len(), of_contacts().await), (2, 2));
    let ops: BTreeSet<String> = feed.news().await.into_iter().map(|(_, op)| op).collect();
    assert_eq!(ops, ["link", "split", "upsert"].map(str::to_owned).into());

    set(&caller, json!({})).await;
    let again = companies().await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["id"], joined[0]["id"]);
    assert_eq!(of_contacts().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_parted_by_hand_stays_parted() {
    let (_world, caller) = caller().await;
    for (source, id) in [("crm", "c"), ("email", "e"), ("analytics", "a")] {
        send(&caller, source, id, json!({"email": "ada@acme.example"})).await;
    }
    let whole = with(&caller, "a").await;
    let sources = whole["sources"].as_array().unwrap().iter();
    let a = sources.clone().find(|source| source["source_id"] == "a");
    let connection = &a.unwrap()["connection_id"];
    let body = json!({"sources": [{"connection_id": connection, "source_id": "a"}]});
    let (status, split) = caller
        .call(Method::POST, &path(&whole, "/split"), Some(body))
        .await;
    assert_eq!(status, StatusCode::OK, "{split}");
    assert_eq!(contacts(&caller).await, sets(["a", "c+e"]));

    set(&caller, emails(["ada@acme.example"])).await;
    assert_eq!(contacts(&caller).await, sets(["a", "c", "e"]));
    set(&caller, json!({})).await;
    assert_eq!(contacts(&caller).await, sets(["a", "c+e"]));

    // The split ends while the value is blocked, so that only the list keeps them apart.
    set(&caller, emails(["ada@acme.example"])).await;
    let a = with(&caller, "a").await;
    let end = format!("/split/{}", split["id"].as_str().unwrap());
    let ended = caller.call(Method::DELETE, &path(&a, &end), None).await;
    assert_eq!(ended.0, StatusCode::OK, "{}", ended.1);
    assert_eq!(contacts(&caller).await, sets(["a", "c", "e"]));
    set(&caller, json!({})).await;
    assert_eq!(contacts(&caller).await, sets(["a+c+e"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_value_neither_joins_what_comes_nor_contradicts_what_joins() {
    let (_world, caller) = caller().await;
    set(&caller, emails(["desk@acme.example"])).await;
    let desk = |phone: &str| json!({"email": "Desk@acme.example", "phone": phone});
    send(&caller, "crm", "c1", desk("+49 30 111111")).await;
    send(&caller, "email", "e1", desk("+49 30 222222")).await;
    assert_eq!(contacts(&caller).await, sets(["c1", "e1"]));
    // Another value joins them all the same.
    send(&caller, "analytics", "a1", desk("+49 30 222222")).await;
    assert_eq!(contacts(&caller).await, sets(["a1+e1", "c1"]));

    // Two people have an address in common, so it means neither, until the id of one of them is none.
    let person = |own: &str| json!({"external_id": own, "email": "two@acme.example"});
    send(&caller, "crm", "c2", person("u1")).await;
    send(&caller, "email", "e2", person("test-user")).await;
    assert_eq!(contacts(&caller).await, sets(["a1+e1", "c1", "c2", "e2"]));
    let mut feed = Reader::with(caller.clone());
    feed.news().await;
    let mut rules = emails(["desk@acme.example"]);
    let own = json!({"kind": "external_id", "value": "test-user"});
    rules["contacts"]["blocked"]
        .as_array_mut()
        .unwrap()
        .push(own);
    set(&caller, rules).await;
    assert_eq!(contacts(&caller).await, sets(["a1+e1", "c1", "c2+e2"]));
    assert_eq!(feed.news().await.len(), 2);
    set(&caller, json!({})).await;
    let parted = sets(["a1+c1+e1", "c2", "e2"]);
    assert_eq!(contacts(&caller).await, parted);

    // What one record holds joins it with none, so nobody is told of it.
    send(
        &caller,
        "crm",
        "alone",
        json!({"email": "alone@acme.example"}),
    )
    .await;
    feed.news().await;
    set(&caller, emails(["alone@acme.example"])).await;
    set(&caller, json!({})).await;
    assert_eq!(feed.news().await, BTreeSet::new());

    // What more records hold than one person has joins nobody already.
    let many: Vec<Value> = (0..30)
        .map(|n| record(&format!("m{n}"), 1, json!({"phone": "+49 30 999999"})))
        .collect();
    caller.send("crm", "contact", &many).await;
    feed.news().await;
    let phone = json!({"kind": "phone", "value": "0049 30 999999"});
    set(&caller, json!({"contacts": {"blocked": [phone]}})).await;
    let contact = with(&caller, "m3").await;
    let identities = caller.get(&path(&contact, "/identities")).await;
    assert_eq!(identities["links"][0]["reason"], "tenant", "{identities}");
    set(&caller, json!({})).await;
    let identities = caller.get(&path(&contact, "/identities")).await;
    assert_eq!(identities["links"][0]["status"], "shared", "{identities}");
    assert_eq!(feed.news().await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_values_are_tested_in_one_call() {
    // The records of one source alone are more than one batch.
    const PEOPLE: usize = 600;
    let (_world, caller) = caller().await;
    let address = |n: usize| format!("p{n}@acme.example");
    for source in ["crm", "email"] {
        let people: Vec<Value> = (0..PEOPLE)
            .map(|n| record(&format!("{source}{n}"), 1, json!({"email": address(n)})))
            .collect();
        caller.send(source, "contact", &people).await;
    }
    let count = async || contacts(&caller).await.len();
    assert_eq!(count().await, PEOPLE);
    let mut feed = Reader::with(caller.clone());
    feed.news().await;
    let addresses: Vec<Value> = (0..PEOPLE)
        .map(|n| json!({"kind": "email", "value": address(n)}))
        .collect();
    set(&caller, json!({"contacts": {"blocked": addresses}})).await;
    assert_eq!(count().await, 2 * PEOPLE);
    let ops = |news: BTreeSet<(String, String)>| -> BTreeMap<String, usize> {
        let mut ops = BTreeMap::new();
        for (_, op) in news {
            *ops.entry(op).or_default() += 1;
        }
        ops
    };
    let of = |op: &str, count| (op.to_owned(), count);
    let parted = ops(feed.news().await);
    assert_eq!(parted, [of("split", PEOPLE), of("upsert", PEOPLE)].into());
    set(&caller, json!({})).await;
    assert_eq!(count().await, PEOPLE);
    assert_eq!(ops(feed.news().await), [of("merge", 2 * PEOPLE)].into());
}

/// Writes two contacts of Intercom's that hold this address.
async fn write_two(tx: &mut WorkerTx, case: &Case, ids: [&str; 2], email: &str) {
    let contacts = ids.map(|id| {
        let raw = json!({"id": id, "created_at": 1, "updated_at": 1, "email": email});
        wire::read_contact(&raw.to_string()).unwrap()
    });
    let written = tx.write_contacts(case.connection(), contacts.into()).await;
    drop(written.unwrap());
}

async fn until_a_lock_is_waited_for(case: &Case) {
    wait_for("a lock is waited for", async || {
        let is_waited_for = case.a_lock_is_waited_for().await;
        is_waited_for.then_some(()).ok_or_else(String::new)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_beside_a_change_of_the_list_has_no_link_of_the_old_one() {
    let world = World::new().await;
    // Not synced, so that nothing else writes.
    let case = world.case(tiny()).await.connect().await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    let store = world.worker_store(1).await;

    // The records come first, and the change waits for them.
    let mut tx = store.begin(case.tenant).await.unwrap();
    write_two(&mut tx, &case, ["c1", "c2"], "first@acme.example").await;
    let change = {
        let caller = caller.clone();
        tokio::spawn(async move { set(&caller, emails(["first@acme.example"])).await })
    };
    until_a_lock_is_waited_for(&case).await;
    tx.commit().await.unwrap();
    change.await.unwrap();
    assert_eq!(contacts(&caller).await, sets(["c1", "c2"]));

    // The change comes first, and the records wait for it.
    let api = ApiStore::connect(&world.config.database, 1).await.unwrap();
    let mut tx = api.begin(case.tenant).await.unwrap();
    let values = BlockedValues {
        contacts: [IdentityValue::email("second@acme.example")].into(),
        ..BlockedValues::default()
    };
    let change = tx.set_blocked_values(&values).await.unwrap();
    assert_eq!((change.blocked, change.unblocked), (1, 1));
    let writing = async {
        let mut tx = store.begin(case.tenant).await.unwrap();
        write_two(&mut tx, &case, ["c3", "c4"], "second@acme.example").await;
        tx.commit().await.unwrap();
    };
    let ending = async {
        until_a_lock_is_waited_for(&case).await;
        tx.commit().await.unwrap();
    };
    futures::join!(writing, ending);
    assert_eq!(contacts(&caller).await, sets(["c1+c2", "c3", "c4"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_its_tenants_alone() {
    let (world, caller) = caller().await;
    let stranger = caller.acting_for(world.new_tenant().await);
    for tenant in [&caller, &stranger] {
        for source in ["crm", "email"] {
            send(tenant, source, source, json!({"email": "ada@acme.example"})).await;
        }
    }
    let mut feed = Reader::with(stranger.clone());
    feed.news().await;
    let body = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (_, made) = caller.call(Method::POST, "/v1/api_keys", Some(body)).await;
    let reader = caller.with_key(made["key"].as_str().unwrap());
    let rules = emails(["ada@acme.example"]);
    let (status, problem) = reader.call(Method::PUT, RULES, Some(rules.clone())).await;
    let refused = (status, problem["code"].as_str());
    assert_eq!(refused, (StatusCode::FORBIDDEN, Some("missing_scope")));
    let stored = set(&caller, rules).await;
    assert_eq!(reader.get(RULES).await, stored);

    assert_eq!(contacts(&caller).await, sets(["crm", "email"]));
    assert_eq!(contacts(&stranger).await, sets(["crm+email"]));
    assert_eq!(
        stranger.get(RULES).await,
        json!({"contacts": {"blocked": []}, "companies": {"blocked": []}})
    );
    assert_eq!(feed.news().await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_blocks_nothing_is_refused_by_its_place() {
    let (_world, caller) = caller().await;
    let stored = set(&caller, emails(["info@acme.example", "ada@acme.example"])).await;
    let fault = async |object: &str, blocked: Value| {
        let rules = json!({object: {"blocked": blocked}});
        let (status, problem) = caller.call(Method::PUT, RULES, Some(rules)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        let fault = &problem["errors"][0];
        let word = |member: &str| fault[member].as_str().unwrap().to_owned();
        (word("field"), word("detail"))
    };
    let value = |kind: &str, value: &str| json!({"kind": kind, "value": value});
    let good = value("external_id", "u1");
    for (object, wrong, detail) in [
        ("contacts", value("email", " "), "must not be blank"),
        (
            "contacts",
            value("email", "ada"),
            "must be an email address, such as ann@acme.example",
        ),
        (
            "contacts",
            value("phone", "030 123456"),
            "must be a phone number with its country, such as +49 30 123456",
        ),
        (
            "contacts",
            value("external_id", "u\0"),
            "must not contain a NUL character",
        ),
        (
            "companies",
            value("domain", "localhost"),
            "must be a registered domain, such as acme.example",
        ),
        (
            "companies",
            value("external_id", &"x".repeat(256)),
            "must have at most 255 bytes",
        ),
    ] {
        let told = fault(object, json!([good, wrong])).await;
        let place = format!("{object}.blocked[1].value");
        assert_eq!(told, (place, detail.to_owned()));
    }
    let (place, detail) = fault("contacts", json!([value("domain", "acme.example")])).await;
    assert_eq!(place, "contacts.blocked[0].kind");
    assert!(
        detail.contains("`external_id`, `email`, `phone`"),
        "{detail}"
    );
    let many: Vec<Value> = (0..1_001)
        .map(|n| value("external_id", &format!("u{n}")))
        .collect();
    let told = fault("companies", json!(many)).await;
    let expected = ("companies.blocked", "must have at most 1000 values");
    assert_eq!((told.0.as_str(), told.1.as_str()), expected);
    assert_eq!(caller.get(RULES).await, stored, "nothing has changed");
    let full = set(&caller, json!({"companies": {"blocked": &many[..1_000]}})).await;
    assert_eq!(
        full["companies"]["blocked"].as_array().unwrap().len(),
        1_000
    );
    assert_eq!(full["contacts"]["blocked"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_keeps_nobody_out_by_a_blocked_value() {
    let (_world, caller) = caller().await;
    let phone = |number: &str| json!({"kind": "phone", "value": number});
    let (desk, hall) = ("+4930111111", "+4930222222");
    let rules = json!({"contacts": {"blocked": [phone(desk), phone(hall)]}});
    let stored = set(&caller, rules).await;
    let fields = json!({"email": "ada@acme.example", "phones": [desk, hall]});
    send(&caller, "crm", "ada", fields).await;
    send(&caller, "crm", "bob", json!({"phone": hall})).await;
    caller.erase(&id(&with(&caller, "ada").await)).await;
    // A value of nobody else goes with the person, and one that others hold stays.
    let left = caller.get(RULES).await;
    assert_ne!(left, stored);
    assert_eq!(left["contacts"]["blocked"], json!([phone(hall)]));

    let sent = [
        record("new", 1, json!({"phone": desk})),
        record("again", 1, json!({"email": "ada@acme.example"})),
    ];
    let taken = caller.send("crm", "contact", &sent).await;
    assert_eq!(taken["accepted"], 1, "{taken}");
    assert_eq!(taken["rejected"][0]["index"], 1, "{taken}");
    assert_eq!(taken["rejected"][0]["code"], "erased", "{taken}");
    assert_eq!(contacts(&caller).await, sets(["bob", "new"]));
}
