//! What other sources send: one profile with what Intercom says, and none of it after the source has gone.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulation::rng::Rng;

use super::synced;
use crate::support::{Answer, Caller, wait_for};

const CRM: &str = "/v1/sources/crm/records";

pub(super) async fn send(caller: &Caller, path: &str, object: &str, records: &[Value]) -> Value {
    let body = json!({"object": object, "records": records});
    let (status, taken) = caller.call(Method::POST, path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{taken}");
    taken
}

async fn send_contacts(caller: &Caller, source: &str, records: &[Value]) -> Value {
    send(
        caller,
        &format!("/v1/sources/{source}/records"),
        "contact",
        records,
    )
    .await
}

pub(super) async fn remove(caller: &Caller, source: &str) {
    let path = format!("/v1/sources/{source}");
    let (status, body) = caller.call(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    wait_for("the source has gone", async || {
        let sources = caller.get("/v1/sources").await;
        let items = sources["items"].as_array().unwrap();
        let is_gone = items.iter().all(|item| item["source"] != source);
        is_gone.then_some(()).ok_or_else(|| sources.to_string())
    })
    .await;
}

/// Everything that a reader sees of contacts and companies, but for the times of changes.
async fn shown(caller: &Caller) -> Vec<Value> {
    let mut shown = caller.all("/v1/contacts").await;
    shown.extend(caller.all("/v1/companies").await);
    for object in &mut shown {
        object.as_object_mut().unwrap().remove("updated_at");
    }
    shown.sort_by_key(|object| object["id"].as_str().unwrap().to_owned());
    shown
}

/// A contact of Intercom's who has conversations, and an address that no other contact has.
pub(super) async fn someone(caller: &Caller) -> Value {
    let contacts = caller.all("/v1/contacts").await;
    let conversations = caller.all("/v1/conversations").await;
    let talks = |contact: &Value| {
        let has = |conversation: &Value| {
            let ids = conversation["contact_ids"].as_array().unwrap();
            ids.contains(&contact["id"])
        };
        conversations.iter().any(has)
    };
    let is_known = |contact: &Value| {
        let same = |other: &&Value| other["email"] == contact["email"];
        contact["email"].is_string() && contacts.iter().filter(same).count() == 1
    };
    let found = contacts
        .iter()
        .find(|contact| talks(contact) && is_known(contact));
    found.expect("somebody talks").clone()
}

fn record(source_id: &str, second: u32, fields: impl Into<Value>) -> Value {
    json!({
        "source_id": source_id,
        "source_updated_at": format!("2026-11-01T12:00:{second:02}Z"),
        "fields": fields.into(),
    })
}

fn path_of(contact: &Value) -> String {
    format!("/v1/contacts/{}", contact["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_two_sources_is_one_profile_until_one_of_them_goes() {
    let (_world, _case, caller) = synced().await;
    let before = shown(&caller).await;
    let ada = someone(&caller).await;
    let talks = format!("{}/conversations", path_of(&ada));
    let conversations = caller.get(&talks).await["items"].clone();

    let company = record("acme", 1, json!({"name": "Acme", "domain": "acme.example"}));
    send(&caller, CRM, "company", &[company]).await;
    let mut person = record(
        "p1",
        1,
        json!({
            "email": ada["email"].as_str().unwrap().to_uppercase(),
            "name": "Ada of the CRM",
            "created_at": "2001-01-01T00:00:00Z",
            "attributes": {"tier": "gold"},
            "consent": {"may_email": false},
            "tags": ["champion"],
        }),
    );
    person["company"] = "acme".into();
    let taken = send_contacts(&caller, "crm", &[person]).await;
    assert_eq!(taken, json!({"accepted": 1, "changed": 1, "rejected": []}));

    let merged = caller
        .get(&format!("{}?include=provenance", path_of(&ada)))
        .await;
    // The CRM's record is older, so the profile has its id, and the one that was known before leads to it.
    assert_ne!(merged["id"], ada["id"]);
    assert_eq!(merged["name"], "Ada of the CRM");
    assert_eq!(merged["attributes"]["tier"], "gold");
    assert_eq!(merged["consent"]["may_email"], false);
    let tags = merged["tags"].as_array().unwrap();
    assert!(tags.contains(&json!("champion")), "{tags:?}");
    assert_eq!(
        merged["role"], ada["role"],
        "what only Intercom knows stays"
    );
    let sources: BTreeSet<&str> = merged["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, BTreeSet::from(["crm", "intercom"]));
    assert_eq!(merged["provenance"]["name"]["source"], "crm");
    assert_eq!(merged["provenance"]["role"]["source"], "intercom");
    let companies = merged["company_ids"].as_array().unwrap();
    let acme = companies[0].as_str().unwrap();
    assert_eq!(
        caller.get(&format!("/v1/companies/{acme}")).await["name"],
        "Acme"
    );
    let mut theirs = caller
        .get(&format!("{}/conversations", path_of(&merged)))
        .await["items"]
        .clone();
    assert_eq!(
        theirs.as_array().map(Vec::len),
        conversations.as_array().map(Vec::len)
    );
    for item in theirs.as_array_mut().into_iter().flatten() {
        let contacts = item["contact_ids"].as_array().unwrap();
        assert!(contacts.contains(&merged["id"]), "{item}");
    }
    // Nobody is listed twice.
    assert_eq!(shown(&caller).await.len(), before.len() + 1, "and Acme");

    remove(&caller, "crm").await;
    assert_eq!(shown(&caller).await, before);
    let left = caller.get(&path_of(&merged)).await;
    assert_eq!(left["id"], ada["id"], "an id is good for ever");
    assert_eq!(
        caller.get(&talks).await["items"].as_array().map(Vec::len),
        conversations.as_array().map(Vec::len)
    );
    let gone = format!("/v1/companies/{acme}");
    assert_eq!(
        caller.call(Method::GET, &gone, None).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_of_two_sources_is_one_company_until_one_of_them_goes() {
    let (_world, _case, caller) = synced().await;
    let before = shown(&caller).await;
    let contacts = caller.all("/v1/contacts").await;
    let companies = caller.all("/v1/companies").await;
    let members = |company: &Value| -> BTreeSet<String> {
        let of = contacts.iter().filter(|contact| {
            contact["company_ids"]
                .as_array()
                .unwrap()
                .contains(&company["id"])
        });
        of.map(|contact| contact["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let known = companies
        .iter()
        .find(|company| company["domain"].is_string() && !members(company).is_empty())
        .expect("a company with a domain and contacts");
    let mut feed = String::new();
    loop {
        let page = caller.get(&format!("/v1/changes?limit=200{feed}")).await;
        feed = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
        if page["caught_up"] == true {
            break;
        }
    }

    let website = format!("https://www.{}/about", known["domain"].as_str().unwrap());
    let fields = json!({"name": "As the CRM has it", "website": website, "created_at": "2001-01-01T00:00:00Z"});
    send(&caller, CRM, "company", &[record("acme", 1, fields)]).await;
    let path = format!("/v1/companies/{}", known["id"].as_str().unwrap());
    let merged = caller.get(&format!("{path}?include=provenance")).await;
    assert_ne!(merged["id"], known["id"]);
    assert_eq!(merged["name"], "As the CRM has it");
    assert_eq!(
        merged["plan"], known["plan"],
        "what only Intercom knows stays"
    );
    assert_eq!(merged["provenance"]["name"]["source"], "crm");
    assert_eq!(merged["sources"].as_array().unwrap().len(), 2);
    assert_eq!(
        shown(&caller).await.len(),
        before.len(),
        "none is listed twice"
    );
    for contact in members(known) {
        let contact = caller.get(&format!("/v1/contacts/{contact}")).await;
        let ids = contact["company_ids"].as_array().unwrap();
        assert!(
            ids.contains(&merged["id"]) && !ids.contains(&known["id"]),
            "{contact}"
        );
    }
    // The feed tells of the company and of its contacts.
    let page = caller.get(&format!("/v1/changes?limit=200{feed}")).await;
    let told: BTreeSet<(String, String)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let word = |name: &str| item[name].as_str().unwrap().to_owned();
            (word("id"), word("op"))
        })
        .collect();
    let mut expected: BTreeSet<(String, String)> = members(known)
        .into_iter()
        .map(|id| (id, "link".to_owned()))
        .collect();
    for company in [&merged, known] {
        let id = company["id"].as_str().unwrap().to_owned();
        expected.insert((id, "merge".to_owned()));
    }
    assert_eq!(told, expected);

    remove(&caller, "crm").await;
    assert_eq!(shown(&caller).await, before);
    let path = format!("/v1/companies/{}", merged["id"].as_str().unwrap());
    assert_eq!(
        caller.get(&path).await["id"],
        known["id"],
        "an id is good for ever"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_a_fault_is_rejected_alone() {
    let (_world, _case, caller) = synced().await;
    let before = shown(&caller).await.len();
    let records = [
        record("good", 1, json!({"name": "Grace"})),
        record("misspelt", 1, json!({"emial": "grace@acme.example"})),
        json!("no object"),
        record("", 1, json!({})),
        json!({"source_id": "undated", "fields": {}}),
        record("nul", 1, json!({"name": "a\u{0}b"})),
        record(
            "large",
            1,
            json!({"attributes": {"text": "x".repeat(70_000)}}),
        ),
        record("long", 1, json!({"name": "x".repeat(3_000)})),
        record("last", 1, json!({"email": "last@acme.example"})),
    ];
    let taken = send_contacts(&caller, "analytics", &records).await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(2), &json!(2))
    );
    let rejected: Vec<(u64, &str)> = taken["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rejected| {
            (
                rejected["index"].as_u64().unwrap(),
                rejected["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        rejected,
        [
            (1, "unknown_field"),
            (2, "unreadable_field"),
            (3, "unreadable_field"),
            (4, "missing_field"),
            (5, "unreadable_field"),
            (6, "too_large"),
            (7, "too_long"),
        ]
    );
    let detail = taken["rejected"][0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("\"fields.emial\" is not known: use one of attributes"),
        "{detail}"
    );
    assert_eq!(shown(&caller).await.len(), before + 2);

    for (path, body, field) in [
        (CRM, json!({"object": "deal", "records": []}), "object"),
        (CRM, json!({"object": "contact"}), "body"),
        (
            CRM,
            json!({"object": "contact", "records": vec![json!({}); 1_001]}),
            "records",
        ),
    ] {
        let (status, problem) = caller.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for source in ["intercom", "sales", "CRM"] {
        let body = json!({"object": "contact", "records": []});
        let path = format!("/v1/sources/{source}/records");
        let (status, problem) = caller.call(Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_record_may_come_in_any_order_and_more_than_once() {
    let (_world, _case, caller) = synced().await;
    let version = |second: u32| {
        let fields =
            json!({"name": format!("Name {second}"), "email": format!("v{second}@acme.example")});
        record("p1", second, fields)
    };
    let mut ended = version(3);
    ended["deleted"] = true.into();
    let mut rng = Rng::new(20_261_130);
    for _ in 0..12 {
        send_contacts(&caller, "email", &[version(0)]).await;
        let mut versions = vec![
            version(1),
            version(2),
            ended.clone(),
            version(4),
            version(2),
        ];
        for place in (1..versions.len()).rev() {
            versions.swap(place, rng.between(0, place as i64 + 1) as usize);
        }
        let parts = rng.between(1, 4) as usize;
        for part in versions.chunks(parts) {
            send_contacts(&caller, "email", part).await;
        }
        let contacts = caller.all("/v1/contacts").await;
        let of_source = |contact: &&Value| contact["sources"][0]["source"] == "email";
        let found: Vec<&Value> = contacts.iter().filter(of_source).collect();
        assert_eq!(found.len(), 1, "{versions:?}");
        assert_eq!(found[0]["name"], "Name 4", "{versions:?}");
        assert_eq!(found[0]["emails"], json!(["v4@acme.example"]));
        assert!(found[0]["deleted_at"].is_null());
        remove(&caller, "email").await;
    }

    // A deletion counts from its time on, and an older version that comes late does not undo it.
    send_contacts(&caller, "email", &[version(1)]).await;
    let taken = send_contacts(&caller, "email", &[ended.clone(), version(2)]).await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(2), &json!(1))
    );
    let taken = send_contacts(&caller, "email", &[version(2), ended]).await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(2), &json!(0))
    );
    let alive = caller.all("/v1/contacts").await;
    assert!(
        alive
            .iter()
            .all(|contact| contact["sources"][0]["source"] != "email")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_repeated_is_carried_out_once() {
    let (_world, _case, caller) = synced().await;
    let many: Vec<Value> = (0..1_000)
        .map(|n| {
            let fields =
                json!({"name": format!("Person {n}"), "attributes": {"about": "x".repeat(1_500)}});
            record(&format!("p{n}"), 1, fields)
        })
        .collect();
    let body = json!({"object": "contact", "records": many}).to_string();
    assert!(body.len() > 1 << 20);
    let post = async || -> Answer {
        let key = [("Idempotency-Key", "batch-1")];
        caller
            .exchange(Method::POST, CRM, Some(body.clone()), &key)
            .await
    };
    let (first, again) = (post().await, post().await);
    assert_eq!(first.body["changed"], 1_000, "{}", first.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.body, again.body);
    let unkeyed = send_contacts(&caller, "crm", &many).await;
    assert_eq!(
        unkeyed,
        json!({"accepted": 1_000, "changed": 0, "rejected": []})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_no_workspace_and_no_other_tenants() {
    let (world, case, caller) = synced().await;
    let stranger = caller.acting_for(world.new_tenant().await);
    let person = record("p1", 1, json!({"email": "both@acme.example"}));
    for caller in [&caller, &stranger] {
        send_contacts(caller, "crm", std::slice::from_ref(&person)).await;
    }
    assert_eq!(stranger.all("/v1/contacts").await.len(), 1);
    let connections = caller.get("/v1/connections").await;
    assert_eq!(connections["items"].as_array().unwrap().len(), 1);
    let source = caller.get("/v1/sources").await["items"][0].clone();
    assert_eq!(source["source"], "crm");
    let connection = source["connection_id"].as_str().unwrap();
    for (method, path) in [
        (Method::GET, format!("/v1/connections/{connection}")),
        (Method::DELETE, format!("/v1/connections/{connection}")),
        (Method::GET, format!("/v1/connections/{connection}/sync")),
    ] {
        let status = caller.call(method, &path, None).await.0;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }

    // A key may send records without being allowed to read any.
    let made = json!({"name": "crm", "scopes": ["sources:write"]});
    let (_, made) = caller.call(Method::POST, "/v1/api_keys", Some(made)).await;
    let sender = caller.with_key(made["key"].as_str().unwrap());
    let taken = send_contacts(&sender, "crm", &[person]).await;
    assert_eq!(taken["accepted"], 1);
    let status = sender.call(Method::GET, "/v1/contacts", None).await.0;
    assert_eq!(status, StatusCode::FORBIDDEN);

    remove(&stranger, "crm").await;
    remove(&stranger, "crm").await;
    assert_eq!(stranger.all("/v1/contacts").await, Vec::<Value>::new());
    assert_eq!(caller.get("/v1/sources").await["items"][0], source);
    let status = caller
        .get(&format!("/v1/connections/{}/sync", case.connection()))
        .await;
    assert_eq!(status["complete"], true);
}
