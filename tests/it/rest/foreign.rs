//! Ids and cursors of another tenant.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::synced;

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
            // The path of the call itself is the only difference.
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
