//! REST: keys, tenants, pages, repeats, errors; and what is read back.

use std::collections::BTreeSet;

use intercom_simulator::WorkspaceSpec;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Caller, Case, World};

async fn synced() -> (World, Case, Caller) {
    let world = World::new().await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 30,
            companies: 12,
            conversations: 20,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    (world, case, caller)
}

fn ids(items: &[Value], field: &str) -> BTreeSet<String> {
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_held_is_read_back() {
    let (_world, case, caller) = synced().await;
    let status = caller
        .get(&format!("/v1/connections/{}/sync", case.connection()))
        .await;
    let rate = &status["rate"];
    assert_eq!(
        (&rate["limit"], &rate["window_seconds"], &rate["share"]),
        (&json!(100_000), &json!(10), &json!(0.8))
    );
    let left = rate["calls_left"].as_u64().unwrap();
    assert!(
        left > 0 && left <= 80_000 && rate["resets_at"].is_string(),
        "{rate}"
    );
    assert!(status["eta_seconds"].is_null(), "nothing is left to fetch");
    let truth = case.workspace.truth();
    let live = |kind: &str| -> BTreeSet<String> {
        truth
            .iter()
            .filter(|line| {
                serde_json::to_value(line).unwrap()["kind"] == kind
                    && !line.deleted
                    && line.merged_into.is_none()
                    && !line.hidden
            })
            .map(|line| line.id.clone())
            .collect()
    };
    let contacts = caller.all("/v1/contacts").await;
    assert_eq!(
        contacts
            .iter()
            .map(|contact| contact["sources"][0]["source_id"]
                .as_str()
                .unwrap()
                .to_owned())
            .collect::<BTreeSet<_>>(),
        live("contact")
    );
    let companies = caller.all("/v1/companies").await;
    assert_eq!(
        companies
            .iter()
            .map(|company| company["sources"][0]["source_id"]
                .as_str()
                .unwrap()
                .to_owned())
            .collect::<BTreeSet<_>>(),
        live("company")
    );
    let conversations = caller.all("/v1/conversations").await;
    assert_eq!(ids(&conversations, "source_id"), live("conversation"));

    let mut parts = BTreeSet::new();
    for conversation in &conversations {
        let thread = caller
            .all(&format!(
                "/v1/conversations/{}/parts",
                conversation["id"].as_str().unwrap()
            ))
            .await;
        let times: Vec<&str> = thread
            .iter()
            .map(|part| part["source_created_at"].as_str().unwrap())
            .collect();
        assert!(times.is_sorted(), "oldest first");
        let held = thread
            .iter()
            .filter(|part| part["kind"] != "source")
            .count() as u64;
        assert_eq!(conversation["thread"]["held"].as_u64(), Some(held));
        assert_eq!(conversation["thread"]["status"], "complete");
        parts.extend(
            thread
                .iter()
                .filter(|part| part["kind"] != "source")
                .map(|part| part["source_id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(parts, live("part"));

    // One of each by id, and a contact's conversations.
    for (list, items) in [
        ("contacts", &contacts),
        ("companies", &companies),
        ("conversations", &conversations),
    ] {
        let id = items[0]["id"].as_str().unwrap();
        assert_eq!(caller.get(&format!("/v1/{list}/{id}")).await["id"], id);
    }
    let spoken = conversations
        .iter()
        .find(|conversation| !conversation["contact_ids"].as_array().unwrap().is_empty())
        .unwrap();
    let contact = spoken["contact_ids"][0].as_str().unwrap();
    let of_contact = caller
        .get(&format!("/v1/contacts/{contact}/conversations"))
        .await;
    assert!(
        of_contact["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|conversation| conversation["id"] == spoken["id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_gets_401_and_a_missing_scope_403() {
    let (_world, _, caller) = synced().await;
    for key in [
        "",
        "wrong",
        "pb_00000000000000000000000000000000_0000000000000000000000000000000000000000000",
    ] {
        let (status, body) = caller
            .with_key(key)
            .call(Method::GET, "/v1/contacts", None)
            .await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{key:?}: {body}");
    }
    let (status, made) = caller
        .call(
            Method::POST,
            "/v1/api_keys",
            Some(json!({"name": "reader", "scopes": ["profiles:read"]})),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let reader = caller.with_key(made["key"].as_str().unwrap());
    assert_eq!(
        reader.get("/v1/contacts?limit=1").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let (status, body) = reader.call(Method::GET, "/v1/conversations", None).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("missing_scope"))
    );

    let revoke = format!("/v1/api_keys/{}", made["id"].as_str().unwrap());
    assert!(
        caller
            .call(Method::DELETE, &revoke, None)
            .await
            .0
            .is_success()
    );
    assert_eq!(
        reader.call(Method::GET, "/v1/contacts", None).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_looks_like_an_unknown_one() {
    let (world, case, caller) = synced().await;
    let stranger = world.new_tenant().await;
    let stranger = caller.acting_for(stranger);
    let contact = caller.get("/v1/contacts?limit=1").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let company = caller.get("/v1/companies?limit=1").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let conversation = caller.get("/v1/conversations?limit=1").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let connection = case.connection().to_string();
    for template in [
        format!("/v1/contacts/{contact}"),
        format!("/v1/contacts/{contact}/conversations"),
        format!("/v1/companies/{company}"),
        format!("/v1/conversations/{conversation}"),
        format!("/v1/conversations/{conversation}/parts"),
        format!("/v1/connections/{connection}"),
        format!("/v1/connections/{connection}/sync"),
        format!("/v1/connections/{connection}/syncs"),
    ] {
        let unknown = template.replace(
            [&contact, &company, &conversation, &connection]
                .into_iter()
                .find(|id| template.contains(id.as_str()))
                .unwrap()
                .as_str(),
            &uuid::Uuid::now_v7().to_string(),
        );
        let (foreign_status, mut foreign) = stranger.call(Method::GET, &template, None).await;
        let (unknown_status, mut unknown) = stranger.call(Method::GET, &unknown, None).await;
        for body in [&mut foreign, &mut unknown] {
            body["instance"] = Value::Null;
        }
        assert_eq!(
            (foreign_status, &foreign),
            (StatusCode::NOT_FOUND, &unknown),
            "{template}"
        );
        assert_eq!(unknown_status, StatusCode::NOT_FOUND);
    }
    for list in ["contacts", "companies", "conversations", "connections"] {
        assert_eq!(
            stranger.get(&format!("/v1/{list}")).await["items"],
            json!([]),
            "{list}"
        );
    }
    // A cursor of one tenant is worth nothing to another, nor with another filter, nor changed.
    let cursor = caller.get("/v1/contacts?limit=1").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    for (who, path) in [
        (&stranger, format!("/v1/contacts?cursor={cursor}")),
        (&caller, format!("/v1/companies?cursor={cursor}")),
        (
            &caller,
            format!("/v1/contacts?cursor={}", &cursor[..cursor.len() - 2]),
        ),
    ] {
        let (status, body) = who.call(Method::GET, &path, None).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid_cursor")),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_post_is_answered_and_not_repeated() {
    let world = World::new().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, None);
    let post = |key: &'static str, name: &'static str| {
        let caller = &caller;
        async move {
            caller
                .call_with(
                    Method::POST,
                    "/v1/tenants",
                    Some(json!({"name": name})),
                    &[("Idempotency-Key", key)],
                )
                .await
        }
    };
    let (status, first) = post("k1", "Acme").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        post("k1", "Acme").await,
        (StatusCode::CREATED, first.clone())
    );
    let (status, body) = post("k1", "Zeta").await;
    assert_eq!(
        (status, body["code"].as_str()),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("idempotency_key_reused")
        )
    );
    assert_ne!(post("k2", "Acme").await.1["id"], first["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resync_is_asked_for_once_and_can_be_followed() {
    let (_world, case, caller) = synced().await;
    let path = format!("/v1/connections/{}/syncs", case.connection());
    let (status, run) = caller
        .call(Method::POST, &path, Some(json!({"mode": "incremental"})))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    let (status, again) = caller
        .call(Method::POST, &path, Some(json!({"mode": "incremental"})))
        .await;
    assert_eq!((status, &again["id"]), (StatusCode::CONFLICT, &run["id"]));
    let history = caller.get(&path).await;
    assert_eq!(
        history["items"].as_array().unwrap().len(),
        2,
        "the first sync and this one"
    );
    assert_eq!(
        caller
            .get(&format!("{path}/{}", run["id"].as_str().unwrap()))
            .await["mode"],
        "incremental"
    );
    let (status, body) = caller
        .call(Method::POST, &path, Some(json!({"mode": "everything"})))
        .await;
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::BAD_REQUEST, Some("invalid_request"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_one_form() {
    let world = World::new().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, None);
    for (method, path, body, status) in [
        (Method::GET, "/nowhere", None, 404),
        (Method::PUT, "/v1/tenants", None, 405),
        (Method::POST, "/v1/tenants", Some(json!({"nome": "x"})), 400),
        (
            Method::POST,
            "/v1/tenants",
            Some(json!({"name": "x".repeat(300_000)})),
            413,
        ),
        (Method::GET, "/v1/contacts", None, 400),
    ] {
        let (found, body) = caller.call(method.clone(), path, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {body}");
    }
}
