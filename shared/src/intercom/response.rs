//! From a received response to a body that can be parsed, or to the error that it stands for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use reqwest::header::{DATE, HeaderMap, LINK, RETRY_AFTER};

use super::{
    Error,
    memory::{MAX_RESPONSE_BYTES, MemoryPermit},
    transport::{RawResponse, ReceivedBody},
    wire,
};
use crate::pacing::RateLimitHeaders;

/// The end of 2010. Intercom did not exist before.
const BEFORE_INTERCOM: DateTime<Utc> = DateTime::from_timestamp(1_293_839_999, 0).expect("a time");

/// No pause that a header asks for is longer, in seconds.
const MAX_RETRY_AFTER_SECONDS: u64 = 300;

/// The body of a 2xx response, and the time by Intercom's own clock.
///
/// The body counts in the process's response memory until this is dropped. Keep it, or its permit, until what was read
/// from it is stored. Never wait for another response while this one [is large](Response::is_large), because the other
/// one may need its slot. [Release its slot](Response::release_slot) first.
#[derive(Debug)]
pub struct Response {
    pub body: String,
    pub at: DateTime<Utc>,
    /// Whether `body` is only an outline: a page of one record that is too large. The outline has the
    /// record's short fields alone, so the record must not be stored from it.
    pub is_outline: bool,
    /// The memory of the body.
    permit: Mutex<MemoryPermit>,
}

impl Response {
    /// Whether the response takes a large slot of the process's memory. What was read from it should be stored soon,
    /// because others wait for the slot.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.permit.lock().is_large()
    }

    /// Drops the body and keeps its place in the process's memory, for the records that were read from it.
    #[must_use]
    pub fn into_permit(self) -> MemoryPermit {
        self.permit.into_inner()
    }

    /// The body and its place in the process's memory.
    #[must_use]
    pub fn into_parts(self) -> (String, MemoryPermit) {
        (self.body, self.permit.into_inner())
    }

    /// Gives a large slot back, before the caller waits for another response and still keeps this one. The body moves
    /// into the shared part of the memory. If that is full, the body is only counted.
    pub fn release_slot(&self) {
        self.permit.lock().release_slot();
    }

    /// The size of the body in bytes. The body of an outline was larger than any that is kept, so its
    /// size is the largest there may be.
    #[must_use]
    pub const fn size(&self) -> usize {
        if self.is_outline {
            MAX_RESPONSE_BYTES
        } else {
            self.body.len()
        }
    }
}

/// Counts a response, and returns its body if it is a 2xx with a JSON object.
///
/// # Errors
/// The meaning of any other response, see [`Error`].
pub(super) fn classify_response(
    response: RawResponse,
    endpoint: &'static str,
) -> Result<Response, Error> {
    count_call(endpoint, status_class(response.status));
    if !(200..300).contains(&response.status) {
        let link = header(&response.headers, LINK.as_str());
        return Err(Error::from_response(
            response.status,
            response.body.whole(),
            link,
            endpoint,
        ));
    }
    let (body, is_outline) = match response.body {
        ReceivedBody::Whole(body) => (body, false),
        ReceivedBody::Outline(body) => (body, true),
        ReceivedBody::TooLarge | ReceivedBody::NoMemory => {
            return Err(Error::TooLarge(MAX_RESPONSE_BYTES));
        }
    };
    let body = wire::readable(body.into());
    // Proxies answer 200 with an empty body or an HTML page. Neither may pass for an empty list.
    if !body.trim_ascii_start().starts_with('{') {
        return Err(Error::Unavailable(
            "the response is not a JSON object".to_owned(),
        ));
    }
    Ok(Response {
        body,
        at: server_time(&response.headers),
        is_outline,
        permit: Mutex::new(response.permit),
    })
}

/// Counts one call. `none` is the status of a call without a usable response.
pub(super) fn count_call(endpoint: &'static str, status: &'static str) {
    tracing::Span::current().record("status", status);
    metrics::counter!("pathbound_intercom_requests_total", "endpoint" => endpoint, "status" => status)
        .increment(1);
}

/// The rate headers (`X-RateLimit-Limit`, `-Remaining`, `-Reset`). Any may be missing or absurd.
#[must_use]
pub fn rate_limit_headers(headers: &HeaderMap) -> RateLimitHeaders {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    RateLimitHeaders {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset: number("x-ratelimit-reset"),
        date: date(headers).and_then(|date| date.timestamp().try_into().ok()),
        retry_after: number(RETRY_AFTER.as_str())
            .map(|seconds| Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS))),
    }
}

/// The status as the metrics' label, which has few values.
const fn status_class(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        401 => "401",
        402 | 403 => "403",
        404 | 410 => "404",
        429 => "429",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// The time of a response by the server's own clock, or by ours if the server's is absurd.
fn server_time(headers: &HeaderMap) -> DateTime<Utc> {
    let now = Utc::now();
    // A watermark made of a time years ahead would never come back. By a time before Intercom, every
    // record would seem to have changed in the future, and would be quarantined.
    date(headers)
        .filter(|at| BEFORE_INTERCOM < *at && *at < now + TimeDelta::days(366))
        .unwrap_or(now)
}

fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(header(headers, DATE.as_str())?).ok()?;
    Some(date.with_timezone(&Utc))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
