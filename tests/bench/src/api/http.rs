//! A client of HTTP that costs next to nothing, so that it is not what is measured: one connection that is kept open,
//! requests whose bytes are ready, and answers that are counted and not parsed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shared::domain::TenantId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::load::Caller;
use crate::report::Failure;

/// What is sent again and again.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) tenant: TenantId,
    /// The tool, if it calls one.
    pub(super) tool: Option<&'static str>,
    /// The whole request as it goes over the wire.
    pub(super) bytes: Vec<u8>,
}

/// A connection to the API.
pub(super) struct HttpConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl HttpConnection {
    pub(super) async fn open(host: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(1 << 16),
        })
    }

    /// The body of the answer. Any status but 200 is a failure.
    pub(super) async fn answer(&mut self, request: &[u8]) -> Result<&[u8], Failure> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let (head, length) = loop {
            self.receive().await?;
            if let Some(head) = end_of_head(&self.received) {
                break (head, content_length(&self.received[..head])?);
            }
        };
        while self.received.len() < head + length {
            self.receive().await?;
        }
        if self.received.starts_with(b"HTTP/1.1 200 ") {
            Ok(&self.received[head..])
        } else {
            let answer = String::from_utf8_lossy(&self.received);
            Err(format!("a call was refused: {answer}").into())
        }
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            return Err("the API closed a connection".into());
        }
        Ok(())
    }
}

fn end_of_head(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

fn content_length(head: &[u8]) -> Result<usize, Failure> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or_else(|| format!("an answer has no length: {text}"))?;
    Ok(length.trim().parse()?)
}

/// One of the clients.
pub(super) struct HttpCaller {
    connection: HttpConnection,
    requests: Arc<Vec<Request>>,
}

impl HttpCaller {
    /// So many clients, each with a connection of its own.
    pub(super) async fn several(
        count: usize,
        host: &str,
        requests: &Arc<Vec<Request>>,
    ) -> Result<Vec<Self>, Failure> {
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            callers.push(Self {
                connection: HttpConnection::open(host).await?,
                requests: Arc::clone(requests),
            });
        }
        Ok(callers)
    }
}

impl Caller for HttpCaller {
    async fn call(&mut self, request: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.connection
            .answer(&self.requests[request].bytes)
            .await?;
        Ok(begun.elapsed())
    }
}
