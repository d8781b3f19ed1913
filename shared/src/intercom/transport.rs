//! The wire: one place that sends, with time limits, a size limit and no redirects.

use std::{sync::Once, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use url::Url;

use super::{Error, read::Request};
use crate::domain::Secret;

/// A decoded answer larger than this is cut off: a page of 150 large objects stays far below.
const LARGEST_ANSWER: usize = 32 << 20;

const VERSION: HeaderName = HeaderName::from_static("intercom-version");

/// The HTTP client; the field is private, so nothing else can send.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Client,
}

/// An answer as it came, before anybody judged it.
#[derive(Debug)]
pub(super) struct RawAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Transport {
    pub(super) fn new(timeout: Duration, https_only: bool) -> Result<Self, Error> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Fails only when somebody installed one before, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let http = Client::builder()
            .user_agent(concat!("pathbound/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .redirect(Policy::none())
            .https_only(https_only)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|error| Error::Unavailable(format!("no http client: {error}")))?;
        Ok(Self { http })
    }

    /// Sends one read. A body makes it a POST, which only a search has.
    pub(super) async fn read(
        &self,
        host: &str,
        token: &Secret,
        version: &str,
        request: Request,
    ) -> Result<RawAnswer, Error> {
        let url =
            Url::parse(&format!("{host}{}", request.path)).map_err(|_| Error::Unavailable("bad host".to_owned()))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Error::Unavailable("the token is not a header value".to_owned()))?;
        authorization.set_sensitive(true);
        let version = HeaderValue::try_from(version).map_err(|_| Error::Unavailable("bad version".to_owned()))?;
        let call = match request.body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body),
        };
        let call =
            call.header(AUTHORIZATION, authorization).header(ACCEPT, "application/json").header(VERSION, version);
        receive(call).await
    }

    /// Sends the token exchange; a non-2xx is an error here, since nothing else can be done with it.
    pub(super) async fn exchange(&self, url: Url, form: String) -> Result<RawAnswer, Error> {
        let call = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let answer = receive(call).await?;
        if answer.status == StatusCode::OK.as_u16() {
            Ok(answer)
        } else {
            Err(Error::from_answer(answer.status, &answer.body, None))
        }
    }
}

async fn receive(call: reqwest::RequestBuilder) -> Result<RawAnswer, Error> {
    let mut response = call.send().await.map_err(|error| unavailable(&error))?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&error))? {
        if body.is_empty() && response.content_length().is_none_or(|left| left == 0) {
            body = BytesMut::with_capacity(chunk.len());
        }
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::Unavailable(format!("the answer is larger than {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(RawAnswer { status, headers, body: body.freeze() })
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
