//! The two searches: what they find, how they count, and that their pages show each match once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{ALL, synced_agent};
use crate::{rest::search::index, support::Agent};

/// Items of a list that are on the pages of a search.
async fn all_of(agent: &Agent, tool: &str, list: &str, arguments: Value) -> Vec<Value> {
    let mut items = Vec::new();
    let mut arguments = arguments;
    loop {
        let page = agent.answer(tool, arguments).await.structured;
        let shown = page[list].as_array().unwrap();
        items.extend(shown.iter().cloned());
        let left = page["left"].as_u64().unwrap();
        assert_eq!(
            page["found"]["total"].as_u64().unwrap(),
            left + items.len() as u64
        );
        let Some(next) = page.get("next") else {
            assert_eq!(left, 0);
            return items;
        };
        assert_eq!(next["tool"], tool);
        arguments = next["arguments"].clone();
    }
}

fn ids(items: &[Value], id: impl Fn(&Value) -> &Value) -> BTreeSet<String> {
    let ids = items
        .iter()
        .map(|item| id(item).as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_companies_are_found_by_their_words() {
    let (_world, case, caller, agent) = synced_agent().await;
    let person = json!({
        "source_id": "1", "source_updated_at": "2026-11-01T12:00:00Z",
        "fields": {"name": "Quentin Quill ![x](https://evil.example/x)", "email": "quill@acme.example"},
    });
    caller.send("crm", "contact", &[person]).await;
    index(&case).await;
    let found = agent
        .answer("search_profiles", json!({"query": "quentin quill"}))
        .await;
    let profile = &found.structured["profiles"][0];
    assert_eq!(profile["type"], "contact", "{}", found.structured);
    let name = profile["untrusted_name"].as_str().unwrap();
    assert!(
        name.contains("Quentin Quill") && !name.contains("](https://"),
        "{name}"
    );
    let read = agent
        .answer("get_contact", json!({"contact_id": profile["contact_id"]}))
        .await;
    assert_eq!(read.structured["contact_id"], profile["contact_id"]);

    for (kind, id, list) in [
        ("contact", "contact_id", "/v1/contacts"),
        ("company", "company_id", "/v1/companies"),
    ] {
        let all = all_of(&agent, "search_profiles", "profiles", json!({"type": kind})).await;
        let listed = caller.all(list).await;
        assert_eq!(all.len(), listed.len(), "each once");
        assert_eq!(ids(&all, |one| &one[id]), ids(&listed, |one| &one["id"]));
    }
    let nothing = agent
        .answer("search_profiles", json!({"query": "nobodyhasthisword"}))
        .await;
    assert_eq!(nothing.structured["found"]["total"], 0);
    assert_eq!(nothing.structured["found"]["total_is_exact"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_and_counted() {
    let (_world, case, caller, agent) = synced_agent().await;
    index(&case).await;
    let listed = caller.all("/v1/conversations").await;
    let tool = "search_conversations";
    let all = all_of(&agent, tool, "conversations", json!({})).await;
    let id = |one: &Value| -> String {
        one["conversation"]["conversation_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(all.len(), listed.len());
    assert_eq!(
        all.iter().map(id).collect::<BTreeSet<_>>(),
        ids(&listed, |one| &one["id"])
    );

    // Counts are those of the list, whatever the page shows.
    for (by, value) in [
        (
            "state",
            (|one: &Value| vec![one["state"].clone()]) as fn(&Value) -> Vec<Value>,
        ),
        ("tag", |one| one["tags"].as_array().unwrap().clone()),
        ("owner", |one| vec![one["assignee"]["name"].clone()]),
    ] {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        let mut without = 0;
        for one in &listed {
            let values: BTreeSet<String> = value(one)
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            without += u64::from(values.is_empty());
            for value in values {
                *expected.entry(value).or_default() += 1;
            }
        }
        let arguments = json!({"count_by": by, "detail": "detailed"});
        let counts = agent.answer(tool, arguments).await.structured["counts"].clone();
        let groups = counts["groups"].as_array().unwrap().iter();
        let counted: BTreeMap<String, u64> = groups
            .map(|group| {
                let value = group["value"].as_str().unwrap().to_owned();
                (value, group["conversations"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(counted, expected, "{by}");
        assert_eq!(counts["without"], without, "{by}");
    }
    let weeks = agent
        .answer(tool, json!({"count_by": "week", "detail": "detailed"}))
        .await;
    let groups = weeks.structured["counts"]["groups"].as_array().unwrap();
    let names: Vec<&str> = groups
        .iter()
        .map(|group| group["value"].as_str().unwrap())
        .collect();
    assert!(names.is_sorted_by(|a, b| a > b), "{names:?}");
    let sum: u64 = groups
        .iter()
        .map(|group| group["conversations"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, listed.len() as u64);
    let companies = agent
        .answer(tool, json!({"count_by": "company", "detail": "detailed"}))
        .await;
    for group in companies.structured["counts"]["groups"].as_array().unwrap() {
        let name = &group["untrusted_company"];
        let path = format!("/v1/companies/{}", group["company_id"].as_str().unwrap());
        assert_eq!(
            name.is_string(),
            caller.get(&path).await["name"].is_string()
        );
    }

    // Filters, and a word of a message with its snippet.
    let open = all_of(&agent, tool, "conversations", json!({"state": "open"})).await;
    let expected = caller.all_with("/v1/conversations", "&state=open").await;
    assert_eq!(
        open.iter().map(id).collect::<BTreeSet<_>>(),
        ids(&expected, |one| &one["id"])
    );
    let contact = &listed[0]["contact_ids"][0];
    let own = all_of(
        &agent,
        tool,
        "conversations",
        json!({"contact_id": contact}),
    )
    .await;
    let query = format!("&contact_id={}", contact.as_str().unwrap());
    let expected = caller.all_with("/v1/conversations", &query).await;
    assert_eq!(
        own.iter().map(id).collect::<BTreeSet<_>>(),
        ids(&expected, |one| &one["id"])
    );
    let number = listed[0]["source_id"].as_str().unwrap();
    let named = agent
        .answer(tool, json!({"query": number}))
        .await
        .structured;
    assert_eq!(named["conversations"][0]["conversation"]["number"], number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_what_is_wrong_with_its_arguments() {
    let (_world, case, caller, agent) = synced_agent().await;
    index(&case).await;
    for (tool, arguments, named) in [
        (
            "search_profiles",
            json!({"query": "x".repeat(1_001)}),
            "`query`",
        ),
        ("search_profiles", json!({"type": "conversation"}), "`type`"),
        (
            "search_profiles",
            json!({"company_id": "acme"}),
            "`company_id`",
        ),
        ("search_profiles", json!({"tag": "x".repeat(201)}), "`tag`"),
        ("search_profiles", json!({"name": "x"}), "`name`"),
        (
            "search_conversations",
            json!({"contact_id": "x"}),
            "`contact_id`",
        ),
        (
            "search_conversations",
            json!({"active_since": "yesterday"}),
            "`active_since`",
        ),
        (
            "search_conversations",
            json!({"count_by": "colour"}),
            "`count_by`",
        ),
        (
            "search_conversations",
            json!({"cursor": "made-up"}),
            "cursor",
        ),
    ] {
        let refused = agent.refusal(tool, arguments.clone()).await;
        assert!(refused.contains(named), "{tool} {arguments}: {refused}");
    }
    // A cursor goes on with the search that it was made for.
    let page = agent
        .answer("search_profiles", json!({"type": "contact"}))
        .await;
    let cursor = &page.structured["next"]["arguments"]["cursor"];
    assert!(cursor.is_string(), "{}", page.structured);
    let other = json!({"type": "company", "cursor": cursor});
    assert!(
        agent
            .refusal("search_profiles", other)
            .await
            .contains("cursor")
    );

    let reader = Agent::new(&caller, &ALL[..1]).await;
    let refused = reader.refusal("search_conversations", json!({})).await;
    assert!(refused.contains("conversations:read"), "{refused}");
    let found = reader.answer("search_profiles", json!({})).await;
    assert!(found.structured["found"]["total"].as_u64().unwrap() > 0);
}
