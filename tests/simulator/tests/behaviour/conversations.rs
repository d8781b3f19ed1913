//! The 500-part cap, redaction, deletion, plan, version forms.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use crate::{small, with};

#[tokio::test]
async fn only_the_newest_500_parts_are_shown() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        conversations_over_500: 1,
        ..small()
    })
    .await;
    let truth = workspace.truth();
    let hidden: Vec<_> = truth.iter().filter(|line| line.hidden).collect();
    let id = hidden
        .first()
        .and_then(|line| line.parent.clone())
        .expect("a long thread");
    let all: Vec<&str> = truth
        .iter()
        .filter(|line| line.kind == Kind::Part && line.parent.as_ref() == Some(&id))
        .map(|line| line.id.as_str())
        .collect();
    let thread = client.get(&format!("/conversations/{id}")).await.ok();
    let parts = thread["conversation_parts"]["conversation_parts"]
        .as_array()
        .expect("parts");
    let shown: Vec<&str> = parts
        .iter()
        .filter_map(|part| part["id"].as_str())
        .collect();
    assert_eq!(shown, all[all.len() - 500..]);
    assert_eq!(hidden.len(), all.len() - 500);
    assert_eq!(
        thread["conversation_parts"]["total_count"],
        json!(all.len())
    );
    if !thread["statistics"].is_null() {
        assert_eq!(
            thread["statistics"]["count_conversation_parts"],
            json!(all.len())
        );
    }
    // Growth pushes the oldest shown parts out.
    workspace.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .ids([id.clone()])
            .parts(3),
    );
    let thread = client.get(&format!("/conversations/{id}")).await.ok();
    let parts = thread["conversation_parts"]["conversation_parts"]
        .as_array()
        .expect("parts");
    assert_eq!(parts.len(), 500);
    assert_eq!(parts[0]["id"], all[all.len() - 497]);
}

#[tokio::test]
async fn a_fifth_has_no_parts_and_the_mean_is_as_asked() {
    let (_simulator, workspace, _) = with(WorkspaceSpec {
        conversations: 3000,
        parts: 8.0,
        ..small()
    })
    .await;
    let truth = workspace.truth();
    let parts = truth.iter().filter(|line| line.kind == Kind::Part).count();
    let mean = parts as f64 / 3000.0;
    assert!((6.8..9.2).contains(&mean), "{mean}");
    let with_parts: std::collections::HashSet<_> = truth
        .iter()
        .filter(|l| l.kind == Kind::Part)
        .filter_map(|l| l.parent.as_ref())
        .collect();
    let share = 1.0 - with_parts.len() as f64 / 3000.0;
    assert!((0.17..0.23).contains(&share), "{share}");
}

#[tokio::test]
async fn lists_carry_everything_but_the_parts() {
    let (_simulator, _, client) = with(small()).await;
    let list = client.get("/conversations?per_page=150").await.ok();
    for stub in list["conversations"].as_array().expect("a list") {
        let id = stub["id"].as_str().expect("an id");
        let mut full = client.get(&format!("/conversations/{id}")).await.ok();
        let parts = full
            .as_object_mut()
            .and_then(|map| map.remove("conversation_parts"))
            .expect("parts");
        assert_eq!(full, *stub);
        let count = &stub["statistics"]["count_conversation_parts"];
        assert!(count.is_null() || *count == parts["total_count"]);
    }
}

#[tokio::test]
async fn a_redacted_part_keeps_its_id_and_loses_its_text() {
    let (simulator, workspace, client) = with(small()).await;
    for id in workspace.mutate(Mutation::redact(40)) {
        let thread = client.get(&format!("/conversations/{id}")).await.ok();
        assert!((simulator.clock().now() - thread["updated_at"].as_i64().expect("a time")) < 60);
        let parts = thread["conversation_parts"]["conversation_parts"]
            .as_array()
            .expect("parts");
        let redacted: Vec<&Value> = parts
            .iter()
            .filter(|part| part["redacted"] == true)
            .collect();
        let gone = if parts.is_empty() {
            &thread["source"]
        } else {
            redacted[0]
        };
        assert_eq!(gone["body"], "<p><i>This message was deleted</i></p>");
    }
}

#[tokio::test]
async fn deleted_conversations_are_listed_from_2_16_on() {
    let (_simulator, workspace, client) = with(small()).await;
    let gone = workspace.mutate(Mutation::delete(Kind::Conversation, 5));
    assert_eq!(gone.len(), 5);
    for id in &gone {
        let answer = client.get(&format!("/conversations/{id}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    }
    let page = client
        .get("/conversations/deleted?per_page=3&order=asc")
        .await
        .ok();
    assert_eq!(page["type"], "conversations.list");
    assert_eq!(page["total_count"], 5);
    let next = page["pages"]["next"].as_str().expect("a URL string");
    let path = next.split_once("/conversations").expect("a path").1;
    let rest = client.get(&format!("/conversations{path}")).await.ok();
    assert_eq!(rest["conversations"].as_array().map(Vec::len), Some(2));
    assert!(rest["pages"]["next"].is_null());
    let early = client.version("2.15").get("/conversations/deleted").await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (400, "intercom_version_invalid")
    );
}

#[tokio::test]
async fn without_a_plan_conversations_are_refused_and_nothing_else() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        conversations_plan: false,
        ..small()
    })
    .await;
    let search = json!({"query": {"field": "updated_at", "operator": ">", "value": 0}});
    let refused = [
        client.get("/conversations").await,
        client.get("/conversations/100").await,
        client.get("/conversations/deleted").await,
        client.post("/conversations/search", &search).await,
    ];
    for answer in refused {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "api_plan_restricted")
        );
    }
    assert_eq!(client.get("/contacts").await.status, 200);
    workspace.set_plan(true);
    assert_eq!(client.get("/conversations").await.status, 200);
}

#[tokio::test]
async fn both_sides_of_2_16_look_as_documented() {
    let (_simulator, _, client) = with(small()).await;
    let page = "/conversations?per_page=150";
    let new = client.get(page).await.ok();
    let old = client.version("2.15").get(page).await.ok();
    let of = |page: &Value, key: &str| -> Vec<Value> {
        let list = page["conversations"].as_array().expect("a list");
        list.iter().map(|c| c[key].clone()).collect()
    };
    for (now, before) in of(&new, "admin_assignee_id")
        .iter()
        .zip(of(&old, "admin_assignee_id"))
    {
        let unassigned = *now == json!(0);
        assert_eq!(before.is_null(), unassigned);
    }
    assert!(of(&new, "admin_assignee_id").contains(&json!(0)));
    let priorities = of(&old, "priority");
    assert!(
        priorities
            .iter()
            .all(|p| p == "priority" || p == "not_priority")
    );
    assert!(of(&new, "priority").contains(&json!("none")));
    assert!(of(&old, "channel").iter().all(Value::is_null));
    assert!(of(&old, "company").iter().any(Value::is_object));
    let older = client.version("2.14").get(page).await.ok();
    assert!(of(&older, "company").iter().all(Value::is_null));
}

#[tokio::test]
async fn outside_the_us_ids_have_15_digits() {
    for (region, digits) in [("US", 2..=4), ("EU", 15..=15), ("AU", 15..=15)] {
        let (_simulator, _, client) = with(WorkspaceSpec {
            region: region.to_owned(),
            ..small()
        })
        .await;
        let page = client.get("/conversations?per_page=150").await.ok();
        for conversation in page["conversations"].as_array().expect("a list") {
            let id = conversation["id"].as_str().expect("text");
            assert!(digits.contains(&id.len()), "{region} {id}");
        }
    }
}

#[tokio::test]
async fn plaintext_strips_html_and_keeps_links() {
    let (_simulator, workspace, client) = with(small()).await;
    let line = workspace
        .truth()
        .into_iter()
        .find(|line| line.kind == Kind::Part && !line.value()["body"].is_null())
        .expect("a part with a body");
    let mut part = line.value();
    part["body"] = json!("<p>a &lt; b, see <a href=\"https://x.example/\">the page</a></p>");
    assert!(workspace.put_raw(Kind::Part, &line.id, part.to_string()));
    let id = line.parent.expect("a conversation");
    let thread = client
        .get(&format!("/conversations/{id}?display_as=plaintext"))
        .await
        .ok();
    let parts = thread["conversation_parts"]["conversation_parts"]
        .as_array()
        .expect("parts");
    let body = parts
        .iter()
        .find(|part| part["id"] == line.id)
        .expect("the part")["body"]
        .clone();
    assert_eq!(body, "a < b, see the page (https://x.example/)");
}
