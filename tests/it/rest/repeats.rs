//! POSTs with an `Idempotency-Key`.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Caller, World};

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
    // After a day the key is as good as new, whether its answer was removed or not.
    world
        .pass_for_all(Duration::from_secs(24 * 60 * 60 + 60))
        .await;
    let (status, later) = post("k1", "Zeta").await;
    assert_eq!(
        (status, later["name"].as_str()),
        (StatusCode::CREATED, Some("Zeta"))
    );
    assert_eq!(post("k1", "Zeta").await, (StatusCode::CREATED, later));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_repeat_says_that_it_is_one() {
    let world = World::new().await;
    let caller = Caller::service(&world, &world.api().await, None);
    let mut said = Vec::new();
    for name in ["Acme", "Acme", "Zeta"] {
        let body = json!({"name": name}).to_string();
        let answer = caller
            .exchange(
                Method::POST,
                "/v1/tenants",
                Some(body),
                &[("Idempotency-Key", "k")],
            )
            .await;
        said.push((
            answer.status.as_u16(),
            answer.header("idempotency-replayed").to_owned(),
        ));
    }
    let expected = [(201, ""), (201, "true"), (422, "")];
    assert_eq!(
        said,
        expected.map(|(status, replayed)| (status, replayed.to_owned()))
    );
}

/// The effect and the answer are committed together, and what failed on our side may be tried again.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_effect_without_its_answer() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(tenant));
    let anyone = Caller::service(&world, &base, None);
    let calls = [
        (
            &caller,
            "/v1/api_keys",
            json!({"name": "reader", "scopes": ["profiles:read"]}),
            "api_keys",
        ),
        (
            &caller,
            "/v1/integrations/intercom/connect",
            json!({}),
            "oauth_flows",
        ),
        (&caller, "/v1/sessions", json!({}), "browser_sessions"),
        (&anyone, "/v1/tenants", json!({"name": "Zeta"}), "tenants"),
    ];
    for (caller, path, body, table) in calls {
        let make = async || {
            let key = [("Idempotency-Key", "k")];
            caller
                .call_with(Method::POST, path, Some(body.clone()), &key)
                .await
        };
        let before = (world.count(table).await, world.count("audit_events").await);
        world.refuse_answers().await;
        assert_eq!(make().await.0, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        let after = (world.count(table).await, world.count("audit_events").await);
        assert_eq!(after, before, "{path}");
        world.accept_answers().await;
        let (status, made) = make().await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        assert_eq!(make().await, (StatusCode::CREATED, made));
        let after = (world.count(table).await, world.count("audit_events").await);
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{path}");
    }
}
