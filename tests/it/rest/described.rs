//! What is described is mounted, and nothing else is.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

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

/// A schema behind its reference.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Bodies with an array in place of each object that the schema has, and with an object in place of each
/// word, each with the member that is wrong.
fn mistaken(document: &Value, schema: &Value) -> Vec<(String, Value)> {
    let schema = resolved(document, schema);
    if let Some(words) = schema["enum"].as_array() {
        let mut member = serde_json::Map::new();
        member.insert(words[0].as_str().unwrap().to_owned(), Value::Null);
        return vec![(String::new(), Value::Object(member))];
    }
    if schema["items"].is_object() {
        let entries = mistaken(document, &schema["items"]).into_iter();
        return entries
            .map(|(at, entry)| (format!("[0]{at}"), json!([entry])))
            .collect();
    }
    let Some(members) = schema["properties"].as_object() else {
        return Vec::new();
    };
    let mut bodies = vec![(String::new(), json!([]))];
    for (name, member) in members {
        for (at, value) in mistaken(document, member) {
            let at = if at.is_empty() || at.starts_with('[') {
                format!(".{name}{at}")
            } else {
                format!(".{name}.{}", at.trim_start_matches('.'))
            };
            bodies.push((at, json!({ name: value })));
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_no_object_and_an_object_is_no_word_in_any_body() {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let document = api::openapi::document();
    let mut refused = 0;
    for (path, methods) in paths(&document) {
        for method in methods {
            let pointer = path.replace('~', "~0").replace('/', "~1");
            let operation = format!("/paths/{pointer}/{}", method.to_lowercase());
            let operation = document.pointer(&operation).unwrap();
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let place = filled(&path).replace("{source}", "crm");
            for (at, body) in mistaken(&document, schema) {
                // Each record of a batch is read alone, so that one with a fault spoils no other.
                if path.starts_with("/v1/sources/") && at.starts_with(".records") {
                    continue;
                }
                let method = method.parse::<Method>().unwrap();
                let (status, answer) = caller
                    .call(method.clone(), &place, Some(body.clone()))
                    .await;
                assert_eq!(
                    (status, answer["code"].as_str()),
                    (StatusCode::BAD_REQUEST, Some("invalid_request")),
                    "{method} {path} {body}: {answer}"
                );
                let field = answer["errors"][0]["field"].as_str().unwrap();
                let expected = match at.trim_start_matches('.') {
                    "" => "body",
                    at => at,
                };
                assert_eq!(field, expected, "{method} {path} {body}: {answer}");
                refused += 1;
            }
        }
    }
    // Of ten operations with bodies.
    assert!(refused >= 25, "{refused}");
}
