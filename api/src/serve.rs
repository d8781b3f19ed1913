//! Serves HTTP until the shutdown, and ends in time whatever its clients do.
//!
//! axum's own server waits after the shutdown until every client has sent its request and read its answer. A client that
//! does neither would keep the process alive, so that connections have a time limit here.

use std::{
    io::{Error, ErrorKind},
    pin::pin,
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::{pulse::Pulse, shutdown::Shutdown, telemetry::Repeats};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tower::ServiceExt;

/// A client has to send the head of a request within this time. It also ends a connection that is idle for so long, so
/// it is longer than load balancers keep one: a balancer would send a request into a connection that is being closed.
const HEAD_LIMIT: Duration = Duration::from_secs(620);
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Until the next try if the process has no descriptor left for a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// Serves until `shutdown`. Requests under way may go on for `drain` after that, then their connections are closed.
/// `pulse` beats while connections are accepted.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    drain: Duration,
    pulse: Pulse,
) {
    let mut connections = JoinSet::new();
    let refusals = Repeats::new();
    let mut beats = interval(BEAT_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = beats.tick() => pulse.beat(),
            // Ended connections are taken out, or their tasks would pile up.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared::log_end!(refusals.ended(), "accepts connections again");
                    connections.spawn(connection(stream, router.clone(), shutdown.clone()));
                }
                Err(error) => after_refusal(&error, &refusals).await,
            }
        }
    }
    // Closed first, so that a load balancer finds another process at once.
    drop(listener);
    let all_end = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, all_end).await.is_err() {
        let left = connections.len();
        tracing::warn!(left, "closed connections whose clients were not done");
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, shutdown: Shutdown) {
    // An answer is written at once, so that nothing is gained by holding its last part back.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: Request<Incoming>| {
        router.clone().oneshot(request.map(Body::new))
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), answer)
    );
    tokio::select! {
        // What breaks a connection is the client's matter, and a handler logs its own errors.
        _ = served.as_mut() => return,
        () = shutdown.cancelled() => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

async fn after_refusal(error: &Error, refusals: &Repeats) {
    let is_of_the_client = matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    );
    if !is_of_the_client {
        shared::log_failure!(refusals.failed(error), warn, { %error }, "could not accept a connection, trying again in a second");
        sleep(ACCEPT_BACKOFF).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use axum::routing::{get, post};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
        task::yield_now,
    };

    use super::*;

    /// More than fits into the buffers of a connection.
    const LARGE: usize = 64 << 20;

    async fn opened(
        router: Router,
        drain: Duration,
    ) -> (std::net::SocketAddr, Shutdown, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = serve(listener, router, shutdown.clone(), drain, Pulse::default());
        (address, shutdown, tokio::spawn(serving))
    }

    #[tokio::test]
    async fn no_client_keeps_the_server_alive() {
        let hangs = || async { std::future::pending::<&'static str>().await };
        let router = Router::new()
            .route("/large", get(|| async { vec![b'x'; LARGE] }))
            .route("/body", post(|body: axum::body::Bytes| async move { body }))
            .route("/hangs", get(hangs));
        let drain = Duration::from_millis(300);
        let (address, shutdown, serving) = opened(router, drain).await;
        let mut clients = Vec::new();
        for request in [
            "",
            "GET /large HT",
            "GET /large HTTP/1.1\r\nHost: x\r\n",
            "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal",
            "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            clients.push(client);
        }
        // Answered, so every earlier connection has been accepted.
        let mut first = [0; 12];
        clients[6].read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 404");
        let stopped_at = Instant::now();
        shutdown.cancel();
        timeout(Duration::from_secs(20), serving)
            .await
            .expect("it ends")
            .unwrap();
        assert!(
            stopped_at.elapsed() >= drain,
            "requests under way get their time"
        );
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_after_the_shutdown() {
        let (begun, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, waits) = (begun.clone(), goes_on.clone());
        let slow = move || async move {
            begins.notify_one();
            waits.notified().await;
            "done"
        };
        let router = Router::new().route("/", get(slow));
        // Longer than a busy machine takes.
        let drain = Duration::from_secs(60);
        let (address, shutdown, serving) = opened(router, drain).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        begun.notified().await;
        shutdown.cancel();
        // The server and the connection hear of it before the request goes on.
        for _ in 0..100 {
            yield_now().await;
        }
        goes_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        serving.await.unwrap();
    }
}
