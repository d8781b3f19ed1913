//! The truth is what the API serves, before and after changes. Equal seeds are equal.

use std::collections::{BTreeMap, BTreeSet};

use intercom_simulator::{Kind, Mutation, Options, Simulator, TruthLine, Workspace, WorkspaceSpec};
use serde_json::Value;

use crate::client::Client;
use crate::{small, with};

/// Reads everything that the API shows and compares it with the truth.
async fn compare(workspace: &Workspace, client: &Client) {
    let mut live: BTreeMap<(Kind, String), TruthLine> = BTreeMap::new();
    for line in workspace.truth() {
        assert!(
            live.insert((line.kind, line.id.clone()), line).is_none(),
            "ids are unique"
        );
    }
    let dead: Vec<TruthLine> = live.values().filter(|line| line.deleted).cloned().collect();
    live.retain(|_, line| !line.deleted && !line.hidden);
    let mut served = BTreeMap::new();
    contacts(client, &mut served).await;
    let scroll = client.get("/companies/scroll").await.ok();
    take(&scroll["data"], Kind::Company, &mut served);
    let page = client.get("/conversations?per_page=150").await.ok();
    take(&page["conversations"], Kind::Conversation, &mut served);
    for stub in page["conversations"].as_array().expect("a list") {
        let id = stub["id"].as_str().expect("an id");
        let thread = client.get(&format!("/conversations/{id}")).await.ok();
        take(
            &thread["conversation_parts"]["conversation_parts"],
            Kind::Part,
            &mut served,
        );
    }
    take(
        &client.get("/admins").await.ok()["admins"],
        Kind::Admin,
        &mut served,
    );
    take(
        &client.get("/teams").await.ok()["teams"],
        Kind::Team,
        &mut served,
    );
    take(
        &client.get("/tags").await.ok()["data"],
        Kind::Tag,
        &mut served,
    );
    take(
        &client.get("/segments").await.ok()["segments"],
        Kind::Segment,
        &mut served,
    );
    let told: BTreeSet<_> = live.keys().cloned().collect();
    let shown: BTreeSet<_> = served.keys().cloned().collect();
    assert_eq!(told, shown);
    for (key, line) in &live {
        assert_eq!(line.value(), served[key], "{key:?}");
    }
    for line in dead {
        let path = match line.kind {
            Kind::Contact => "contacts",
            Kind::Company => "companies",
            Kind::Conversation => "conversations",
            Kind::Admin => "admins",
            _ => continue,
        };
        let status = client.get(&format!("/{path}/{}", line.id)).await.status;
        let expected = if line.merged_into.is_some() { 410 } else { 404 };
        assert_eq!(status, expected, "{path} {}", line.id);
    }
}

type Served = BTreeMap<(Kind, String), Value>;

fn take(list: &Value, kind: Kind, served: &mut Served) {
    for object in list.as_array().expect("a list") {
        let id = object["id"].as_str().expect("an id").to_owned();
        served.insert((kind, id), object.clone());
    }
}

/// Contacts with their full lists, and the links that these give.
async fn contacts(client: &Client, served: &mut Served) {
    let page = client.get("/contacts?per_page=150").await.ok();
    for contact in page["data"].as_array().expect("a list") {
        let id = contact["id"].as_str().expect("an id");
        let mut full = contact.clone();
        for key in ["companies", "tags", "notes"] {
            let rest = client
                .get(&format!("/contacts/{id}/{key}?per_page=60"))
                .await
                .ok();
            let mut entries = Vec::new();
            for object in rest["data"].as_array().expect("a list") {
                let other = object["id"].as_str().expect("an id");
                let kind = object["type"].clone();
                entries.push(serde_json::json!(
                    {"type": kind, "id": other, "url": format!("/{key}/{other}")}));
                if key == "companies" {
                    served.insert((Kind::Link, format!("{id}:{other}")), Value::Null);
                }
            }
            if key == "notes" {
                entries.reverse();
            }
            full[key]["data"] = Value::Array(entries);
            full[key]["has_more"] = Value::Bool(false);
        }
        served.insert((Kind::Contact, id.to_owned()), full);
    }
}

#[tokio::test]
async fn the_truth_is_what_the_api_serves() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        merged_contacts: 3,
        deleted_contacts: 3,
        archived_contacts: 2,
        deleted_conversations: 4,
        conversations_over_500: 1,
        contacts_over_10_companies: 0.1,
        contacts_over_10_tags: 0.1,
        ..small()
    })
    .await;
    compare(&workspace, &client).await;
    workspace.release_scroll();
    for kind in [Kind::Contact, Kind::Company, Kind::Conversation] {
        for mutation in [
            Mutation::update(kind, 7),
            Mutation::add(kind, 3),
            Mutation::grow(kind, 5).parts(2),
            Mutation::delete(kind, 2),
        ] {
            let wanted = mutation.count as usize;
            assert_eq!(workspace.mutate(mutation.seed(11)).len(), wanted);
        }
    }
    workspace.mutate(Mutation::merge(3));
    workspace.mutate(Mutation::redact(3));
    workspace.mutate(Mutation::archive(2));
    compare(&workspace, &client).await;
}

#[tokio::test]
async fn equal_recipes_give_equal_workspaces_and_other_seeds_others() {
    let make = |seed: u64| async move {
        let simulator = Simulator::start(Options::default())
            .await
            .expect("a simulator");
        simulator.clock().stop_at(1_790_000_000);
        let workspace = simulator.add_workspace(WorkspaceSpec {
            seed,
            id_code: Some("same".to_owned()),
            ..small()
        });
        let mut lines = Vec::new();
        workspace.write_truth(&mut lines).expect("lines");
        String::from_utf8(lines).expect("text")
    };
    let one = make(7).await;
    assert_eq!(one, make(7).await);
    assert_ne!(one, make(8).await);
}

#[tokio::test]
async fn everything_lies_an_hour_back_and_within_the_history() {
    let (simulator, workspace, _) = with(WorkspaceSpec {
        merged_contacts: 5,
        ..small()
    })
    .await;
    let now = simulator.clock().now();
    let mut runs: BTreeMap<i64, usize> = BTreeMap::new();
    for line in workspace.truth() {
        let Some(at) = line.updated_at else { continue };
        assert!(at <= now - 3600 && at >= now - 1096 * 86_400, "{line:?}");
        if line.kind == Kind::Contact {
            *runs.entry(at).or_default() += 1;
        }
    }
    assert!(
        runs.values().any(|count| *count > 1),
        "a run of equal updated_at"
    );
}

#[tokio::test]
async fn changes_spread_back_from_now_and_never_rewind() {
    let (simulator, workspace, _) = with(small()).await;
    let begun = simulator.clock().now();
    let first: BTreeSet<String> = workspace
        .mutate(Mutation::update(Kind::Contact, 30).spread(600))
        .into_iter()
        .collect();
    let now = simulator.clock().now();
    let times: BTreeSet<i64> = workspace
        .truth()
        .iter()
        .filter(|line| first.contains(&line.id))
        .filter_map(|line| line.updated_at)
        .collect();
    assert!(times.len() > 10);
    assert!(times.iter().all(|at| (begun - 600..=now).contains(at)));
}

/// Each field that profiles and threads show is set in some objects and missing in others, so that readers meet both.
#[tokio::test]
async fn what_objects_may_show_some_of_them_show() {
    let (_simulator, workspace, _client) = with(WorkspaceSpec {
        contacts: 200,
        companies: 100,
        conversations: 200,
        ..WorkspaceSpec::default()
    })
    .await;
    let truth = workspace.truth();
    let of = |kind: Kind| -> Vec<Value> {
        let lines = truth.iter().filter(|line| line.kind == kind);
        lines.map(TruthLine::value).collect()
    };
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    for (kind, pointers) in [
        (
            Kind::Contact,
            &[
                "/browser",
                "/os",
                "/android_device",
                "/ios_device",
                "/unsubscribed_from_emails",
                "/unsubscribed_from_sms",
                "/marked_email_as_spam",
                "/has_hard_bounced",
                "/signed_up_at",
                "/tags/data",
            ][..],
        ),
        (
            Kind::Company,
            &[
                "/website",
                "/last_request_at",
                "/tags/tags",
                "/segments/segments",
                "/plan",
            ],
        ),
        (
            Kind::Conversation,
            &[
                "/custom_attributes",
                "/conversation_rating",
                "/sla_applied",
                "/statistics",
                "/company",
                "/ai_agent_participated",
                "/source/attachments",
            ],
        ),
        (Kind::Part, &["/attachments"]),
    ] {
        let objects = of(kind);
        for pointer in pointers {
            let set = objects
                .iter()
                .filter(|object| object.pointer(pointer).is_some_and(is_set));
            let set = set.count();
            assert!(
                0 < set && set < objects.len(),
                "{set} of {} have {pointer}",
                objects.len()
            );
        }
    }
}
