//! Injected faults do what they say, to the calls they name, as often as told.

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction, Garble, Kind, Latency, WorkspaceSpec};
use serde_json::{Value, json};

use crate::client::Client;
use crate::{small, with};

fn action(action: FaultAction) -> Fault {
    Fault::new(action)
}

#[tokio::test]
async fn a_fault_hits_the_nth_matching_calls_only() {
    let (simulator, workspace, client) = with(small()).await;
    let other = simulator.add_workspace(WorkspaceSpec { seed: 2, ..small() });
    let id = simulator.inject(
        Fault::status(503)
            .workspace(workspace.id_code())
            .path("/contacts*")
            .skip(1)
            .times(2),
    );
    let mut statuses = Vec::new();
    for path in ["/contacts", "/me", "/contacts", "/contacts/x", "/contacts"] {
        statuses.push(client.get(path).await.status);
    }
    assert_eq!(statuses, [200, 200, 503, 503, 200]);
    assert_eq!(
        Client::new(&simulator, &other)
            .get("/contacts")
            .await
            .status,
        200
    );
    assert_eq!(simulator.fault_hits(id), 2);

    let always = simulator.inject(Fault::status(404).operation("search_conversations"));
    let body = json!({"query": {"field": "open", "operator": "=", "value": true}});
    assert_eq!(
        client.post("/conversations/search", &body).await.status,
        404
    );
    simulator.clear_fault(always);
    assert_eq!(
        client.post("/conversations/search", &body).await.status,
        200
    );
    // Hit calls still cost rate.
    simulator.inject(Fault::status(500).times(1));
    assert!(
        client
            .get("/me")
            .await
            .header("x-ratelimit-limit")
            .is_some()
    );
}

#[tokio::test]
async fn broken_connections_break() {
    let (simulator, _, client) = with(small()).await;
    simulator.inject(action(FaultAction::Reset).times(1));
    assert!(client.call("GET", "/me", None).await.is_err());
    assert_eq!(simulator.ledger().by_status[&0], 1);
    simulator.inject(action(FaultAction::Truncate { keep: 40 }).times(1));
    assert!(client.call("GET", "/contacts", None).await.is_err());
    assert_eq!(client.get("/me").await.status, 200);
}

#[tokio::test]
async fn wrong_bodies_are_wrong() {
    let (simulator, _, client) = with(small()).await;
    simulator.inject(action(FaultAction::Html { status: 502 }).times(1));
    let html = client.get("/me").await;
    assert_eq!(html.status, 502);
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    simulator.inject(action(FaultAction::Empty).times(1));
    let empty = client.get("/me").await;
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    let status = FaultAction::Status {
        status: 429,
        body: Some("{}".into()),
        headers,
    };
    simulator.inject(action(status).times(1));
    assert_eq!(client.get("/me").await.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn slow_answers_are_slow_and_right() {
    let (simulator, _, client) = with(small()).await;
    let right = client.get("/me").await.ok();
    let timed = |client: Client| async move {
        let started = Instant::now();
        let body = client.get("/me").await.ok();
        (started.elapsed(), body)
    };
    simulator.inject(action(FaultAction::Delay { millis: 120 }).times(1));
    let (took, body) = timed(client.clone()).await;
    assert!(took >= Duration::from_millis(120) && body == right);
    simulator.inject(
        action(FaultAction::Drip {
            bytes: 100,
            millis: 20,
        })
        .times(1),
    );
    let (took, body) = timed(client.clone()).await;
    assert!(took >= Duration::from_millis(80) && body == right);
    simulator.set_latency(Latency::Between(50, 60));
    let (took, _) = timed(client).await;
    assert!(took >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_held_answer_is_that_of_its_time_until_it_is_released() {
    let (simulator, workspace, client) = with(small()).await;
    let right = client.get("/contacts").await.ok();
    for after in [0, 40] {
        let held = simulator.inject(action(FaultAction::Hold { after }).times(1));
        let sent = simulator.bytes_sent();
        let caller = client.clone();
        let call = tokio::spawn(async move { caller.get("/contacts").await });
        while simulator.fault_hits(held) == 0 || simulator.bytes_sent() < sent + after as u64 {
            tokio::task::yield_now().await;
        }
        workspace.mutate(intercom_simulator::Mutation::add(Kind::Contact, 1));
        // Others are not held, and do not end it.
        let now = client.get("/contacts").await.ok();
        assert_ne!(now["total_count"], right["total_count"]);
        assert!(!call.is_finished(), "after {after} bytes");
        simulator.clear_fault(held);
        let body = call.await.expect("an answer").ok();
        assert_eq!(
            body["total_count"].as_u64().map(|count| count + 1),
            now["total_count"].as_u64()
        );
    }
}

#[tokio::test]
async fn one_object_of_a_page_can_be_garbled() {
    let (simulator, workspace, client) = with(small()).await;
    let right = client.get("/contacts").await.ok();
    let garbled = |how: Garble, id: Option<String>| {
        let (simulator, client) = (simulator.clone(), client.clone());
        async move {
            let garble = FaultAction::Garble {
                how,
                id,
                place: 3,
                part: false,
            };
            simulator.inject(action(garble).times(1));
            client.get("/contacts").await
        }
    };
    for (how, hurts) in [
        (Garble::Null, Value::Null),
        (Garble::NotAnObject, json!("not an object")),
    ] {
        let page = garbled(how, None).await.ok();
        assert_eq!(page["data"][3], hurts);
        assert_eq!(page["data"][2], right["data"][2]);
    }
    let id = right["data"][5]["id"].as_str().expect("an id").to_owned();
    let page = garbled(Garble::WrongTypes, Some(id)).await.ok();
    assert_eq!(page["data"][5]["updated_at"], "yesterday");
    let text =
        String::from_utf8_lossy(&garbled(Garble::LoneSurrogate, None).await.body).into_owned();
    assert!(text.contains("half \\ud83d a pair"));
    let deep = garbled(Garble::Deep, None).await;
    assert!(
        serde_json::from_slice::<Value>(&deep.body).is_err(),
        "deeper than parsers go"
    );

    let line = workspace
        .truth()
        .into_iter()
        .find(|line| line.kind == Kind::Part)
        .expect("a part");
    let id = line.parent.expect("a conversation");
    let garble = FaultAction::Garble {
        how: Garble::NoId,
        id: Some(line.id),
        place: 0,
        part: true,
    };
    simulator.inject(action(garble).times(1));
    let thread = client.get(&format!("/conversations/{id}")).await.ok();
    let parts = thread["conversation_parts"]["conversation_parts"]
        .as_array()
        .expect("parts");
    assert_eq!(
        parts.iter().filter(|part| part.get("id").is_none()).count(),
        1
    );
}

#[tokio::test]
async fn any_bytes_can_stand_for_an_object() {
    let (_simulator, workspace, client) = with(small()).await;
    let first = client.get("/contacts").await.ok()["data"][0]["id"].clone();
    let id = first.as_str().expect("an id");
    assert!(workspace.put_raw(Kind::Contact, id, "{\"id\":\"x\\u0000\",\"bad\":1e999}"));
    assert!(!workspace.put_raw(Kind::Contact, "none", "{}"));
    let page = client.get("/contacts").await;
    assert!(String::from_utf8_lossy(&page.body).contains("x\\u0000"));
    workspace.mutate(intercom_simulator::Mutation::update(Kind::Contact, 1).ids([id]));
    assert!(String::from_utf8_lossy(&client.get("/contacts").await.body).contains("1e999"));
}
