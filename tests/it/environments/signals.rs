//! SIGTERM ends every role in time, whatever clients do and whatever it is doing.

use std::{io::Write as _, net::TcpStream};

use shared::domain::Stream;

use crate::support::{World, held, tiny, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_every_role_whatever_its_clients_do() {
    let world = World::with(&[("DRAIN_LIMIT", "300ms")]).await;
    for role in ["api", "scheduler", "worker", "all"] {
        let (mut process, address) = world.listening_with(role, &[]);
        let clients = [
            "",
            "GET /readyz HT",
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal",
        ];
        let _open = clients.map(|sent| {
            let mut client = TcpStream::connect(&address).unwrap();
            client.write_all(sent.as_bytes()).unwrap();
            client
        });
        let alive = reqwest::get(format!("http://{address}/livez"))
            .await
            .unwrap();
        assert_eq!(alive.status(), 200);
        process.terminate();
        assert!(
            process.ended().await.success(),
            "{role}: {}",
            process.written()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_under_way_is_handed_back_and_counts_as_no_crash() {
    let world = World::with(&[("DRAIN_LIMIT", "300ms")]).await;
    let case = world.case(tiny()).await;
    let late = case.inject(held().operation("scroll_companies").times(1));
    let case = case.connect().await;
    let _scheduler = world.process("scheduler");
    let mut worker = world.process("worker");
    case.until_hit(late).await;
    worker.terminate();
    assert!(worker.ended().await.success());
    assert_eq!(case.crashes_of(Stream::Companies).await, Some(0));
    case.clear_fault(late);
    case.workspace.release_scroll();
    let _worker = world.process("worker");
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_for_a_server_ends_with_a_signal() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // It accepts and never answers.
    let silent = format!("postgres://u@{}/x", listener.local_addr().unwrap());
    let world = World::new().await;
    let mut process = world.process_with("worker", &[("PATHBOUND_DATABASE_URL", &silent)]);
    let connection = listener.accept().unwrap();
    process.terminate();
    assert!(process.ended().await.success());
    drop(connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_process_at_once() {
    let world = World::with(&[("DRAIN_LIMIT", "1h")]).await;
    let case = world.case(tiny()).await;
    let late = case.inject(held().operation("list_contacts"));
    let case = case.connect().await;
    let (mut process, address) = world.listening_with("all", &[]);
    case.until_hit(late).await;
    process.terminate();
    // The first signal has closed the listener, so it has been heard.
    wait_for("the listener is closed", async || {
        let open = std::net::TcpStream::connect(&address);
        open.map_or(Ok(()), |_| Err("it is open".to_owned()))
    })
    .await;
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(130));
}

/// The status of a request on a connection of its own.
async fn status_of(address: &str, path: &str) -> Result<u16, String> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    let answer = client
        .build()
        .unwrap()
        .get(format!("http://{address}{path}"));
    let answer = answer.send().await.map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_serves_on_for_a_while_and_says_that_it_stops() {
    let world = World::with(&[("SHUTDOWN_DELAY", "1h")]).await;
    let (mut api, ops) = world.listening_with("api", &[("PATHBOUND_LISTEN", "127.0.0.1:0")]);
    crate::support::Process::until_ready(&ops).await;
    let address = api.api_address();
    api.terminate();
    wait_for("it is not ready", async || {
        match status_of(&ops, "/readyz").await? {
            503 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let said = reqwest::get(format!("http://{ops}/readyz")).await.unwrap();
    let said: serde_json::Value = said.json().await.unwrap();
    assert_eq!(said["checks"]["process"], "is stopping");
    // New connections, as a load balancer makes them that has not found out yet.
    for _ in 0..20 {
        assert_eq!(status_of(&address, "/openapi.json").await, Ok(200));
    }
    assert_eq!(status_of(&ops, "/livez").await, Ok(200));
    api.terminate();
    assert_eq!(api.ended().await.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_delay_ends_and_is_none_for_other_roles() {
    let world = World::with(&[("SHUTDOWN_DELAY", "200ms")]).await;
    let (mut api, _) = world.listening_with("api", &[("PATHBOUND_LISTEN", "127.0.0.1:0")]);
    api.terminate();
    assert!(api.ended().await.success(), "{}", api.written());
    for role in ["worker", "scheduler"] {
        // A role that waited would never end.
        let (mut process, _) = world.listening_with(role, &[("PATHBOUND_SHUTDOWN_DELAY", "1000h")]);
        process.terminate();
        assert!(process.ended().await.success(), "{role}");
    }
}
