//! How fast the simulator itself is, so that benchmarks know what they cannot exceed.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

use crate::options::Options;
use crate::simulator::Simulator;
use crate::spec::WorkspaceSpec;

/// What [`self_bench`] measured. The client runs in the same process, so a second core helps.
#[derive(Debug, Clone, Serialize)]
pub struct SelfBench {
    /// `GET /conversations/{id}` with about eight parts, per second, over eight connections.
    pub threads_per_second: f64,
    /// Mean bytes of such an answer.
    pub thread_bytes: u64,
    /// Pages of 150 contacts, per second, of sorted searches that were counted before.
    pub contact_pages_per_second: f64,
    /// The same for searches that are new, so that all their results are counted first.
    pub fresh_contact_searches_per_second: f64,
    /// Mean bytes of such a page.
    pub contact_page_bytes: u64,
    /// Seconds to make a workspace of 100,000 contacts.
    pub generate_100k_contacts_seconds: f64,
}

const CONNECTIONS: usize = 8;
/// Seconds of 30 days.
const MONTH: usize = 30 * 86_400;
const TIME: Duration = Duration::from_secs(3);

/// Measures the simulator over real HTTP for a few seconds.
///
/// # Errors
/// Where it does not start or a connection breaks.
pub async fn self_bench() -> io::Result<SelfBench> {
    let simulator = Simulator::start(Options {
        ledger_rows: false,
        ..Options::default()
    })
    .await
    .map_err(io::Error::other)?;
    let started = Instant::now();
    let workspace = simulator.add_workspace(WorkspaceSpec {
        contacts: 100_000,
        companies: 2_000,
        conversations: 2_000,
        parts: 8.0,
        limit_per_window: u32::MAX,
        ..WorkspaceSpec::default()
    });
    let made = started.elapsed().as_secs_f64();
    let token = workspace.token();
    let threads: Vec<String> = workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == crate::Kind::Conversation)
        .map(|line| format!("/conversations/{}", line.id))
        .collect();
    let (threads_per_second, thread_bytes) = measure(&simulator, &token, |n| {
        (threads[n % threads.len()].clone(), None)
    })
    .await?;
    let now = simulator.clock().now();
    let search = |seconds: usize| {
        let after = now - i64::try_from(seconds).unwrap_or(1);
        let body = format!(
            "{{\"query\":{{\"field\":\"updated_at\",\"operator\":\">\",\"value\":{after}}},\
             \"sort\":{{\"field\":\"updated_at\",\"order\":\"ascending\"}},\
             \"pagination\":{{\"per_page\":150}}}}"
        );
        ("/contacts/search".to_owned(), Some(body))
    };
    let (pages_per_second, page_bytes) =
        measure(&simulator, &token, |n| search(MONTH * (n % 16 + 1))).await?;
    let (fresh_per_second, _) = measure(&simulator, &token, |n| search(12 * MONTH + n)).await?;
    simulator.stop().await;
    Ok(SelfBench {
        threads_per_second,
        thread_bytes,
        contact_pages_per_second: pages_per_second,
        fresh_contact_searches_per_second: fresh_per_second,
        contact_page_bytes: page_bytes,
        generate_100k_contacts_seconds: made,
    })
}

/// Calls as fast as some connections can. Returns calls per second and mean bytes.
async fn measure(
    simulator: &Simulator,
    token: &str,
    call: impl Fn(usize) -> (String, Option<String>),
) -> io::Result<(f64, u64)> {
    let address = simulator.url().replace("http://", "");
    let end = Instant::now() + TIME;
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let calls: Vec<_> = (0..2000).map(|n| call(connection * 2000 + n)).collect();
        clients.spawn(client(address.clone(), token.to_owned(), calls, end));
    }
    let (mut count, mut bytes) = (0_u64, 0_u64);
    while let Some(done) = clients.join_next().await {
        let (calls, read) = done.map_err(io::Error::other)??;
        count += calls;
        bytes += read;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand calls")]
    let rate = count as f64 / started.elapsed().as_secs_f64();
    Ok((rate, bytes / count.max(1)))
}

async fn client(
    address: String,
    token: String,
    calls: Vec<(String, Option<String>)>,
    end: Instant,
) -> io::Result<(u64, u64)> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let (mut count, mut bytes) = (0, 0);
    for (path, body) in calls.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let request = Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(path)
            .header("host", &address)
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("intercom-version", "2.16")
            .body(Full::new(Bytes::from(body.clone().unwrap_or_default())))
            .map_err(io::Error::other)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(format!("{path}: {}", response.status())));
        }
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        count += 1;
        bytes += body.to_bytes().len() as u64;
    }
    Ok((count, bytes))
}
