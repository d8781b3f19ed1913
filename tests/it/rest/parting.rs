//! Which records are one person, said and decided: links, splits, and the order of sources.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::feed::Reader;
use crate::support::{Caller, World};

pub(super) async fn caller() -> (World, Caller) {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(tenant));
    (world, caller)
}

pub(super) async fn send(caller: &Caller, source: &str, id: &str, fields: Value) {
    let record =
        json!({"source_id": id, "source_updated_at": "2026-11-01T12:00:00Z", "fields": fields});
    let taken = caller.send(source, "contact", &[record]).await;
    assert_eq!(taken["accepted"], 1, "{taken}");
}

/// A contact as sets of its sources' ids.
pub(super) async fn contacts(caller: &Caller) -> BTreeSet<BTreeSet<String>> {
    let contacts = caller.all("/v1/contacts").await;
    contacts.iter().map(source_ids).collect()
}

fn source_ids(contact: &Value) -> BTreeSet<String> {
    let sources = contact["sources"].as_array().unwrap().iter();
    sources
        .map(|source| source["source_id"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn sets<const N: usize>(of: [&str; N]) -> BTreeSet<BTreeSet<String>> {
    of.map(|ids| ids.split('+').map(str::to_owned).collect())
        .into()
}

/// The contact that has this record.
pub(super) async fn with(caller: &Caller, id: &str) -> Value {
    let contacts = caller.all("/v1/contacts").await;
    let has = |contact: &&Value| source_ids(contact).contains(id);
    contacts.iter().find(has).expect("it is listed").clone()
}

pub(super) fn path(contact: &Value, rest: &str) -> String {
    format!("/v1/contacts/{}{rest}", contact["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_parted_for_good_and_joined_again_when_the_split_ends() {
    let (_world, caller) = caller().await;
    let ada = |id: &str| json!({"email": "ada@acme.example", "name": id});
    for (source, id) in [("crm", "c"), ("email", "e"), ("analytics", "a")] {
        send(&caller, source, id, ada(id)).await;
    }
    assert_eq!(contacts(&caller).await, sets(["a+c+e"]));
    let whole = with(&caller, "c").await;
    let of = |id: &str| {
        let sources = whole["sources"].as_array().unwrap();
        let source = sources.iter().find(|source| source["source_id"] == id);
        json!({"connection_id": source.unwrap()["connection_id"], "source_id": id})
    };

    // What cannot be meant changes nothing and says why.
    for (sources, detail) in [
        (
            json!([]),
            "no records are named: name those that are someone else",
        ),
        (
            json!([of("a"), of("c"), of("e")]),
            "every record of the profile is named: leave at least one",
        ),
        (
            json!([{"connection_id": of("a")["connection_id"], "source_id": "x"}]),
            "record \"x\" is not in this profile: name records of its sources",
        ),
    ] {
        let body = json!({"sources": sources});
        let (status, problem) = caller
            .call(Method::POST, &path(&whole, "/split"), Some(body))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(
            problem["errors"][0],
            json!({"field": "sources", "detail": detail})
        );
    }
    let body = json!({"sources": [of("a"), of("a")]});
    let preview = path(&whole, "/split?preview=true");
    let (status, shown) = caller
        .call(Method::POST, &preview, Some(body.clone()))
        .await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert_eq!(
        contacts(&caller).await,
        sets(["a+c+e"]),
        "a preview changes nothing"
    );

    let (status, split) = caller
        .call(Method::POST, &path(&whole, "/split"), Some(body))
        .await;
    assert_eq!(status, StatusCode::OK, "{split}");
    assert_eq!(split["contacts"], shown["contacts"]);
    assert_eq!(contacts(&caller).await, sets(["a", "c+e"]));

    // A refill, a new value in common and a third record change nothing of it.
    send(&caller, "crm", "c2", json!({"email": "ada@acme.example"})).await;
    send(
        &caller,
        "analytics",
        "a",
        json!({"email": "ada@acme.example", "external_id": "u1"}),
    )
    .await;
    let after = contacts(&caller).await;
    let apart = |set: &BTreeSet<String>| !(set.contains("a") && set.contains("c"));
    assert!(after.iter().all(apart), "{after:?}");
    let a = with(&caller, "a").await;
    let identities = caller.get(&path(&a, "/identities")).await;
    assert_eq!(identities["splits"][0]["id"], split["id"], "{identities}");
    let links = identities["links"].as_array().unwrap();
    let is_refused = |link: &&Value| link["status"] == "refused" && link["reason"] == "split";
    assert!(links.iter().any(|link| is_refused(&link)), "{identities}");

    // Not by a contact that it does not part, and once only.
    send(
        &caller,
        "crm",
        "other",
        json!({"email": "other@acme.example"}),
    )
    .await;
    let other = with(&caller, "other").await;
    let end = format!("/split/{}", split["id"].as_str().unwrap());
    for (contact, expected) in [
        (&other, StatusCode::NOT_FOUND),
        (&a, StatusCode::OK),
        (&a, StatusCode::NOT_FOUND),
    ] {
        let (status, body) = caller
            .call(Method::DELETE, &path(contact, &end), None)
            .await;
        assert_eq!(status, expected, "{body}");
    }
    assert_eq!(contacts(&caller).await, sets(["a+c+c2+e", "other"]));
    // Every id that was ever given out answers.
    for id in [&whole["id"], &a["id"]] {
        let contact = caller
            .get(&format!("/v1/contacts/{}", id.as_str().unwrap()))
            .await;
        assert!(source_ids(&contact).contains("a"), "{contact}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_says_what_it_links_and_why_it_does_not() {
    let (_world, caller) = caller().await;
    let old = "2020-01-01T00:00:00Z";
    send(
        &caller,
        "crm",
        "c",
        json!({"external_id": "u1", "email": "Ada@acme.example", "phone": "030 1234", "created_at": old}),
    )
    .await;
    send(&caller, "email", "e", json!({"email": "ada@ACME.example"})).await;
    send(
        &caller,
        "analytics",
        "a",
        json!({"email": "info@acme.example", "external_id": "u1"}),
    )
    .await;
    send(
        &caller,
        "analytics",
        "b",
        json!({"email": "ada@acme.example", "external_id": "u2"}),
    )
    .await;
    let c = with(&caller, "c").await;
    let identities = caller.get(&path(&c, "/identities")).await;
    let told: BTreeSet<String> = identities["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| {
            let word = |member: &Value| member.as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {}",
                word(&link["kind"]),
                word(&link["value"]),
                word(&link["status"]),
                word(&link["reason"])
            )
        })
        .collect();
    let expected = [
        // Two people hold the address, so it means neither of them.
        "email ada@acme.example ambiguous -",
        "email info@acme.example blocked role_address",
        "external_id u1 linked -",
        "phone 030 1234 blocked no_country",
    ];
    assert_eq!(told, expected.map(str::to_owned).into(), "{identities}");
    let first = &identities["links"][0];
    assert_eq!(first["record"]["source"], "crm");
    assert_eq!(first["record"]["contact_id"], c["id"]);
    assert_eq!(first["at"], "2026-11-01T12:00:00Z");
    let missing = format!("/v1/contacts/{}/identities", uuid::Uuid::now_v7());
    let status = caller.call(Method::GET, &missing, None).await.0;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_sources_holds_at_once_and_for_all_records() {
    let (_world, caller) = caller().await;
    for (source, name) in [
        ("crm", "As the CRM says"),
        ("email", "As the mailing tool says"),
    ] {
        let fields = json!({"email": "ada@acme.example", "name": name, "role": name});
        send(&caller, source, source, fields).await;
    }
    send(&caller, "crm", "alone", json!({"name": "Alone"})).await;
    let defaults = caller.get("/v1/merge_rules").await;
    assert_eq!(
        defaults["contacts"],
        json!({"default": ["crm", "email", "analytics", "intercom"], "fields": {}})
    );
    let shown = async || {
        let contact = with(&caller, "crm").await;
        (contact["name"].clone(), contact["role"].clone())
    };
    let (crm, email) = (json!("As the CRM says"), json!("As the mailing tool says"));
    assert_eq!(shown().await, (crm.clone(), crm.clone()));
    let mut feed = Reader::with(caller.clone());
    feed.news().await;

    let set = async |rules: Value| {
        caller
            .call(Method::PUT, "/v1/merge_rules", Some(rules))
            .await
    };
    let rules = json!({"contacts": {"fields": {"name": ["email"]}}});
    let (status, stored) = set(rules).await;
    assert_eq!(status, StatusCode::OK, "{stored}");
    assert_eq!(
        stored["contacts"]["fields"]["name"],
        json!(["email", "crm", "analytics", "intercom"])
    );
    assert_eq!(caller.get("/v1/merge_rules").await, stored);
    assert_eq!(shown().await, (email, crm.clone()));
    // The feed tells of the profile of two records, and of no other.
    let joined = with(&caller, "crm").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        feed.news().await,
        BTreeSet::from([(joined, "upsert".to_owned())])
    );

    // The same rules again are no change, and rules that cannot be meant are none either.
    set(json!({"contacts": {"fields": {"name": ["email"]}}})).await;
    for (rules, field) in [
        (json!({"contacts": {"default": ["salesforce"]}}), "body"),
        (json!({"contacts": {"fields": {"tags": ["crm"]}}}), "body"),
        (json!({"people": {}}), "people"),
    ] {
        let (status, problem) = set(rules).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(feed.news().await, BTreeSet::new());
    set(json!({})).await;
    assert_eq!(caller.get("/v1/merge_rules").await, defaults);
    assert_eq!(shown().await, (crm.clone(), crm));
}
