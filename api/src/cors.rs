//! Which web pages may call the API from a browser: none, unless their origins are configured.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what is allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The layer for these origins. `None` if there are none, so that no answer has a header of it.
pub(crate) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok())
        .collect();
    if origins.is_empty() {
        return None;
    }
    let name = HeaderName::from_static;
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_NONE_MATCH,
                name("idempotency-key"),
                name("mcp-method"),
                name("mcp-name"),
                name("mcp-protocol-version"),
                name("pathbound-tenant"),
                name("x-request-id"),
            ])
            .expose_headers([
                header::ETAG,
                header::RETRY_AFTER,
                name("idempotency-replayed"),
                name("ratelimit"),
                name("ratelimit-policy"),
                name("x-request-id"),
            ])
            .max_age(REMEMBERED),
    )
}
