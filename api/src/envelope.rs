//! What surrounds every request: its id, its time limit, its log line, and the form of its errors.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;

use crate::error::{ApiError, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Two calls to Intercom (10 s each) and some statements fit in; what takes longer is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The outermost layer. Logs path patterns and never a query string, which may hold a code or state.
pub(crate) async fn envelope(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());

    let answer = tokio::time::timeout(
        TIME_LIMIT,
        AssertUnwindSafe(next.run(request)).catch_unwind(),
    );
    let response = match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(%method, route, request = id, "a handler panicked");
            ApiError::internal().into_response()
        }
        Err(_) => {
            tracing::error!(%method, route, request = id, "a handler took longer than {TIME_LIMIT:?}");
            ApiError::unavailable().into_response()
        }
    };
    let mut response = as_problem(response, &id);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, route, status = response.status().as_u16(), ms, request = id, "request");
    response
}

/// The caller's id if it is a harmless word, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given
        .filter(harmless)
        .map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Writes an error out as problem+json, whoever made it. Pages for browsers stay pages.
fn as_problem(response: Response, instance: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() || is_page(&response) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts
        .extensions
        .remove::<Problem>()
        .unwrap_or_else(|| ApiError::of_status(status).into_problem());
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, Body::from(problem.to_json(instance)))
}

fn is_page(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_harmless_request_id_is_taken_over() {
        let id = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            request_id(&headers)
        };
        assert_eq!(id("abc-1.2_3"), "abc-1.2_3");
        assert_ne!(id("a b"), "a b");
        assert_ne!(id(""), "");
        assert_ne!(id("a\"}{\"x"), "a\"}{\"x");
    }
}
