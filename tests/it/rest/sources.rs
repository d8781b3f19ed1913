//! What other sources send: records with faults, versions in any order, repeats, and whose they are.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulation::rng::Rng;

use super::synced;
use crate::support::{Answer, Caller};

const CRM: &str = "/v1/sources/crm/records";

/// Everything that a reader sees of contacts and companies, but for the times of changes.
pub(super) async fn shown(caller: &Caller) -> Vec<Value> {
    let mut shown = caller.all("/v1/contacts").await;
    shown.extend(caller.all("/v1/companies").await);
    for object in &mut shown {
        // Conversations of companies are counted later.
        for later in ["updated_at", "conversations"] {
            object.as_object_mut().unwrap().remove(later);
        }
    }
    shown.sort_by_key(|object| object["id"].as_str().unwrap().to_owned());
    shown
}

/// A contact of Intercom's who has conversations, and an address that no other contact has.
pub(crate) async fn someone(caller: &Caller) -> Value {
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

pub(crate) fn record(source_id: &str, second: u32, fields: impl Into<Value>) -> Value {
    json!({
        "source_id": source_id,
        "source_updated_at": format!("2026-11-01T12:00:{second:02}Z"),
        "fields": fields.into(),
    })
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
    let taken = caller.send("analytics", "contact", &records).await;
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
        caller.send("email", "contact", &[version(0)]).await;
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
            caller.send("email", "contact", part).await;
        }
        let contacts = caller.all("/v1/contacts").await;
        let of_source = |contact: &&Value| contact["sources"][0]["source"] == "email";
        let found: Vec<&Value> = contacts.iter().filter(of_source).collect();
        assert_eq!(found.len(), 1, "{versions:?}");
        assert_eq!(found[0]["name"], "Name 4", "{versions:?}");
        assert_eq!(found[0]["emails"], json!(["v4@acme.example"]));
        assert!(found[0]["deleted_at"].is_null());
        caller.remove_source("email").await;
    }

    // A deletion counts from its time on, and an older version that comes late does not undo it.
    caller.send("email", "contact", &[version(1)]).await;
    let taken = caller
        .send("email", "contact", &[ended.clone(), version(2)])
        .await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(2), &json!(1))
    );
    let taken = caller.send("email", "contact", &[version(2), ended]).await;
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
    let unkeyed = caller.send("crm", "contact", &many).await;
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
        caller
            .send("crm", "contact", std::slice::from_ref(&person))
            .await;
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
    let taken = sender.send("crm", "contact", &[person]).await;
    assert_eq!(taken["accepted"], 1);
    let status = sender.call(Method::GET, "/v1/contacts", None).await.0;
    assert_eq!(status, StatusCode::FORBIDDEN);

    stranger.remove_source("crm").await;
    stranger.remove_source("crm").await;
    assert_eq!(stranger.all("/v1/contacts").await, Vec::<Value>::new());
    assert_eq!(caller.get("/v1/sources").await["items"][0], source);
    let status = caller
        .get(&format!("/v1/connections/{}/sync", case.connection()))
        .await;
    assert_eq!(status["complete"], true);
}
