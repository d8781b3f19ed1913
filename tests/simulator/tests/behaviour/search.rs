//! Contact search truncates to days of the workspace. Conversation search is exact.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use crate::client::Client;
use crate::{small, with};

fn filter(field: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"field": field, "operator": operator, "value": value.into()})
}

async fn ids(client: &Client, path: &str, query: &Value) -> Vec<String> {
    let body = json!({"query": query, "pagination": {"per_page": 150}});
    let page = client.post(path, &body).await.ok();
    let list = if path == "/contacts/search" {
        "data"
    } else {
        "conversations"
    };
    let objects = page[list].as_array().expect("a list");
    assert_eq!(page["total_count"], json!(objects.len()));
    let mut ids: Vec<String> = objects
        .iter()
        .map(|object| object["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

/// 00:00 of 2 November 2025 in Los Angeles. The day has 25 hours.
const LONG_DAY: i64 = 1_762_066_800;
const HOUR: i64 = 3600;

#[tokio::test]
async fn contact_dates_are_whole_days_of_the_workspace_zone() {
    let (simulator, workspace, client) = with(WorkspaceSpec {
        contacts: 4,
        ..small()
    })
    .await;
    let mut all: Vec<String> = workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == Kind::Contact)
        .map(|line| line.id)
        .collect();
    all.sort();
    // One on the last second of the day before, two on the long day, one on the day after.
    let moments = [-1, 0, 25 * HOUR - 1, 25 * HOUR].map(|offset| LONG_DAY + offset);
    simulator.clock().set_now(LONG_DAY - 1);
    for (id, moment) in all.iter().zip(moments) {
        // Rewinding leaves the seeded, later timestamps: write the moment itself.
        let line = workspace
            .truth()
            .into_iter()
            .find(|line| line.id == *id)
            .expect("a contact");
        let mut object = line.value();
        object["updated_at"] = json!(moment);
        workspace.put_raw(Kind::Contact, id, object.to_string());
    }
    let search = |operator: &'static str, at: i64| {
        let client = client.clone();
        async move {
            ids(
                &client,
                "/contacts/search",
                &filter("updated_at", operator, at),
            )
            .await
        }
    };
    for at in [LONG_DAY, LONG_DAY + 12 * HOUR, LONG_DAY + 24 * HOUR + 1] {
        assert_eq!(search("=", at).await, all[1..3], "= {at}");
        assert_eq!(search(">", at).await, all[3..], "> {at}");
        assert_eq!(search("<", at).await, all[..1], "< {at}");
    }
    // 24 hours before the last second of the long day is still the same day.
    assert_eq!(
        search(">", LONG_DAY + 25 * HOUR - 1 - 86_400).await,
        all[3..]
    );
    // A string is taken as well.
    let text = filter("updated_at", ">", LONG_DAY.to_string());
    assert_eq!(ids(&client, "/contacts/search", &text).await, all[3..]);
    // 2.17 is exact.
    let exact = client.version("2.17");
    let query = filter("updated_at", ">", LONG_DAY);
    assert_eq!(ids(&exact, "/contacts/search", &query).await, all[2..]);
    let query = filter("updated_at", ">=", LONG_DAY);
    assert_eq!(ids(&exact, "/contacts/search", &query).await, all[1..]);
}

#[tokio::test]
async fn operators_that_dates_lack_are_refused() {
    let (_simulator, _, client) = with(small()).await;
    for operator in [">=", "<=", "!=", "IN", "~"] {
        let value = if operator == "IN" {
            json!([1])
        } else {
            json!(1)
        };
        let body = json!({"query": filter("updated_at", operator, value)});
        assert_eq!(
            client.post("/contacts/search", &body).await.status,
            400,
            "{operator}"
        );
    }
}

#[tokio::test]
async fn conversation_search_is_exact_to_the_second() {
    let (simulator, workspace, client) = with(small()).await;
    let changed = workspace.mutate(Mutation::update(Kind::Conversation, 3).seed(5));
    let at = newest(&client).await;
    assert!((simulator.clock().now() - at).abs() < 60);
    let path = "/conversations/search";
    let mut expected = changed.clone();
    expected.sort();
    assert_eq!(
        ids(&client, path, &filter("updated_at", ">", at - 1)).await,
        expected
    );
    assert_eq!(
        ids(&client, path, &filter("updated_at", "=", at)).await,
        expected
    );
    assert!(
        ids(&client, path, &filter("updated_at", ">", at))
            .await
            .is_empty()
    );
    assert_eq!(
        ids(&client, path, &filter("updated_at", ">=", at)).await,
        expected
    );
    // Milliseconds match nothing, whichever way one asks.
    for operator in [">", "<", "="] {
        let query = filter("updated_at", operator, at * 1000);
        assert!(ids(&client, path, &query).await.is_empty());
    }
}

async fn newest(client: &Client) -> i64 {
    let body = json!({
        "query": filter("updated_at", ">", 0),
        "sort": {"field": "updated_at", "order": "descending"},
        "pagination": {"per_page": 1},
    });
    let page = client.post("/conversations/search", &body).await.ok();
    page["conversations"][0]["updated_at"]
        .as_i64()
        .expect("a time")
}

#[tokio::test]
async fn other_fields_filter_by_value() {
    let (_simulator, workspace, client) = with(small()).await;
    let contacts: Vec<Value> = workspace
        .truth()
        .iter()
        .filter(|line| line.kind == Kind::Contact)
        .map(intercom_simulator::TruthLine::value)
        .collect();
    let leads = |object: &&Value| object["role"] == "lead";
    let found = ids(&client, "/contacts/search", &filter("role", "=", "lead")).await;
    assert_eq!(found.len(), contacts.iter().filter(leads).count());
    assert!(!found.is_empty());
    let tag = contacts
        .iter()
        .find_map(|object| object["tags"]["data"][0]["id"].as_str())
        .expect("a tag");
    let tagged = ids(&client, "/contacts/search", &filter("tag_id", "=", tag)).await;
    let holds = |object: &&Value| {
        let tags = object["tags"]["data"].as_array().expect("tags");
        tags.iter().any(|entry| entry["id"] == tag)
    };
    assert_eq!(tagged.len(), contacts.iter().filter(holds).count());
    let either = json!({"operator": "OR", "value": [
        filter("role", "=", "lead"), filter("role", "=", "user")]});
    assert_eq!(ids(&client, "/contacts/search", &either).await.len(), 60);
    let empty = filter("statistics.count_conversation_parts", "=", 0);
    let empty = ids(&client, "/conversations/search", &empty).await;
    assert!(!empty.is_empty());
    for id in empty {
        let full = client.get(&format!("/conversations/{id}")).await.ok();
        assert_eq!(full["conversation_parts"]["total_count"], 0);
    }
}

#[tokio::test]
async fn the_grammar_is_strict() {
    let (_simulator, _, client) = with(small()).await;
    let good = filter("role", "=", "user");
    let group = |children: Vec<Value>| json!({"operator": "AND", "value": children});
    let deep = group(vec![group(vec![group(vec![good.clone()])])]);
    let cases = [
        (json!({}), "parameter_not_found"),
        (json!({"query": deep}), "parameter_invalid"),
        (
            json!({"query": group(vec![good.clone(); 16])}),
            "parameter_invalid",
        ),
        (json!({"query": group(vec![])}), "parameter_invalid"),
        (
            json!({"query": filter("shoe_size", "=", "1")}),
            "invalid_field",
        ),
        (
            json!({"query": filter("company_id", "=", "1")}),
            "invalid_field",
        ),
        (
            json!({"query": filter("updated_at", "=", "foobar")}),
            "type_mismatch",
        ),
        (json!({"query": filter("name", "=", 7)}), "type_mismatch"),
        (
            json!({"query": filter("name", ">", "a")}),
            "parameter_invalid",
        ),
        (
            json!({"query": filter("tag_id", "IN", json!(["1"]))}),
            "parameter_invalid",
        ),
        (
            json!({"query": good, "sort": {"field": "shoe_size"}}),
            "invalid_field",
        ),
        (
            json!({"query": good, "pagination": {"starting_after": "xyz"}}),
            "parameter_invalid",
        ),
        (
            json!({"query": good, "pagination": {"per_page": 0}}),
            "parameter_invalid",
        ),
    ];
    for (body, code) in cases {
        let answer = client.post("/contacts/search", &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    let fits = json!({"query": group(vec![group(vec![good.clone(); 15]); 15])});
    assert_eq!(client.post("/contacts/search", &fits).await.status, 200);
    let broken = client
        .call(
            "POST",
            "/contacts/search",
            Some(("application/json", "{".into())),
        )
        .await
        .expect("an answer");
    assert_eq!(broken.code(), "bad_request");
}

#[tokio::test]
async fn only_whole_words_name_a_sort_order() {
    let (_simulator, _, client) = with(small()).await;
    let body = json!({"query": filter("role", "=", "user"),
        "sort": {"field": "updated_at", "order": "desc"}});
    for path in ["/contacts/search", "/conversations/search"] {
        let mut body = body.clone();
        if path.starts_with("/conversations") {
            body["query"] = filter("state", "=", "open");
        }
        let answer = client.post(path, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_sort_order")
        );
        // Before 2.16 it silently meant the default.
        let times: Vec<i64> = sorted_times(&client.version("2.15"), path, &body).await;
        assert!(times.is_sorted_by(|a, b| a >= b));
    }
}

async fn sorted_times(client: &Client, path: &str, body: &Value) -> Vec<i64> {
    let page = client.post(path, body).await.ok();
    let list = page["data"].as_array().or(page["conversations"].as_array());
    list.expect("a list")
        .iter()
        .map(|object| object["updated_at"].as_i64().expect("a time"))
        .collect()
}

#[tokio::test]
async fn without_sort_conversations_come_in_no_order() {
    let (_simulator, _, client) = with(small()).await;
    let body = json!({"query": filter("updated_at", ">", 0), "pagination": {"per_page": 40}});
    let times = sorted_times(&client, "/conversations/search", &body).await;
    assert_eq!(times.len(), 40);
    assert!(!times.is_sorted() && !times.is_sorted_by(|a, b| a >= b));
    assert_eq!(
        times,
        sorted_times(&client, "/conversations/search", &body).await
    );
}

#[tokio::test]
async fn new_contacts_appear_in_search_late() {
    let (simulator, workspace, client) = with(WorkspaceSpec {
        index_delay_seconds: 120,
        ..small()
    })
    .await;
    let new = workspace.mutate(Mutation::add(Kind::Contact, 1)).remove(0);
    let query = filter("id", "=", new.clone());
    assert!(ids(&client, "/contacts/search", &query).await.is_empty());
    assert_eq!(client.get(&format!("/contacts/{new}")).await.status, 200);
    let list = client.get("/contacts?per_page=150").await.ok();
    assert_eq!(list["total_count"], 61);
    simulator
        .clock()
        .advance(std::time::Duration::from_secs(121));
    assert_eq!(ids(&client, "/contacts/search", &query).await, [new]);
}
