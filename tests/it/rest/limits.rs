//! How many requests a key may make, and which web pages may make them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Caller, World, client};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_above_its_limit_waits_and_the_others_do_not() {
    let world = World::with(&[("KEY_REQUESTS_PER_MINUTE", "4")]).await;
    let tenant = world.new_tenant().await;
    let service = Caller::service(&world, &world.api().await, Some(tenant));
    let mut keys = Vec::new();
    for name in ["one", "other"] {
        let made = json!({"name": name, "scopes": ["profiles:read"]});
        let (_, made) = service.call(Method::POST, "/v1/api_keys", Some(made)).await;
        keys.push(service.with_key(made["key"].as_str().unwrap()));
    }
    let read = async |key: usize| {
        keys[key]
            .exchange(Method::GET, "/v1/contacts", None, &[])
            .await
    };
    let mut left = Vec::new();
    for _ in 0..4 {
        let answer = read(0).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("ratelimit-policy"), "\"tenant_key\";q=4;w=60");
        left.push(
            answer
                .header("ratelimit")
                .split(';')
                .nth(1)
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(left, ["r=3", "r=2", "r=1", "r=0"]);
    let refused = read(0).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("ratelimit"), "\"tenant_key\";r=0;t=60");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert_eq!(refused.body["retry_after_s"], wait);
    assert!((1..=15).contains(&wait), "{wait}");

    assert_eq!(read(1).await.status, StatusCode::OK);
    let answer = service
        .exchange(Method::GET, "/v1/contacts", None, &[])
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("ratelimit-policy"),
        "\"service_key\";q=600000;w=60"
    );
    // A refused key is counted as well.
    let scopeless = keys[1]
        .exchange(Method::GET, "/v1/conversations", None, &[])
        .await;
    assert_eq!(scopeless.status, StatusCode::FORBIDDEN);
    assert!(
        scopeless
            .header("ratelimit")
            .starts_with("\"tenant_key\";r=2;")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_news_costs_nothing() {
    let world = World::with(&[("SERVICE_REQUESTS_PER_MINUTE", "3")]).await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let read = async |tag: &str| {
        let headers = [("If-None-Match", tag)];
        caller
            .exchange(Method::GET, "/v1/contacts", None, &headers)
            .await
    };
    let first = caller
        .exchange(Method::GET, "/v1/contacts", None, &[])
        .await;
    for _ in 0..10 {
        let unchanged = read(first.header("etag")).await;
        assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
        assert_eq!(unchanged.header("ratelimit"), "");
        assert_eq!(
            unchanged.header("ratelimit-policy"),
            "\"service_key\";q=3;w=60"
        );
    }
    // With news, it counts as any other.
    let statuses = [
        read("\"a\"").await,
        read("\"a\"").await,
        read("\"a\"").await,
    ]
    .map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(
        read(first.header("etag")).await.status,
        StatusCode::NOT_MODIFIED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_configured_origins_may_call() {
    let origin = "https://app.example.com";
    let preflight = async |base: &str, origin: &str| {
        let call = client()
            .request(Method::OPTIONS, format!("{base}/v1/contacts"))
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization");
        let answer = call.send().await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin");
        (
            answer.status().as_u16(),
            allowed.map(|origin| origin.to_str().unwrap().to_owned()),
        )
    };
    let world = World::new().await;
    assert_eq!(preflight(&world.api().await, origin).await, (405, None));

    let open = world.otherwise(&[("CORS_ORIGINS", origin)]);
    let base = open.api().await;
    assert_eq!(
        preflight(&base, origin).await,
        (200, Some(origin.to_owned()))
    );
    assert_eq!(
        preflight(&base, "https://evil.example.com").await,
        (200, None)
    );
    // A refusal can be read by the page as well.
    let refused = client()
        .get(format!("{base}/v1/contacts"))
        .header("Origin", origin)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], origin);
    // The pages that connect a workspace are no business of scripts.
    let start = client()
        .get(format!("{base}/oauth/intercom/start"))
        .header("Origin", origin)
        .send()
        .await
        .unwrap();
    assert!(!start.headers().contains_key("access-control-allow-origin"));
}
