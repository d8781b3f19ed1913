//! REST: keys, tenants, pages, repeats and errors, and what is read back.

mod auditing;
mod blocking;
mod described;
mod erasing;
mod feed;
mod following;
mod foreign;
mod joining;
mod limits;
mod pages;
mod parting;
mod problems;
mod reading;
mod repeats;
pub(crate) mod search;
pub(crate) mod sources;
mod timeline;
mod unchanged;

use intercom_simulator::WorkspaceSpec;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Caller, Case, World, held};

pub(crate) async fn synced() -> (World, Case, Caller) {
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
    let fleet = world.fleet(1);
    case.until_complete().await;
    drop(fleet);
    // From now on, nothing happens that the test does not do.
    search::index(&case).await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    (world, case, caller)
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

    // A key that is revoked is refused at its next call.
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
async fn a_resync_is_asked_for_once_and_can_be_followed() {
    let (_world, case, caller) = synced().await;
    // The fleet may still be about to end, and a run that ends is not the open one.
    case.inject(held());
    let path = format!("/v1/connections/{}/syncs", case.connection());
    let (status, run) = caller
        .call(Method::POST, &path, Some(json!({"mode": "incremental"})))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    // A second run would do the same work again, so the open one is named instead.
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
