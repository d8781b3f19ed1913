//! A plan does not depend on what the planner believes of the tables.
//!
//! Sessions prepare their statements once, which may be when the tables are empty. Everything that the product runs is
//! then read from the log of Postgres (`auto_explain`): how many buffers it touched, how many rows it read in vain, and
//! in how many partitions.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    pages::signed_in,
    support::{Caller, Case, ExplainedServer, RanPlan, tiny},
};

/// Rows that the large tenant has beside what was synced.
const GROWN: i64 = 20_000;
/// Rows that are there in the middle of the large tenant's first sync.
const HALF_GROWN: i64 = 3_000;
/// Tenants as small as the small one, in the same partitions.
const CROWD: i64 = 1_000;
/// Buffers that a statement may touch, and for each row that it returns or writes. A row of contacts has seven indexes,
/// and each look-up is three or four buffers.
const BUFFERS: f64 = 300.0;
const BUFFERS_PER_ROW: f64 = 60.0;
/// Each word of a search document is an entry of the index of its own.
const BUFFERS_PER_DOCUMENT: f64 = 1_500.0;
/// A search looks up each of its words once for each kind and quarter, however many objects there are.
const BUFFERS_OF_A_SEARCH: f64 = 1_000.0;
/// Rows that a statement may read in vain, and for each row that it returns or writes.
const REMOVED: f64 = 60.0;
const REMOVED_PER_ROW: f64 = 3.0;

/// What is known of the tables when the statements are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statistics {
    /// Nothing: planned when the tables are empty, and never analysed.
    None,
    /// The tables were analysed when a thousand small tenants were all there was.
    OfACrowd,
    /// The tables were analysed when nearly all rows were the large tenant's.
    OfAWhale,
    /// The tables were analysed as they are.
    Fresh,
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_good_without_statistics() {
    plans_are_good(Statistics::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_good_with_statistics_of_a_crowd() {
    plans_are_good(Statistics::OfACrowd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_good_with_statistics_of_a_whale() {
    plans_are_good(Statistics::OfAWhale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_good_with_fresh_statistics() {
    plans_are_good(Statistics::Fresh).await;
}

/// Its owner looks when some rows are there, and sessions keep for hours what they have planned for so few.
#[tokio::test(flavor = "multi_thread")]
async fn plans_of_reads_that_are_made_during_a_first_sync_are_good() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let case = world.connect(large_workspace()).await;
    let _fleet = world.fleet(1);
    let base = world.api().await;
    case.until_complete().await;
    case.grow(HALF_GROWN).await;
    read_everything(&case, &base).await;
    case.grow(GROWN).await;
    server.forget().await;
    read_everything(&case, &base).await;
    let ran = server.plans().await;
    assert!(ran.len() > 40, "only {} were explained", ran.len());
    let bad: Vec<String> = ran.iter().filter_map(fault).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

fn large_workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        seed: 7,
        contacts: 60,
        companies: 20,
        conversations: 60,
        parts: 3.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

async fn plans_are_good(statistics: Statistics) {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let small = world.connect(tiny()).await;
    let large = world.connect(large_workspace()).await;
    let _fleet = world.fleet(1);
    let base = world.api().await;
    for case in [&small, &large] {
        case.until_complete().await;
        // The first of each statement prepares it, when the tables are as good as empty.
        read_everything(case, &base).await;
        send_everything(case, &base).await;
        change_everything(case).await;
    }
    if statistics == Statistics::OfAWhale {
        large.grow(GROWN).await;
        server.analyze().await;
    }
    server.crowd(&small, CROWD).await;
    if statistics == Statistics::OfACrowd {
        server.analyze().await;
    }
    if statistics != Statistics::OfAWhale {
        large.grow(GROWN).await;
    }
    if statistics == Statistics::Fresh {
        server.analyze().await;
    }
    server.forget().await;
    for case in [&small, &large] {
        read_everything(case, &base).await;
        send_everything(case, &base).await;
        change_everything(case).await;
    }
    let ran = server.plans().await;
    assert!(
        ran.len() > 200,
        "only {} statements were explained",
        ran.len()
    );
    let bad: Vec<String> = ran.iter().filter_map(fault).collect();
    assert!(bad.is_empty(), "{statistics:?}: {}", bad.join("\n"));
}

/// What is wrong with a statement's plan.
pub(super) fn fault(ran: &RanPlan) -> Option<String> {
    let rows = ran.rows.max(1.0);
    let (once, per_row) = if ran.statement.contains("INTO search_documents") {
        (BUFFERS, BUFFERS_PER_DOCUMENT)
    } else if ran.statement.contains("ts_rank") {
        (BUFFERS_OF_A_SEARCH, BUFFERS_PER_ROW)
    } else {
        (BUFFERS, BUFFERS_PER_ROW)
    };
    let faults = [
        (ran.buffers > once + per_row * rows, "buffers"),
        (
            ran.removed > REMOVED + REMOVED_PER_ROW * rows,
            "rows in vain",
        ),
        (!ran.scanned.is_empty(), "tables read whole"),
        (ran.most_partitions > 1, "partitions"),
    ];
    let named: Vec<&str> = faults
        .iter()
        .filter_map(|(is_fault, name)| is_fault.then_some(*name))
        .collect();
    (!named.is_empty()).then(|| format!("too many {}: {ran}", named.join(", ")))
}

/// Every list and every object that an API client reads.
async fn read_everything(case: &Case, base: &str) {
    let caller = Caller::service(&case.world, base, Some(case.tenant));
    let connection = case.connection();
    for list in ["contacts", "companies", "conversations"] {
        let first = caller.get(&format!("/v1/{list}?limit=20")).await;
        caller
            .get(&format!(
                "/v1/{list}?limit=20&include=deleted&updated_since=2020-01-01T00:00:00Z"
            ))
            .await;
        let id = first["items"][0]["id"].as_str().unwrap();
        caller.get(&format!("/v1/{list}/{id}")).await;
        match list {
            "contacts" => {
                caller
                    .get(&format!("/v1/contacts/{id}?include=provenance"))
                    .await;
                caller
                    .get(&format!("/v1/conversations?contact_id={id}"))
                    .await;
                for rest in ["timeline?limit=20", "identities"] {
                    caller.get(&format!("/v1/contacts/{id}/{rest}")).await;
                }
            }
            "conversations" => {
                caller.get(&format!("/v1/conversations/{id}/parts")).await;
                caller.get("/v1/conversations?state=snoozed&limit=20").await;
                caller
                    .get("/v1/conversations?state=snoozed&limit=20&updated_since=2020-01-01T00:00:00Z")
                    .await;
            }
            _ => {}
        }
    }
    caller
        .get(&format!("/v1/connections/{connection}/sync"))
        .await;
    caller
        .get(&format!("/v1/connections/{connection}/syncs"))
        .await;
    caller.get("/v1/changes?limit=20").await;
    caller.get("/v1/merge_rules").await;
    caller.get("/v1/identity_rules").await;
    caller.get("/v1/sources").await;
    search_everything(&caller).await;
    call_tools(&caller).await;
    browse_everything(case, base, &caller).await;
    for query in ["limit=20", "action=split.made&limit=20"] {
        caller.get(&format!("/v1/audit_events?{query}")).await;
    }
}

/// Every page for people that shows profiles, and a second page of each list that has one.
async fn browse_everything(case: &Case, base: &str, caller: &Caller) {
    let mut browser = signed_in(&case.world, base, case.tenant).await;
    let mut paths = vec!["/contacts".to_owned(), "/contacts?q=the".to_owned()];
    for list in ["contacts", "companies", "conversations"] {
        let first = caller.get(&format!("/v1/{list}?limit=1")).await;
        paths.push(format!(
            "/{list}/{}",
            first["items"][0]["id"].as_str().unwrap()
        ));
    }
    for path in paths {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
        if let Some((_, next)) = page.html.split_once("rel=\"next\" href=\"") {
            let next = next.split('"').next().unwrap().replace("&amp;", "&");
            assert_eq!(browser.get(&next).await.status, StatusCode::OK, "{next}");
        }
    }
}

/// A word that many objects have, one that few have, what names an object, and filters alone.
async fn search_everything(caller: &Caller) {
    let contacts = caller.get("/v1/contacts?limit=50").await;
    let known = contacts["items"].as_array().unwrap().iter();
    let known = known
        .filter_map(|contact| contact["email"].as_str())
        .next()
        .expect("an address");
    let conversation = caller.get("/v1/conversations?limit=1").await["items"][0].clone();
    let number = conversation["source_id"].as_str().unwrap();
    for (text, filters) in [
        ("the", json!({})),
        ("user", json!({})),
        ("nowhere to be found", json!({})),
        (known, json!({})),
        (number, json!({})),
        ("", json!({"state": "open"})),
        ("", json!({"contact_id": conversation["contact_ids"][0]})),
        ("the", json!({"active_since": "2026-01-01T00:00:00Z"})),
    ] {
        let body = json!({"q": text, "filters": filters, "limit": 20});
        let (status, found) = caller.call(Method::POST, "/v1/search", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{found}");
    }
}

/// What only the tools for models read.
async fn call_tools(caller: &Caller) {
    let contacts = caller.get("/v1/contacts?limit=50").await;
    let has_address = |contact: &&Value| contact["email"].is_string();
    let known = contacts["items"].as_array().unwrap().iter();
    let known = known
        .clone()
        .find(has_address)
        .expect("somebody has an address");
    let company = &caller.get("/v1/companies?limit=1").await["items"][0]["id"];
    let conversation = &caller.get("/v1/conversations?limit=1").await["items"][0]["source_id"];
    for (name, arguments) in [
        (
            "get_contact",
            json!({"email": known["email"], "detail": "detailed"}),
        ),
        ("get_contact_timeline", json!({"contact_id": known["id"]})),
        ("search_profiles", json!({"query": "user"})),
        ("search_conversations", json!({"count_by": "company"})),
        ("get_company", json!({"company_id": company})),
        ("get_conversation", json!({"number": conversation})),
        ("get_sync_status", json!({})),
        ("describe_fields", json!({"object": "contact"})),
    ] {
        let params = json!({"name": name, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let (status, answer) = caller.call(Method::POST, "/mcp", Some(message)).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        assert_eq!(answer["result"]["isError"], false, "{name}: {answer}");
    }
}

/// A person whom two sources know, with a company and events: sent, changed, parted, joined again, deleted and removed.
async fn send_everything(case: &Case, base: &str) {
    let caller = Caller::service(&case.world, base, Some(case.tenant));
    let contacts = caller.get("/v1/contacts?limit=50").await;
    let has_address = |contact: &&Value| contact["email"].is_string();
    let known = contacts["items"].as_array().unwrap();
    let known = known
        .iter()
        .find(has_address)
        .expect("somebody has an address");
    let send = async |object: &str, second: usize, fields: Value, deleted: bool| {
        let record = json!({
            "source_id": "1", "source_updated_at": format!("2026-11-01T12:00:0{second}Z"), "fields": fields, "deleted": deleted,
        });
        let taken = caller.send("crm", object, &[record]).await;
        assert_eq!(taken["accepted"], 1, "{taken}");
    };
    let person = json!({"email": known["email"]});
    let event = json!({"contact": "1", "kind": "page_view", "occurred_at": "2026-11-01T12:00:00Z"});
    for second in 0..2 {
        let company = json!({"domain": format!("plans{second}.example")});
        send("company", second, company, false).await;
        send("contact", second, person.clone(), false).await;
        send("event", second, event.clone(), false).await;
    }
    let id = known["id"].as_str().unwrap();
    let joined = caller.get(&format!("/v1/contacts/{id}")).await;
    for rest in ["timeline?limit=20", "identities"] {
        caller.get(&format!("/v1/contacts/{id}/{rest}")).await;
    }
    let crm = joined["sources"].as_array().unwrap().iter();
    let crm: Vec<Value> = crm
        .filter(|source| source["source"] == "crm")
        .map(|source| json!({"connection_id": source["connection_id"], "source_id": source["source_id"]}))
        .collect();
    assert_eq!(crm.len(), 1, "{joined}");
    let split = format!("/v1/contacts/{id}/split");
    let body = Some(json!({"sources": crm}));
    let (status, parted) = caller.call(Method::POST, &split, body).await;
    assert_eq!(status, StatusCode::OK, "{parted}");
    let end = format!("{split}/{}", parted["id"].as_str().unwrap());
    assert_eq!(
        caller.call(Method::DELETE, &end, None).await.0,
        StatusCode::OK
    );
    for rules in [json!({"contacts": {"default": ["email"]}}), json!({})] {
        let set = caller
            .call(Method::PUT, "/v1/merge_rules", Some(rules))
            .await;
        assert_eq!(set.0, StatusCode::OK);
    }
    let address = json!({"kind": "email", "value": known["email"]});
    for rules in [json!({"contacts": {"blocked": [address]}}), json!({})] {
        let set = caller
            .call(Method::PUT, "/v1/identity_rules", Some(rules))
            .await;
        assert_eq!(set.0, StatusCode::OK);
    }
    for (object, fields) in [
        ("company", json!({})),
        ("contact", json!({})),
        ("event", json!({})),
    ] {
        send(object, 5, fields, true).await;
    }
    erase_somebody(&caller).await;
    caller.remove_source("crm").await;
}

/// A person whom one source knows, with an event: erased, asked for, and sent once more.
async fn erase_somebody(caller: &Caller) {
    let send = async |object: &str, id: &str, fields: Value| {
        let record =
            json!({"source_id": id, "source_updated_at": "2026-11-01T12:00:00Z", "fields": fields});
        caller.send("crm", object, &[record]).await
    };
    let id = uuid::Uuid::now_v7().to_string();
    let person = json!({"email": format!("{id}@plans.example")});
    send("contact", &id, person.clone()).await;
    let event = json!({"contact": id, "kind": "page_view", "occurred_at": "2026-11-01T12:00:00Z"});
    send("event", &id, event.clone()).await;
    let newest = caller.get("/v1/contacts?limit=1").await;
    let contact = newest["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/contacts/{contact}/erasure");
    for _ in 0..2 {
        let (status, erasure) = caller.call(Method::POST, &path, None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{erasure}");
    }
    for (object, fields) in [("contact", person), ("event", event)] {
        let taken = send(object, &id, fields).await;
        assert_eq!(taken["accepted"], 0, "{taken}");
    }
    caller.get("/v1/erasures?limit=20").await;
}

/// A poll that finds a new, a changed and a merged contact and a new and a changed conversation, with their threads.
async fn change_everything(case: &Case) {
    for mutation in [
        Mutation::add(Kind::Contact, 2),
        Mutation::update(Kind::Contact, 2),
        Mutation::merge(1),
        Mutation::add(Kind::Conversation, 2),
        Mutation::grow(Kind::Conversation, 2),
    ] {
        case.mutate(mutation);
    }
    case.poll().await;
    case.until_complete().await;
}
