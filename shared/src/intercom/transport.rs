//! The wire: one place that sends, with time limits, a size limit and no redirects.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use super::{
    Error,
    endpoint::Request,
    memory::{MAX_RESPONSE_BYTES, MemoryPermit, ResponseMemory},
    outline::Outline,
    wire,
};
use crate::{config::Config, domain::Secret, egress};

/// A larger page of one record is read on for its outline up to this size.
const MAX_OUTLINED_BYTES: usize = 256 << 20;

const VERSION: HeaderName = HeaderName::from_static("intercom-version");

/// The HTTP client. Its field is private, so nothing else can send.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Client,
    /// Of a whole call, without the time that its response waits for memory here.
    timeout: Duration,
    memory: ResponseMemory,
}

/// A response as it was received, before it is classified.
#[derive(Debug)]
pub(super) struct RawResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: ReceivedBody,
    pub permit: MemoryPermit,
}

/// The body of a response, as far as it was kept.
#[derive(Debug)]
pub(super) enum ReceivedBody {
    Whole(Bytes),
    /// The body was larger than [`MAX_RESPONSE_BYTES`]. Its outline was kept.
    Outline(Bytes),
    /// The body was larger than [`MAX_RESPONSE_BYTES`], and nothing of it was kept.
    TooLarge,
    /// Nothing of the body was kept, because other bodies take all the memory.
    NoMemory,
}

impl ReceivedBody {
    /// The body if all of it was kept, else nothing.
    pub(super) fn whole(&self) -> &[u8] {
        if let Self::Whole(body) = self {
            body
        } else {
            &[]
        }
    }
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            http: egress::client(config).map_err(Error::Unavailable)?,
            timeout: config.intercom.request_timeout,
            memory: ResponseMemory::new(config.response_memory),
        })
    }

    pub(super) const fn memory(&self) -> &ResponseMemory {
        &self.memory
    }

    /// Sends one read. A body makes it a POST, which only a search has.
    pub(super) async fn read(
        &self,
        host: &str,
        token: &Secret,
        version: &str,
        request: Request,
    ) -> Result<RawResponse, Error> {
        let url = Url::parse(&format!("{host}{}", request.path))
            .map_err(|_| Error::Unavailable("bad host".to_owned()))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Error::Unavailable("the token is not a header value".to_owned()))?;
        // Keeps the token out of the debug output of a request.
        authorization.set_sensitive(true);
        let version = HeaderValue::try_from(version)
            .map_err(|_| Error::Unavailable("bad version".to_owned()))?;
        let call = match request.body {
            None => self.http.get(url),
            Some(body) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body),
        };
        let call = call
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(VERSION, version);
        self.receive(call, request.of_one).await
    }

    /// Sends the token exchange. A status other than 200 is an error, because its body has no other use.
    pub(super) async fn exchange(&self, url: Url, form: String) -> Result<RawResponse, Error> {
        let call = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let answer = self.receive(call, false).await?;
        if answer.status == StatusCode::OK.as_u16() {
            Ok(answer)
        } else {
            Err(refused_exchange(answer.status, answer.body.whole()))
        }
    }

    async fn receive(
        &self,
        call: reqwest::RequestBuilder,
        of_one: bool,
    ) -> Result<RawResponse, Error> {
        let mut left = self.timeout;
        let mut response = within(&mut left, call.send()).await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut permit = self.memory.permit();
        let mut body = BytesMut::new();
        while let Some(chunk) = within(&mut left, response.chunk()).await? {
            if body.is_empty() {
                // Reserve the announced length at once. Growth by doubling would take up to twice the
                // memory that the permit accounts for.
                let announced = response
                    .content_length()
                    .unwrap_or(0)
                    .min(MAX_RESPONSE_BYTES as u64) as usize;
                body = BytesMut::with_capacity(chunk.len() + announced);
            }
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                let outline = if of_one {
                    Some(outline(response, left, body, &chunk).await?)
                } else {
                    None
                };
                // Nothing of the body is kept, so its bytes go back to the budget now.
                permit.clear();
                return Ok(RawResponse {
                    status,
                    headers,
                    body: outline.unwrap_or(ReceivedBody::TooLarge),
                    permit,
                });
            }
            if permit.grow(chunk.len()).await.is_err() {
                return Ok(RawResponse {
                    status,
                    headers,
                    body: ReceivedBody::NoMemory,
                    permit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(RawResponse {
            status,
            headers,
            body: ReceivedBody::Whole(body.freeze()),
            permit,
        })
    }
}

/// The error of a token exchange. A 4xx with a code refuses the customer's code, so the flow has to begin again. Any
/// other answer says nothing about it.
fn refused_exchange(status: u16, body: &[u8]) -> Error {
    match wire::exchange_error_code(body) {
        Some(code) if (400..500).contains(&status) && status != 429 => {
            Error::refused(status, code, None, "token")
        }
        _ => Error::not_intercoms(status),
    }
}

/// Waits for `call` no longer than the time left, and takes the wait from it.
async fn within<T>(
    left: &mut Duration,
    call: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, Error> {
    let started_at = Instant::now();
    let answer = tokio::time::timeout(*left, call)
        .await
        .map_err(|_| Error::Unavailable("timed out".to_owned()))?;
    *left = left.saturating_sub(started_at.elapsed());
    answer.map_err(|error| unavailable(&error))
}

/// Reads the rest of a body that is too large, and keeps no more of it than its outline.
async fn outline(
    mut response: reqwest::Response,
    mut left: Duration,
    body: BytesMut,
    chunk: &[u8],
) -> Result<ReceivedBody, Error> {
    let mut outline = Outline::default();
    let mut read = body.len() + chunk.len();
    let mut has_outline = outline
        .read(&body)
        .and_then(|()| outline.read(chunk))
        .is_ok();
    // The bytes so far are in the outline. The rest of the response may be eight times as large.
    drop(body);
    while has_outline {
        let Some(chunk) = within(&mut left, response.chunk()).await? else {
            return Ok(ReceivedBody::Outline(outline.into_bytes().into()));
        };
        read += chunk.len();
        has_outline = read <= MAX_OUTLINED_BYTES && outline.read(&chunk).is_ok();
    }
    Ok(ReceivedBody::TooLarge)
}

/// What failed, without the URL: a cursor in it may hold a customer's id.
fn unavailable(error: &reqwest::Error) -> Error {
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut short"
    } else {
        "the connection broke"
    };
    Error::Unavailable(what.to_owned())
}
