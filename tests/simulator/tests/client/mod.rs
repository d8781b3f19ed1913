//! A small HTTP client for the simulator's own tests.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use intercom_simulator::{Simulator, Workspace};
use serde_json::Value;
use tokio::net::TcpStream;

/// Calls one simulator with one token and version.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: String,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The code of an error list.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .expect("an error code")
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON, where the call succeeded.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

impl Client {
    /// With the workspace's token and version 2.16.
    pub(crate) fn new(simulator: &Simulator, workspace: &Workspace) -> Self {
        Self::with_token(simulator, &workspace.token())
    }

    pub(crate) fn with_token(simulator: &Simulator, token: &str) -> Self {
        let client = Self {
            address: simulator.url().replace("http://", ""),
            headers: Vec::new(),
        };
        client
            .header("accept", "application/json")
            .header("intercom-version", "2.16")
            .header("authorization", &format!("Bearer {token}"))
    }

    /// With a header set, or left out where the value is empty.
    pub(crate) fn header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            other.headers.push((name.to_owned(), value.to_owned()));
        }
        other
    }

    pub(crate) fn version(&self, version: &str) -> Self {
        self.header("intercom-version", version)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(("application/json", body.to_string())))
            .await
            .expect("an answer")
    }

    /// Any call, on a connection of its own. `Err`: the connection ended early.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<Answer, hyper::Error> {
        let stream = TcpStream::connect(&self.address)
            .await
            .expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let (kind, body) = body.unwrap_or_default();
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}
