//! Signing in with a link of the product backend, and signing out.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{link, signed_in};
use crate::support::{Caller, CookieJar, World, client};

const MINUTE: Duration = Duration::from_secs(60);

async fn begun() -> (World, String, Caller) {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.tenant_named("Acme").await;
    let caller = Caller::service(&world, &base, Some(tenant));
    (world, base, caller)
}

/// The actions of the trail, newest first, with their actors.
async fn trail(caller: &Caller) -> Vec<(String, serde_json::Value)> {
    let events = caller.all("/v1/audit_events").await;
    let of = |event: serde_json::Value| {
        let action = event["action"].as_str().unwrap().to_owned();
        (action, event["actor"].clone())
    };
    events.into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_one_browser_in_and_leads_to_its_page() {
    let (_world, base, caller) = begun().await;
    let url = link(&caller, json!({"return_to": "/integrations?from=mail"})).await;
    assert!(url.starts_with(&format!("{base}/sign-in?link=")), "{url}");
    let mut browser = CookieJar::new(&base);
    assert_eq!(
        browser.get("/integrations").await.code(),
        "sign_in_required"
    );
    let page = browser.get(&url).await;
    assert_eq!((page.status, page.code()), (StatusCode::OK, "sign_in"));
    assert!(
        page.text().contains("the integrations of Acme"),
        "{}",
        page.html
    );
    let answer = browser.press(&page.form("/sign-in")).await;
    assert_eq!(answer.header("location"), "/integrations?from=mail");
    let home = browser.follow(&answer).await;
    assert_eq!((home.status, home.code()), (StatusCode::OK, "integrations"));

    let (made, started) = (&trail(&caller).await[1], &trail(&caller).await[0]);
    assert_eq!(
        made,
        &(
            "sign_in_link.created".to_owned(),
            json!({"kind": "service_key"})
        )
    );
    assert_eq!(started.0, "browser_session.started");
    assert_eq!(started.1["kind"], "browser");
    assert!(started.1["id"].is_string(), "{started:?}");

    // Another browser comes too late.
    let mut other = CookieJar::new(&base);
    let late = other.get(&url).await;
    assert_eq!(
        (late.status, late.code()),
        (StatusCode::BAD_REQUEST, "sign_in_link_used")
    );
    let pressed = other.press(&page.form("/sign-in")).await;
    assert_eq!(pressed.code(), "sign_in_link_used");
    assert_eq!(other.get("/integrations").await.code(), "sign_in_required");
}

/// A scanner requests what it finds in a mail or a log, by any method, and has no cookies.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_scanner_spends_nothing() {
    let (_world, base, caller) = begun().await;
    let url = link(&caller, json!({})).await;
    for method in [
        "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PROPFIND",
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = client().request(method, &url).send().await.unwrap();
        assert_ne!(answer.status(), StatusCode::SEE_OTHER);
    }
    let mut browser = CookieJar::new(&base);
    let page = browser.get(&url).await;
    let answer = browser.press(&page.form("/sign-in")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
}

/// A person presses twice, and the browser has not read the first answer.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_presses_in_one_browser_all_lead_to_one_session() {
    let (world, base, caller) = begun().await;
    let url = link(&caller, json!({})).await;
    let mut browser = CookieJar::new(&base);
    let form = browser.get(&url).await.form("/sign-in");
    let presses = (0..16).map(|_| {
        let (mut browser, form) = (browser.clone(), form.clone());
        async move { browser.press(&form).await }
    });
    let answers = join_all(presses).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == StatusCode::SEE_OTHER)
    );
    let cookie = answers[0].header("set-cookie");
    assert!(
        answers
            .iter()
            .all(|answer| answer.header("set-cookie") == cookie)
    );
    assert_eq!(world.count("browser_sessions").await, 1);
    // Of sixteen other browsers none gets it.
    let others = (0..16).map(|_| {
        let (mut other, form) = (CookieJar::new(&base), form.clone());
        async move { other.press(&form).await }
    });
    for answer in join_all(others).await {
        assert_eq!(answer.code(), "sign_in_link_used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_sessions_expire() {
    let (world, base, caller) = begun().await;
    let url = link(&caller, json!({})).await;
    let mut browser = CookieJar::new(&base);
    let form = browser.get(&url).await.form("/sign-in");
    world.pass_for_all(MINUTE * 11).await;
    for late in [browser.get(&url).await, browser.press(&form).await] {
        assert_eq!(
            (late.status, late.code()),
            (StatusCode::BAD_REQUEST, "sign_in_link_expired")
        );
    }
    for unknown in [
        "/sign-in",
        "/sign-in?link=",
        "/sign-in?link=x&link=y",
        "/sign-in?link=%ff",
    ] {
        let answer = browser.get(unknown).await;
        assert_eq!(answer.code(), "sign_in_link_unknown", "{unknown}");
    }

    let mut browser = signed_in(&world, &base, caller.tenant().unwrap()).await;
    world.pass_for_all(MINUTE * 60 * 11).await;
    assert_eq!(browser.get("/integrations").await.code(), "integrations");
    world.pass_for_all(MINUTE * 61).await;
    let ended = browser.get("/integrations").await;
    assert_eq!(
        (ended.status, ended.code()),
        (StatusCode::UNAUTHORIZED, "sign_in_required")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_everywhere() {
    let (world, base, caller) = begun().await;
    let mut browser = signed_in(&world, &base, caller.tenant().unwrap()).await;
    let home = browser.get("/integrations").await;
    // A copy of the cookies, as a thief has them.
    let mut copy = browser.clone();
    let form = home.form("/sign-out");
    let out = browser.press(&form).await;
    assert_eq!((out.status, out.code()), (StatusCode::OK, "signed_out"));
    assert_eq!(browser.cookies(), ["pathbound_sign_in"]);
    assert_eq!(copy.get("/integrations").await.code(), "sign_in_required");
    let replica = world.api_with(&[("PUBLIC_URL", &base)]).await;
    assert_eq!(
        copy.at(&replica).get("/integrations").await.code(),
        "sign_in_required"
    );
    // A second press changes nothing.
    assert_eq!(copy.press(&form).await.code(), "signed_out");
    let actions: Vec<String> = trail(&caller)
        .await
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    assert_eq!(
        actions[..3],
        [
            "browser_session.ended",
            "browser_session.started",
            "sign_in_link.created"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sign_in_ends_the_first_and_may_be_for_another_tenant() {
    let (world, base, caller) = begun().await;
    let mut browser = signed_in(&world, &base, caller.tenant().unwrap()).await;
    let mut before = browser.clone();
    let zeta = world.tenant_named("Zeta").await;
    let url = link(&caller.acting_for(zeta), json!({})).await;
    let form = browser.get(&url).await.form("/sign-in");
    let answer = browser.press(&form).await;
    let home = browser.follow(&answer).await;
    assert!(home.text().contains("Account: Zeta"), "{}", home.html);
    assert_eq!(before.get("/integrations").await.code(), "sign_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_those_of_https_or_of_loopback() {
    let (world, _, caller) = begun().await;
    for (public_url, start, secure) in [
        ("https://sync.example.com", "__Host-pathbound_", "; Secure"),
        ("http://localhost:8080", "pathbound_", ""),
    ] {
        let base = world.api_with(&[("PUBLIC_URL", public_url)]).await;
        let url = link(&caller.at(&base), json!({})).await;
        let path = url.strip_prefix(public_url).unwrap();
        let mut browser = CookieJar::new(&base).sending_origin(Some(public_url));
        let page = browser.get(path).await;
        let answer = browser.press(&page.form("/sign-in")).await;
        for (set, name, age) in [(&page, "sign_in", 600), (&answer, "session", 43_200)] {
            let set = set.header("set-cookie");
            let (written, attributes) = set.split_at(set.find(';').unwrap());
            let value = written.strip_prefix(&format!("{start}{name}=")).unwrap();
            assert_eq!(value.len(), 43, "{set}");
            assert_eq!(
                attributes,
                format!("; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
            );
        }
        assert_eq!(browser.get("/integrations").await.code(), "integrations");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_asked_for_by_the_product_backend_alone() {
    let (world, base, caller) = begun().await;
    let scopes = json!({"name": "admin", "scopes": ["connections:write"]});
    let (_, key) = caller
        .call(Method::POST, "/v1/api_keys", Some(scopes))
        .await;
    let tenant_key = caller.with_key(key["key"].as_str().unwrap());
    let refused = tenant_key.call(Method::POST, "/v1/sessions", None).await;
    assert_eq!(
        (refused.0, refused.1["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("service_key_required"))
    );
    let nameless = Caller::service(&world, &base, None);
    let refused = nameless.call(Method::POST, "/v1/sessions", None).await;
    assert_eq!(refused.1["code"], "tenant_required");
    for target in [
        json!("//evil.example"),
        json!("https://evil.example/integrations"),
        json!("/\\evil.example"),
        json!("/integrations/%2e%2e//evil.example"),
        json!("/integrations\r\nSet-Cookie: a=b"),
        json!("/v1/tenants"),
        json!("/contacts//evil.example"),
        json!("/contacts/../v1/tenants"),
        json!("//contacts/x"),
        json!(""),
        json!(7),
    ] {
        let body = json!({"return_to": target});
        let (status, refused) = caller.call(Method::POST, "/v1/sessions", Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{target}: {refused}");
        assert_eq!(refused["errors"][0]["field"], "return_to");
    }
    // No body stands for the page of integrations.
    let (status, made) = caller.call(Method::POST, "/v1/sessions", None).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(world.count("browser_sessions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_whichever_page_it_names() {
    let (_world, base, caller) = begun().await;
    for (path, code) in [
        ("/contacts", "contacts"),
        ("/contacts?q=ada%20lovelace", "search"),
    ] {
        let url = link(&caller, json!({"return_to": path})).await;
        let mut browser = CookieJar::new(&base);
        let page = browser.get(&url).await;
        let answer = browser.press(&page.form("/sign-in")).await;
        assert_eq!(answer.header("location"), path);
        assert_eq!(browser.follow(&answer).await.code(), code);
    }
}
