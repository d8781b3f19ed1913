//! What is described is mounted, and nothing else is.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Caller, World, client};

/// Every path, with the methods that are described, in capitals.
fn paths(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            (
                path.clone(),
                methods.map(|method| method.to_uppercase()).collect(),
            )
        })
        .collect()
}

/// The path of an object that is not there.
fn filled(path: &str) -> String {
    let id = uuid::Uuid::now_v7().to_string();
    path.replace("{id}", &id).replace("{run}", &id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_description_is_that_of_the_code() {
    let world = World::new().await;
    let base = world.api().await;
    // It needs no key.
    let answer = client()
        .get(format!("{base}/openapi.json"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        api::openapi::document()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_has_the_described_methods_and_no_other() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let document = api::openapi::document();
    let mut operations = 0;
    for (path, methods) in paths(&document) {
        let place = filled(&path);
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let is_described = methods
                .iter()
                .any(|described| *described == method.as_str());
            // An unknown parameter is refused by every call before it does anything.
            let stranger = format!("{place}?not_a_parameter=1");
            let answer = caller.exchange(method.clone(), &stranger, None, &[]).await;
            if is_described {
                operations += 1;
                let refused = (answer.status, answer.body["code"].as_str());
                assert_eq!(
                    refused,
                    (StatusCode::BAD_REQUEST, Some("invalid_request")),
                    "{method} {path}: {}",
                    answer.body
                );
                let keyless = caller.with_key("").call(method.clone(), &place, None).await;
                assert_eq!(keyless.0, StatusCode::UNAUTHORIZED, "{method} {path}");
                continue;
            }
            assert_eq!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
            allowed.retain(|method| *method != "HEAD");
            allowed.sort_unstable();
            let mut expected: Vec<&str> = methods.iter().map(String::as_str).collect();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{path}");
        }
    }
    assert_eq!(operations, 38);
}
