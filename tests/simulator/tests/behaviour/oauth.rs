//! The OAuth dance.

use std::time::Duration;

use intercom_simulator::{Options, Simulator};
use serde_json::json;
use url::Url;

use crate::client::{Answer, Client};
use crate::{small, with};

const BACK: &str = "http%3A%2F%2F127.0.0.1%3A9%2Fcallback%3Fkept%3D1";

fn location(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 303);
    let url = Url::parse(answer.header("location").expect("a location")).expect("a URL");
    assert_eq!(
        (url.host_str(), url.path()),
        (Some("127.0.0.1"), "/callback")
    );
    url.query_pairs().into_owned().collect()
}

fn value(pairs: &[(String, String)], name: &str) -> String {
    let found = pairs.iter().find(|(key, _)| key == name);
    found
        .unwrap_or_else(|| panic!("{name} in {pairs:?}"))
        .1
        .clone()
}

async fn code(client: &Client, workspace: &str) -> String {
    let url = format!(
        "/oauth?client_id=simulator-client-id&state=s%26t&redirect_uri={BACK}\
         &auto_workspace={workspace}"
    );
    let pairs = location(&client.get(&url).await);
    assert_eq!(value(&pairs, "state"), "s&t");
    assert_eq!(value(&pairs, "kept"), "1");
    value(&pairs, "code")
}

async fn exchange(client: &Client, code: &str, secret: &str) -> Answer {
    let body = json!({
        "code": code, "client_id": "simulator-client-id", "client_secret": secret});
    client.post("/auth/eagle/token", &body).await
}

#[tokio::test]
async fn a_code_gives_a_token_once_and_within_five_minutes() {
    let (simulator, workspace, client) = with(small()).await;
    let first = code(&client, &workspace.id_code()).await;
    // A wrong secret does not burn it.
    let wrong = exchange(&client, &first, "wrong").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "unauthorized"));
    let token = exchange(&client, &first, "simulator-client-secret")
        .await
        .ok();
    assert_eq!(token["token"], token["access_token"]);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(
        exchange(&client, &first, "simulator-client-secret")
            .await
            .status,
        401
    );
    let me = Client::with_token(&simulator, token["token"].as_str().expect("a token"))
        .get("/me")
        .await
        .ok();
    assert_eq!(me["app"]["id_code"], workspace.id_code());
    assert_eq!(me["app"]["timezone"], "America/Los_Angeles");

    let late = code(&client, &workspace.id_code()).await;
    simulator.clock().advance(Duration::from_secs(301));
    assert_eq!(
        exchange(&client, &late, "simulator-client-secret")
            .await
            .status,
        401
    );
    assert_eq!(simulator.ledger().outside_read_list, 0);
}

#[tokio::test]
async fn the_page_has_a_form_per_workspace_and_one_to_deny() {
    let (_simulator, workspace, client) = with(small()).await;
    let page = client
        .get(&format!(
            "/oauth?client_id=simulator-client-id&state=x&redirect_uri={BACK}"
        ))
        .await;
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert!(html.contains(&format!("data-workspace=\"{}\"", workspace.id_code())));
    assert!(html.contains("id=\"deny\""));
    let form = format!("client_id=simulator-client-id&state=x&redirect_uri={BACK}");
    let post = |more: String| {
        let (client, form) = (client.clone(), form.clone());
        async move {
            let body = ("application/x-www-form-urlencoded", format!("{form}{more}"));
            client
                .call("POST", "/oauth/authorize", Some(body))
                .await
                .expect("an answer")
        }
    };
    let denied = location(&post("&deny=1".to_owned()).await);
    assert_eq!(value(&denied, "error"), "access_denied");
    assert_eq!(value(&denied, "state"), "x");
    let granted = location(&post(format!("&workspace={}", workspace.id_code())).await);
    let code = value(&granted, "code");
    let body =
        format!("code={code}&client_id=simulator-client-id&client_secret=simulator-client-secret");
    let token = client
        .call(
            "POST",
            "/auth/eagle/token",
            Some(("application/x-www-form-urlencoded", body)),
        )
        .await
        .expect("an answer");
    assert_eq!(token.status, 200);
}

#[tokio::test]
async fn strangers_and_foreign_targets_are_refused() {
    let (_simulator, _, client) = with(small()).await;
    for query in [
        format!("client_id=other&redirect_uri={BACK}"),
        "client_id=simulator-client-id".to_owned(),
        "client_id=simulator-client-id&redirect_uri=https%3A%2F%2Fevil.example".to_owned(),
        format!("client_id=simulator-client-id&redirect_uri={BACK}&auto_workspace=none"),
    ] {
        assert_eq!(
            client.get(&format!("/oauth?{query}")).await.status,
            400,
            "{query}"
        );
    }
    let simulator = Simulator::start(Options {
        redirect_uris: vec!["https://app.example/callback".to_owned()],
        ..Options::default()
    })
    .await
    .expect("a simulator");
    let client = Client::with_token(&simulator, "none");
    let foreign = format!("/oauth?client_id=simulator-client-id&redirect_uri={BACK}");
    assert_eq!(client.get(&foreign).await.status, 400);
    assert_eq!(
        client
            .get("/oauth?client_id=simulator-client-id")
            .await
            .status,
        200
    );
}
