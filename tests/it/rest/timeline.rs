//! One timeline per contact, across all sources.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{sources::someone, synced};
use crate::support::Caller;

fn event(id: &str, contact: &str, at: &str) -> Value {
    json!({
        "source_id": id,
        "source_updated_at": "2026-11-01T12:00:00Z",
        "fields": {"contact": contact, "kind": "email_opened", "occurred_at": at, "title": id, "attributes": {"n": 1}},
    })
}

/// The entries, each as its type and what it is known by at its source.
async fn entries(caller: &Caller, path: &str) -> Vec<(String, String)> {
    let entries = caller.all(path).await;
    let times: Vec<&str> = entries
        .iter()
        .map(|entry| entry["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let named = entries.iter().map(|entry| {
        let kind = entry["type"].as_str().unwrap();
        let id = entry[kind]["source_id"].as_str().unwrap();
        (kind.to_owned(), id.to_owned())
    });
    named.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_all_sources_and_conversations_are_one_timeline() {
    let (_world, _case, caller) = synced().await;
    let ada = someone(&caller).await;
    let path = format!("/v1/contacts/{}/timeline", ada["id"].as_str().unwrap());
    let conversations = entries(&caller, &path).await;
    assert!(!conversations.is_empty());
    assert!(conversations.iter().all(|(kind, _)| kind == "conversation"));

    // Events wait for the record of their person. Times of other zones are the same times.
    let events = [
        event("first", "p1", "2001-01-01T00:00:00Z"),
        event("second", "p1", "2001-01-01T02:00:00+01:00"),
        event("of-another", "p2", "2001-01-01T00:00:00Z"),
        event("last", "p1", "2099-01-01T00:00:00Z"),
        json!({"source_id": "whose", "source_updated_at": "2026-11-01T12:00:00Z", "fields": {"kind": "x"}}),
    ];
    let taken = caller.send("email", "event", &events).await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(4), &json!(4))
    );
    let rejected = &taken["rejected"][0];
    assert_eq!(
        (&rejected["code"], &rejected["detail"]),
        (
            &json!("missing_field"),
            &json!("fields.contact is missing: send it with each record")
        )
    );
    assert_eq!(entries(&caller, &path).await, conversations);
    let person = json!({
        "source_id": "p1",
        "source_updated_at": "2026-11-01T12:00:00Z",
        "fields": {"email": ada["email"]},
    });
    caller.send("email", "contact", &[person]).await;
    let name = |id: &str| ("event".to_owned(), id.to_owned());
    let mut expected = vec![name("last")];
    expected.extend(conversations.iter().cloned());
    expected.extend([name("second"), name("first")]);
    assert_eq!(entries(&caller, &path).await, expected);
    let page = caller.get(&format!("{path}?limit=1")).await;
    let shown = &page["items"][0]["event"];
    assert_eq!(
        [
            &shown["kind"],
            &shown["title"],
            &shown["url"],
            &shown["attributes"],
            &shown["source"]
        ],
        [
            &json!("email_opened"),
            &json!("last"),
            &Value::Null,
            &json!({"n": 1}),
            &json!("email")
        ]
    );

    // A later version moves its event, an older one does not, and a deletion removes it.
    let mut moved = event("last", "p1", "2000-01-01T00:00:00Z");
    moved["source_updated_at"] = "2026-11-02T12:00:00Z".into();
    let mut deleted = event("second", "p1", "2001-01-01T00:00:00Z");
    deleted["source_updated_at"] = "2026-11-02T12:00:00Z".into();
    deleted["deleted"] = true.into();
    let late = event("second", "p1", "2001-01-01T02:00:00+01:00");
    let taken = caller.send("email", "event", &[moved, deleted]).await;
    assert_eq!(taken["changed"], 2);
    let taken = caller
        .send("email", "event", &[late, events[3].clone()])
        .await;
    assert_eq!(
        (&taken["accepted"], &taken["changed"]),
        (&json!(2), &json!(0))
    );
    let mut expected = conversations.clone();
    expected.extend([name("first"), name("last")]);
    assert_eq!(entries(&caller, &path).await, expected);

    caller.remove_source("email").await;
    assert_eq!(entries(&caller, &path).await, conversations);
    let made = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (_, made) = caller.call(Method::POST, "/v1/api_keys", Some(made)).await;
    let reader = caller.with_key(made["key"].as_str().unwrap());
    let status = reader.call(Method::GET, &path, None).await.0;
    assert_eq!(status, StatusCode::FORBIDDEN, "it shows conversations");
}
