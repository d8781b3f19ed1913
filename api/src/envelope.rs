//! The outermost layer of every request: its id, span, time limit and log line, and the form of its errors.

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
use shared::telemetry::Repeats;
use tracing::{Instrument, field::Empty};

use crate::error::{ApiError, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Two calls to Intercom (10 s each) and some statements fit into this time.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Requests that took longer, by their method. Their end is not known here.
static SLOW: Repeats = Repeats::new();

/// Marks an error that has another form than a problem, because a protocol asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbatim;

/// The outermost layer. It logs patterns of paths and never a query string, because a query may hold a
/// code or a state.
pub(crate) async fn envelope(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    // The gate fills in the tenant as soon as it is proven.
    let span = tracing::info_span!("request", id, route, tenant = Empty);
    answer(request, next, &id).instrument(span).await
}

async fn answer(request: Request, next: Next, id: &str) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match tokio::time::timeout(TIME_LIMIT, handler).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(%method, "a handler panicked");
            ApiError::internal().into_response()
        }
        Err(_) => {
            shared::log_failure!(SLOW.failed_as(method.as_str()), error, { %method }, "a handler took longer than {TIME_LIMIT:?}");
            ApiError::unavailable().into_response()
        }
    };
    let mut response = as_problem(response, id);
    set_headers(response.headers_mut(), id);
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, status = response.status().as_u16(), ms, "request");
    response
}

fn set_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    // The OAuth pages bring their own value.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// The caller's id if it is a harmless word, else a new one. It is written to logs, so it must not be
/// able to look like anything else there.
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

/// Writes every error as problem+json, also those that axum makes. Pages for browsers stay pages.
fn as_problem(response: Response, instance: &str) -> Response {
    let status = response.status();
    let is_success = !status.is_client_error() && !status.is_server_error();
    if is_success || is_page(&response) || response.extensions().get::<Verbatim>().is_some() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts
        .extensions
        .remove::<Problem>()
        .unwrap_or_else(|| ApiError::of_status(status).into_problem());
    // A code has one status, which replaces a rarer one of a library.
    parts.status = problem.code.status();
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
    use std::io::Write;

    use axum::{Router, middleware::from_fn, routing::get};
    use serde_json::{Value, json};
    use shared::domain::TenantId;
    use tower::ServiceExt;
    use tracing::field::display;

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

    /// Logs as a process with `log_format = "json"` writes them.
    #[derive(Clone, Default)]
    struct Logs(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Logs {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn one_span_has_the_id_the_route_and_the_tenant_and_no_query() {
        let (logs, tenant) = (Logs::default(), TenantId::new());
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let handler = move || async move {
            tracing::Span::current().record("tenant", display(tenant));
            tracing::info!("in the handler");
        };
        let router = Router::new()
            .route("/v1/contacts/{id}", get(handler))
            .layer(from_fn(envelope));
        let request = Request::get("/v1/contacts/7?state=secret")
            .header(REQUEST_ID, "abc")
            .body(Body::empty())
            .unwrap();
        router.oneshot(request).await.unwrap();

        let text = String::from_utf8(logs.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let span =
            json!({"name": "request", "id": "abc", "route": "/v1/contacts/{id}", "tenant": tenant});
        let messages = ["in the handler", "request"];
        assert_eq!(lines.len(), messages.len(), "{text}");
        for (line, message) in lines.iter().zip(messages) {
            assert_eq!(
                (&line["span"], &line["fields"]["message"]),
                (&span, &json!(message))
            );
        }
    }
}
