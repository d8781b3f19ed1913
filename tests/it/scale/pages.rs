//! A page costs as many statements however much it shows.

use intercom_simulator::WorkspaceSpec;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    pages::signed_in,
    rest::search::index,
    support::{Caller, ExplainedServer, tiny},
};

/// Statements of a page, without the one that finds the session.
const LIST: usize = 6;
const SEARCH: usize = 8;
const CONTACT: usize = 28;
const COMPANY: usize = 12;
const CONVERSATION: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_statement_for_each_of_its_rows() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let base = world.api().await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 60,
            companies: 6,
            conversations: 60,
            parts: 4.0,
            ..tiny()
        })
        .await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    fleet.stop().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    let people: Vec<Value> = (0..60)
        .map(|n| {
            json!({
                "source_id": format!("p{n}"), "source_updated_at": "2026-11-01T12:00:00Z",
                "fields": {"name": format!("Person {n}"), "email": format!("p{n}@acme.example")}, "company": "acme",
            })
        })
        .collect();
    let company = json!({"source_id": "acme", "source_updated_at": "2026-11-01T12:00:00Z", "fields": {"name": "Acme"}});
    caller.send("crm", "company", &[company]).await;
    caller.send("crm", "contact", &people).await;
    index(&case).await;
    let companies = caller.all("/v1/companies").await;
    let acme = companies.iter().find(|one| one["name"] == "Acme").unwrap();
    let mut conversations = caller.all("/v1/conversations").await;
    conversations.sort_by_key(|one| one["thread"]["held"].as_i64());
    let (small, large) = (&conversations[0], &conversations[conversations.len() - 1]);
    assert_ne!(small["thread"]["held"], large["thread"]["held"]);
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    let busy = large["contact_ids"][0].as_str().unwrap().to_owned();
    let quiet = id(&caller.get("/v1/contacts?limit=1").await["items"][0]);

    let mut browser = signed_in(&world, &base, case.tenant).await;
    for (path, limit) in [
        ("/contacts".to_owned(), LIST),
        ("/contacts?q=person".to_owned(), SEARCH),
        ("/contacts?q=nowheretobefound".to_owned(), SEARCH),
        (format!("/contacts/{busy}"), CONTACT),
        (format!("/contacts/{quiet}"), CONTACT),
        (format!("/companies/{}", id(acme)), COMPANY),
        (format!("/companies/{}", id(&companies[0])), COMPANY),
        (format!("/conversations/{}", id(small)), CONVERSATION),
        (format!("/conversations/{}", id(large)), CONVERSATION),
    ] {
        server.forget().await;
        assert_eq!(browser.get(&path).await.status, StatusCode::OK, "{path}");
        let statements: Vec<String> = server
            .plans()
            .await
            .into_iter()
            .map(|ran| ran.statement)
            .filter(|statement| !statement.contains("set_config"))
            .collect();
        assert!(
            statements.len() > 2 && statements.len() <= limit,
            "{path}: {} {statements:#?}",
            statements.len()
        );
    }
}
