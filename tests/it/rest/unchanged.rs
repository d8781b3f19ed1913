//! Conditional reads.

use intercom_simulator::{Kind, Mutation};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Caller, Case, World, cases, tiny};

async fn tag(caller: &Caller, path: &str) -> String {
    let answer = caller.exchange(Method::GET, path, None, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    assert_eq!(
        answer.header("cache-control"),
        "private, no-cache",
        "{path}"
    );
    answer.header("etag").to_owned()
}

async fn is_unchanged(caller: &Caller, path: &str, tag: &str) -> bool {
    let headers = [("If-None-Match", tag)];
    let answer = caller.exchange(Method::GET, path, None, &headers).await;
    match answer.status {
        StatusCode::NOT_MODIFIED => {
            assert_eq!(answer.header("etag"), tag, "{path}");
            assert_eq!(
                answer.header("cache-control"),
                "private, no-cache",
                "{path}"
            );
            true
        }
        StatusCode::OK => false,
        status => panic!("{path}: {status}"),
    }
}

cases! {
    a_read_says_whether_anything_has_changed {
        let case = Case::of(tiny()).await.synced().await;
        let base = case.world.api().await;
        let caller = Caller::service(&case.world, &base, Some(case.tenant));
        let contacts = caller.all("/v1/contacts").await;
        let [first, other] = [0, 1].map(|n| format!("/v1/contacts/{}", contacts[n]["id"].as_str().unwrap()));
        // A cursor is sealed anew each time, so a page with one differs in its bytes.
        let (page, list) = ("/v1/contacts?limit=1", "/v1/contacts");
        let mut tags = Vec::new();
        for path in [page, list, &first, &other] {
            let known = tag(&caller, path).await;
            assert_eq!(known, tag(&caller, path).await, "{path}");
            assert!(is_unchanged(&caller, path, &known).await, "{path}");
            tags.push(known);
        }
        let distinct: std::collections::BTreeSet<&String> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len(), "{tags:?}");

        case.mutate(Mutation::update(Kind::Contact, 1).ago(10));
        case.poll().await;
        assert!(!is_unchanged(&caller, list, &tags[1]).await);
        let changed = [is_unchanged(&caller, &first, &tags[2]).await, is_unchanged(&caller, &other, &tags[3]).await];
        // One contact of all has changed, and any of them may be the one.
        assert!(changed.contains(&true), "{changed:?}");
    }
}

/// A tag does not depend on the key, and another tenant's tag is worth nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_of_the_tenant_and_not_of_the_key() {
    let world = World::new().await;
    let (acme, zeta) = (world.new_tenant().await, world.new_tenant().await);
    let service = Caller::service(&world, &world.api().await, Some(acme));
    let made = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (_, made) = service.call(Method::POST, "/v1/api_keys", Some(made)).await;
    let reader = service.with_key(made["key"].as_str().unwrap());
    let path = "/v1/contacts";
    let known = tag(&service, path).await;
    assert!(is_unchanged(&reader, path, &known).await);
    assert!(!is_unchanged(&service.acting_for(zeta), path, &known).await);
    // Only reads are conditional, and only if they succeed.
    let headers = [("If-None-Match", "*")];
    let missing = format!("{path}/{}", uuid::Uuid::now_v7());
    let answer = reader.exchange(Method::GET, &missing, None, &headers).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let body = json!({"name": "x", "scopes": ["profiles:read"]}).to_string();
    let answer = service
        .exchange(Method::POST, "/v1/api_keys", Some(body), &headers)
        .await;
    assert_eq!(
        (answer.status, answer.header("etag")),
        (StatusCode::CREATED, "")
    );
}
