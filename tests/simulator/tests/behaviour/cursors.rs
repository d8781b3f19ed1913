//! Cursors are keysets: complete without changes, drifting in a known way with them.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use crate::client::Client;
use crate::{small, with};

fn search(order: &str, after: &Value) -> Value {
    json!({
        "query": {"field": "updated_at", "operator": ">", "value": 0},
        "sort": {"field": "updated_at", "order": order},
        "pagination": {"per_page": 7, "starting_after": after},
    })
}

async fn page(client: &Client, order: &str, after: &Value) -> (Vec<String>, Value) {
    let page = client
        .post("/conversations/search", &search(order, after))
        .await
        .ok();
    (
        list(&page, "conversations"),
        page["pages"]["next"]["starting_after"].clone(),
    )
}

fn list(page: &Value, key: &str) -> Vec<String> {
    page[key]
        .as_array()
        .expect("a list")
        .iter()
        .map(|object| object["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn walk(client: &Client, order: &str, mut after: Value) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let (ids, next) = page(client, order, &after).await;
        all.extend(ids);
        if next.is_null() {
            return all;
        }
        after = next;
    }
}

#[tokio::test]
async fn walks_are_complete_and_without_repeats() {
    let (_simulator, _, client) = with(small()).await;
    let up = walk(&client, "ascending", Value::Null).await;
    assert_eq!(up.len(), 40);
    assert_eq!(up.iter().collect::<HashSet<_>>().len(), 40);
    let mut down = walk(&client, "descending", Value::Null).await;
    down.reverse();
    assert_eq!(up, down);
    for (path, key, count) in [
        ("/contacts", "data", 60),
        ("/conversations", "conversations", 40),
    ] {
        let mut seen = HashSet::new();
        let mut url = format!("{path}?per_page=9");
        for _ in 0..20 {
            let page = client.get(&url).await.ok();
            seen.extend(list(&page, key));
            let Some(next) = page["pages"]["next"]["starting_after"].as_str() else {
                break;
            };
            url = format!(
                "{path}?per_page=9&starting_after={}",
                next.replace('=', "%3D")
            );
        }
        assert_eq!(seen.len(), count, "{path}");
    }
}

#[tokio::test]
async fn ascending_repeats_a_touched_record_and_descending_misses_it() {
    let (_simulator, workspace, client) = with(small()).await;
    let (first, next) = page(&client, "ascending", &Value::Null).await;
    workspace.mutate(Mutation::update(Kind::Conversation, 1).ids([first[0].clone()]));
    assert!(walk(&client, "ascending", next).await.contains(&first[0]));

    let (_, next) = page(&client, "descending", &Value::Null).await;
    let oldest = walk(&client, "ascending", Value::Null).await.remove(0);
    workspace.mutate(Mutation::update(Kind::Conversation, 1).ids([oldest.clone()]));
    assert!(!walk(&client, "descending", next).await.contains(&oldest));
}

#[tokio::test]
async fn a_cursor_outlives_its_record() {
    let (_simulator, workspace, client) = with(small()).await;
    let before = walk(&client, "ascending", Value::Null).await;
    let (first, next) = page(&client, "ascending", &Value::Null).await;
    let last = first.last().expect("a record").clone();
    workspace.mutate(Mutation::delete(Kind::Conversation, 1).ids([last]));
    assert_eq!(walk(&client, "ascending", next).await, before[7..]);
}

#[tokio::test]
async fn a_cursor_is_sort_milliseconds_id_and_page() {
    let (_simulator, _, client) = with(small()).await;
    let (first, next) = page(&client, "ascending", &Value::Null).await;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(next.as_str().expect("a cursor"))
        .expect("base64");
    let parts: Value = serde_json::from_slice(&bytes).expect("JSON");
    let last = first.last().expect("a record");
    let object = client.get(&format!("/conversations/{last}")).await.ok();
    let millis = object["updated_at"].as_i64().expect("a time") * 1000;
    assert_eq!(parts, json!([millis, last, 2]));
}

#[tokio::test]
async fn in_the_url_a_search_cursor_is_ignored() {
    let (_simulator, _, client) = with(small()).await;
    let (first, next) = page(&client, "ascending", &Value::Null).await;
    let url = format!(
        "/conversations/search?starting_after={}",
        next.as_str().expect("a cursor").replace('=', "%3D")
    );
    let again = client
        .post(&url, &search("ascending", &Value::Null))
        .await
        .ok();
    assert_eq!(list(&again, "conversations"), first);
}

#[tokio::test]
async fn cursors_can_expire() {
    let (simulator, _, client) = with(WorkspaceSpec {
        cursor_ttl_seconds: Some(300),
        ..small()
    })
    .await;
    let (_, next) = page(&client, "ascending", &Value::Null).await;
    page(&client, "ascending", &next).await;
    simulator.clock().advance(Duration::from_secs(301));
    let answer = client
        .post("/conversations/search", &search("ascending", &next))
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn page_sizes_have_defaults_and_caps() {
    let (_simulator, _, client) = with(WorkspaceSpec {
        contacts: 400,
        conversations: 200,
        deleted_conversations: 90,
        ..small()
    })
    .await;
    for (path, default, cap) in [
        ("/contacts", 10, 150),
        ("/conversations", 20, 150),
        ("/conversations/deleted", 20, 60),
        ("/companies", 15, 60),
    ] {
        let page = client.get(path).await.ok();
        assert_eq!(page["pages"]["per_page"], default, "{path}");
        let page = client.get(&format!("{path}?per_page=900")).await.ok();
        assert_eq!(page["pages"]["per_page"], cap, "{path}");
        assert_eq!(
            client.get(&format!("{path}?per_page=x")).await.status,
            400,
            "{path}"
        );
    }
    let all = json!({"query": {"field": "created_at", "operator": ">", "value": 0}});
    let page = client.post("/contacts/search", &all).await.ok();
    assert_eq!(page["pages"]["per_page"], 50);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(50));
}
