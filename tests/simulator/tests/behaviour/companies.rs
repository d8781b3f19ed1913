//! The two views of companies: a capped list without userless ones, and a fragile scroll.

use std::collections::HashSet;
use std::time::Duration;

use intercom_simulator::{Kind, Mutation, ScrollEnd, WorkspaceSpec};
use serde_json::Value;

use crate::client::Client;
use crate::{small, with};

fn spec(end: ScrollEnd) -> WorkspaceSpec {
    WorkspaceSpec {
        companies: 250,
        contacts: 300,
        companies_without_users: 0.1,
        scroll_end: end,
        ..small()
    }
}

async fn next(client: &Client, param: &str) -> crate::client::Answer {
    client
        .get(&format!("/companies/scroll?scroll_param={param}"))
        .await
}

fn count(page: &Value) -> usize {
    page["data"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_scroll_ends_with_an_empty_page_and_is_gone() {
    let (_simulator, _, client) = with(spec(ScrollEnd::EmptyPage)).await;
    let first = client.get("/companies/scroll").await.ok();
    let param = first["scroll_param"].as_str().expect("a param").to_owned();
    let mut sizes = vec![count(&first)];
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let page = next(&client, &param).await.ok();
        assert!(page["pages"].is_null() && page["total_count"].is_null());
        ids.extend(
            page["data"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|c| c["id"].to_string()),
        );
        sizes.push(count(&page));
    }
    assert_eq!(sizes, [100, 100, 50, 0]);
    assert_eq!(ids.len(), 150);
    let after = next(&client, &param).await;
    assert_eq!((after.status, after.code().as_str()), (404, "not_found"));
    // The end closes it: another can open.
    assert_eq!(client.get("/companies/scroll").await.status, 200);
}

#[tokio::test]
async fn a_scroll_can_end_with_404_and_no_empty_page() {
    let (_simulator, _, client) = with(spec(ScrollEnd::NotFound)).await;
    let first = client.get("/companies/scroll").await.ok();
    let param = first["scroll_param"].as_str().expect("a param").to_owned();
    next(&client, &param).await.ok();
    assert_eq!(count(&next(&client, &param).await.ok()), 50);
    assert_eq!(next(&client, &param).await.status, 404);
    assert_eq!(client.get("/companies/scroll").await.status, 200);
}

#[tokio::test]
async fn one_scroll_at_a_time_for_a_minute_of_silence() {
    let (simulator, workspace, client) = with(spec(ScrollEnd::EmptyPage)).await;
    let first = client.get("/companies/scroll").await.ok();
    let param = first["scroll_param"].as_str().expect("a param").to_owned();
    let second = client.get("/companies/scroll").await;
    assert_eq!(
        (second.status, second.code().as_str()),
        (400, "scroll_exists")
    );
    // The rest of the minute is left to a busy machine.
    simulator.clock().advance(Duration::from_secs(40));
    next(&client, &param).await.ok();
    simulator.clock().advance(Duration::from_secs(40));
    next(&client, &param).await.ok();
    simulator.clock().advance(Duration::from_secs(62));
    assert_eq!(next(&client, &param).await.status, 404);

    workspace.hold_scroll(Duration::from_secs(90));
    assert_eq!(
        client.get("/companies/scroll").await.code(),
        "scroll_exists"
    );
    simulator.clock().advance(Duration::from_secs(91));
    let ours = client.get("/companies/scroll").await.ok();
    // A scroll of another app ends ours.
    workspace.hold_scroll(Duration::from_secs(90));
    let param = ours["scroll_param"].as_str().expect("a param").to_owned();
    assert_eq!(next(&client, &param).await.status, 404);
    workspace.release_scroll();
    assert_eq!(client.get("/companies/scroll").await.status, 200);
}

#[tokio::test]
async fn lists_leave_out_companies_without_users() {
    let (_simulator, _, client) = with(spec(ScrollEnd::EmptyPage)).await;
    let list = client
        .call("POST", "/companies/list?per_page=60&order=asc", None)
        .await
        .expect("an answer")
        .ok();
    assert_eq!(list["total_count"], 225);
    let times: Vec<i64> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|company| company["last_request_at"].as_i64().unwrap_or(0))
        .collect();
    assert!(times.is_sorted());
    let next = list["pages"]["next"].as_str().expect("a URL");
    assert!(
        next.ends_with("/companies/list?per_page=60&page=2&order=asc"),
        "{next}"
    );
    assert_eq!(client.get("/companies").await.ok()["total_count"], 225);
}

#[tokio::test]
async fn lists_stop_at_ten_thousand() {
    let (_simulator, _, client) = with(WorkspaceSpec {
        companies: 10_100,
        contacts: 10_100,
        conversations: 0,
        companies_without_users: 0.0,
        ..small()
    })
    .await;
    let at = |page: u32| format!("/companies/list?per_page=50&page={page}");
    let last = client
        .call("POST", &at(200), None)
        .await
        .expect("an answer")
        .ok();
    assert_eq!(count(&last), 50);
    assert_eq!(last["total_count"], 10_100);
    let over = client
        .call("POST", &at(201), None)
        .await
        .expect("an answer");
    assert_eq!(over.status, 400);
    let message = over.json()["errors"][0]["message"].clone();
    assert_eq!(message, "page limit reached, please use scroll API");
}

#[tokio::test]
async fn one_company_is_found_by_any_of_its_names() {
    let (_simulator, workspace, client) = with(small()).await;
    let company = client.get("/companies").await.ok()["data"][0].clone();
    let id = company["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/companies/{id}")).await.ok(), company);
    let name = url::form_urlencoded::byte_serialize(
        company["company_id"]
            .as_str()
            .expect("a company_id")
            .as_bytes(),
    )
    .collect::<String>();
    let looked_up = client
        .get(&format!("/companies?company_id={name}"))
        .await
        .ok();
    assert_eq!(looked_up, company);
    assert_eq!(
        client.get("/companies?company_id=nope").await.code(),
        "company_not_found"
    );

    let contacts = client.get(&format!("/companies/{id}/contacts")).await.ok();
    assert_eq!(contacts["total_count"], company["user_count"]);
    let member = contacts["data"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    workspace.mutate(Mutation::delete(Kind::Company, 1).ids([id]));
    assert_eq!(client.get(&format!("/companies/{id}")).await.status, 404);
    let left = client
        .get(&format!("/contacts/{member}/companies"))
        .await
        .ok();
    assert!(
        left["data"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|c| c["id"] != id)
    );
}

#[tokio::test]
async fn a_company_update_moves_one_of_its_contacts() {
    let (_simulator, workspace, client) = with(small()).await;
    let company = client.get("/companies").await.ok()["data"][0].clone();
    let id = company["id"].as_str().expect("an id").to_owned();
    let moved = |url: String| {
        let client = client.clone();
        async move { client.get(&url).await.ok() }
    };
    workspace.mutate(Mutation::update(Kind::Company, 1).ids([id.clone()]));
    let now = moved(format!("/companies/{id}")).await;
    assert!(now["updated_at"].as_i64() > company["updated_at"].as_i64());
    let contacts = moved(format!("/companies/{id}/contacts")).await;
    let touched = contacts["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|contact| contact["updated_at"] == now["updated_at"])
        .count();
    assert_eq!(touched, 1);
}
