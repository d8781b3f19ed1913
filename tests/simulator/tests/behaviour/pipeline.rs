//! Tokens, rate windows, media types, versions, scopes and the ledger.

use std::time::Duration;

use intercom_simulator::{MissingScope, Options, Scope, Simulator, TokenState, WorkspaceSpec};
use serde_json::json;

use crate::client::Client;
use crate::{small, with};

#[tokio::test]
async fn windows_last_ten_seconds_of_the_clock() {
    let (simulator, workspace, client) = with(WorkspaceSpec {
        retry_after: true,
        ..small()
    })
    .await;
    workspace.set_limit(3);
    let clock = simulator.clock();
    clock.stop_at(1_800_000_000);
    for remaining in ["2", "1", "0"] {
        let answer = client.get("/me").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.header("x-ratelimit-reset"), Some("1800000010"));
    }
    let over = client.get("/me").await;
    assert_eq!(
        (over.status, over.code().as_str()),
        (429, "rate_limit_exceeded")
    );
    assert_eq!(
        over.json()["errors"][0]["message"],
        "Exceeded rate limit of 3 in 10_seconds"
    );
    assert_eq!(over.header("x-ratelimit-remaining"), Some("0"));
    let wait: i64 = over
        .header("retry-after")
        .and_then(|s| s.parse().ok())
        .expect("seconds");
    assert!((1..=10).contains(&wait));
    assert_eq!(simulator.ledger().throttled, 1);
    clock.advance(Duration::from_secs(10));
    let next = client.get("/me").await;
    assert_eq!(
        (next.status, next.header("x-ratelimit-remaining")),
        (200, Some("2"))
    );
    let date = next.header("date").expect("a date");
    assert!(date.starts_with("Fri, 15 Jan 2027 08:00:10"), "{date}");
}

#[tokio::test]
async fn one_bucket_can_be_shared_by_all_workspaces() {
    let simulator = Simulator::start(Options {
        app_limit_per_window: Some(4),
        ..Options::default()
    })
    .await
    .expect("a simulator");
    simulator.clock().stop_at(1_800_000_000);
    let clients: Vec<Client> = [1, 2]
        .map(|seed| simulator.add_workspace(WorkspaceSpec { seed, ..small() }))
        .iter()
        .map(|workspace| Client::new(&simulator, workspace))
        .collect();
    for n in 0..4 {
        assert_eq!(clients[n % 2].get("/me").await.status, 200);
    }
    assert_eq!(clients[0].get("/me").await.status, 429);
    assert_eq!(clients[1].get("/me").await.status, 429);
    simulator.set_app_limit(None);
    assert_eq!(clients[1].get("/me").await.status, 200);
}

#[tokio::test]
async fn dead_tokens_say_why_and_show_no_rate() {
    let (simulator, workspace, client) = with(small()).await;
    for (state, code) in [
        (TokenState::Revoked, "token_revoked"),
        (TokenState::Expired, "token_expired"),
        (TokenState::Suspended, "token_suspended"),
        (TokenState::Blocked, "token_blocked"),
        (TokenState::NotFound, "token_not_found"),
    ] {
        workspace.set_token_state(state);
        let answer = client.get("/me").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code));
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    let fresh = Client::with_token(&simulator, &workspace.issue_token());
    assert_eq!(fresh.get("/me").await.status, 200);
    workspace.restore_tokens();
    assert_eq!(client.get("/me").await.status, 200);
    workspace.revoke_tokens();
    assert_eq!(fresh.get("/me").await.status, 401);
    assert_eq!(
        client.header("authorization", "").get("/me").await.code(),
        "missing_authorization"
    );
    assert_eq!(
        Client::with_token(&simulator, "guess")
            .get("/me")
            .await
            .code(),
        "unauthorized"
    );
}

#[tokio::test]
async fn media_types_are_checked() {
    let (_simulator, _, client) = with(small()).await;
    assert_eq!(
        client.header("accept", "text/html").get("/me").await.status,
        406
    );
    assert_eq!(client.header("accept", "").get("/me").await.status, 406);
    assert_eq!(
        client
            .header("accept", "text/html, */*;q=0.1")
            .get("/me")
            .await
            .status,
        200
    );
    let form = Some(("application/x-www-form-urlencoded", "query=1".to_owned()));
    let answer = client
        .call("POST", "/contacts/search", form)
        .await
        .expect("an answer");
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn versions_are_checked_and_a_missing_one_is_noted() {
    let (simulator, _, client) = with(small()).await;
    for bad in ["2.18", "2", "1.5", "newest", "2.1x", "+2.16"] {
        let answer = client.version(bad).get("/me").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "intercom_version_invalid")
        );
    }
    for good in ["2.0", "2.9", "2.16", "2.17", "Preview"] {
        assert_eq!(client.version(good).get("/me").await.status, 200, "{good}");
    }
    assert_eq!(
        client.version("1.4").get("/contacts").await.code(),
        "intercom_version_invalid"
    );
    assert_eq!(simulator.ledger().version_missing, 0);
    // The app's version (2.11) counts: assignees are null, not 0.
    let page = client
        .version("")
        .get("/conversations?per_page=150")
        .await
        .ok();
    let list = page["conversations"].as_array().expect("a list");
    assert!(list.iter().any(|c| c["admin_assignee_id"].is_null()));
    assert_eq!(simulator.ledger().version_missing, 1);

    assert_eq!(
        client
            .get("/data_attributes?model=conversation")
            .await
            .status,
        422
    );
    let old = client.version("2.15");
    assert_eq!(
        old.get("/data_attributes?model=conversation").await.status,
        200
    );
    assert_eq!(old.get("/conversations/attributes").await.status, 400);
    assert_eq!(client.get("/conversations/attributes").await.status, 200);
    let kind = |answer: serde_json::Value| {
        let list = answer["data"].as_array().expect("a list").clone();
        let row = list
            .iter()
            .find(|row| row["name"] == "updated_at")
            .expect("a row")
            .clone();
        row["data_type"].clone()
    };
    let path = "/data_attributes?model=contact";
    assert_eq!(kind(client.get(path).await.ok()), "date");
    assert_eq!(
        kind(client.version("2.17").get(path).await.ok()),
        "datetime"
    );
}

#[tokio::test]
async fn missing_scopes_are_answered_in_either_way() {
    for (answer, status, code) in [
        (MissingScope::Forbidden403, 403, "forbidden"),
        (MissingScope::Unauthorized401, 401, "token_unauthorized"),
    ] {
        let (_simulator, _, client) = with(WorkspaceSpec {
            missing_scopes: vec![Scope::ReadConversations],
            missing_scope_answer: answer,
            ..small()
        })
        .await;
        let refused = client.get("/conversations").await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code));
        assert!(refused.header("x-ratelimit-limit").is_some());
        assert_eq!(client.get("/me").await.status, 200);
    }
}

#[tokio::test]
async fn the_ledger_tells_reads_from_everything_else() {
    let (simulator, workspace, client) = with(small()).await;
    client.get("/contacts?per_page=3").await.ok();
    client.get("/contacts/none").await;
    assert_eq!(simulator.ledger().outside_read_list, 0);
    let write = client.post("/contacts", &json!({"role": "user"})).await;
    assert_eq!(write.status, 405);
    assert_eq!(client.get("/articles").await.status, 404);
    Client::with_token(&simulator, "guess").get("/me").await;
    let ledger = simulator.ledger();
    assert_eq!((ledger.total, ledger.outside_read_list), (5, 2));
    assert_eq!(ledger.calls("list_contacts"), 1);
    assert_eq!(ledger.by_status[&404], 2);
    assert_eq!(workspace.ledger().total, 4);
    let rows = workspace.ledger().rows();
    assert_eq!(rows[0].path, "/contacts?per_page=3");
    assert_eq!(rows[1].path_template, "/contacts/{}");
    assert_eq!(
        (rows[2].operation, rows[2].in_read_list),
        ("outside", false)
    );
    ledger.reset();
    assert_eq!(simulator.ledger().total, 0);
    assert!(simulator.ledger().rows().is_empty());
}

#[tokio::test]
async fn rate_headers_can_be_missing_now_and_then() {
    let (_simulator, _, client) = with(WorkspaceSpec {
        omit_rate_headers_every: Some(3),
        ..small()
    })
    .await;
    let mut present = Vec::new();
    for _ in 0..6 {
        present.push(
            client
                .get("/me")
                .await
                .header("x-ratelimit-limit")
                .is_some(),
        );
    }
    assert_eq!(present, [true, true, false, true, true, false]);
}
