//! The program, and control over HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Client};
use crate::{small, with};

async fn put(client: &Client, method: &str, path: &str, body: Value) -> Answer {
    let body = Some(("application/json", body.to_string()));
    client
        .call(method, &format!("/_control/{path}"), body)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn what_handles_do_can_be_done_over_http() {
    let (simulator, workspace, client) = with(small()).await;
    let own = format!("workspaces/{}", workspace.id_code());
    let added = put(
        &client,
        "POST",
        "workspaces",
        json!({"seed": 9, "contacts": 5}),
    )
    .await
    .ok();
    let second = Client::with_token(&simulator, added["token"].as_str().expect("a token"));
    assert_eq!(second.get("/contacts").await.ok()["total_count"], 5);
    assert_eq!(
        put(&client, "POST", "workspaces", json!({"seed": 9}))
            .await
            .status,
        400
    );
    assert_eq!(
        put(&client, "POST", "workspaces", json!({"timezone": "X"}))
            .await
            .status,
        400
    );
    assert_eq!(
        put(&client, "POST", "workspaces", json!({"typo": 1}))
            .await
            .status,
        400
    );

    let mutation = json!(Mutation::update(Kind::Contact, 2));
    let ids = put(&client, "POST", &format!("{own}/mutate"), mutation)
        .await
        .ok();
    assert_eq!(ids["ids"].as_array().map(Vec::len), Some(2));
    let short = json!({"op": "grow", "kind": "conversation", "count": 2, "parts": 3});
    put(&client, "POST", &format!("{own}/mutate"), short)
        .await
        .ok();

    put(
        &client,
        "PUT",
        &format!("{own}/limit"),
        json!({"per_window": 0}),
    )
    .await
    .ok();
    assert_eq!(client.get("/me").await.status, 429);
    put(
        &client,
        "PUT",
        &format!("{own}/limit"),
        json!({"per_window": 999}),
    )
    .await
    .ok();
    put(
        &client,
        "PUT",
        &format!("{own}/tokens"),
        json!({"state": "revoked"}),
    )
    .await
    .ok();
    assert_eq!(client.get("/me").await.status, 401);
    put(
        &client,
        "PUT",
        &format!("{own}/tokens"),
        json!({"state": "valid"}),
    )
    .await
    .ok();
    put(
        &client,
        "PUT",
        &format!("{own}/plan"),
        json!({"conversations": false}),
    )
    .await
    .ok();
    assert_eq!(client.get("/conversations").await.status, 403);
    put(
        &client,
        "PUT",
        &format!("{own}/scroll"),
        json!({"hold_seconds": 60}),
    )
    .await
    .ok();
    assert_eq!(client.get("/companies/scroll").await.status, 400);

    let fault = json!(Fault::new(FaultAction::Empty).times(1));
    let id = put(&client, "POST", "faults", fault).await.ok()["id"].clone();
    assert!(client.get("/me").await.body.is_empty());
    assert_eq!(
        client.get(&format!("/_control/faults/{id}")).await.ok()["hits"],
        1
    );

    let before = client.get("/_control/clock").await.ok()["now"]
        .as_i64()
        .expect("a time");
    put(&client, "PUT", "clock", json!({"advance_seconds": 3600}))
        .await
        .ok();
    let after = client.get("/_control/clock").await.ok()["now"]
        .as_i64()
        .expect("a time");
    assert!((3600..3660).contains(&(after - before)));

    let truth = client.get(&format!("/_control/{own}/truth")).await;
    let lines = String::from_utf8(truth.body.to_vec()).expect("text");
    assert_eq!(lines.lines().count(), workspace.truth().len());
    let ledger = client.get("/_control/ledger").await.ok();
    assert_eq!(ledger["total"], json!(simulator.ledger().total));
    put(&client, "DELETE", "ledger", json!({})).await.ok();
    // Control calls themselves are not Intercom calls.
    assert_eq!(client.get("/_control/ledger").await.ok()["total"], 0);
    assert_eq!(client.get("/_control/nothing").await.status, 404);
}

#[tokio::test]
async fn a_stopped_simulator_answers_no_more() {
    let name = "the-one-that-stops";
    let spec = WorkspaceSpec {
        id_code: Some(name.to_owned()),
        ..small()
    };
    let (simulator, _, client) = with(spec).await;
    assert_eq!(client.get("/me").await.status, 200);
    simulator.stop().await;
    let address = simulator.url().replace("http://", "");
    // Nobody answers there, or a simulator of another test that has got the port meanwhile.
    if let Ok(mut stream) = TcpStream::connect(address).await {
        let question = "GET /_control/workspaces HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let mut answer = Vec::new();
        if stream.write_all(question.as_bytes()).await.is_ok() {
            stream.read_to_end(&mut answer).await.ok();
        }
        assert!(!String::from_utf8_lossy(&answer).contains(name));
    }
}

#[test]
fn the_program_says_where_it_listens_and_stops_when_told() {
    let specs = std::env::temp_dir().join(format!("specs-{}.json", std::process::id()));
    std::fs::write(
        &specs,
        r#"[{"id_code":"one","contacts":3},{"id_code":"two","region":"EU"}]"#,
    )
    .expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_intercom-simulator"))
        .arg("--workspaces")
        .arg(&specs)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    let told = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .expect("kill");
    assert!(told.success());
    assert!(child.wait().expect("its end").success());
    std::fs::remove_file(specs).expect("the file");
}
