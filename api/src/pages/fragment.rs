//! The part of a page that changes by itself, as the script asks for it.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::vault;

/// The part as an answer. It has an `ETag`, so that a look without news is an empty answer.
pub(crate) fn fragment(headers: &HeaderMap, html: String) -> Response {
    let etag = etag(&html);
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::ETAG, etag),
    ];
    (headers, html).into_response()
}

/// The version of a part, which depends on its text alone.
pub(crate) fn etag(html: &str) -> String {
    let digest = URL_SAFE_NO_PAD.encode(vault::sha256(html.as_bytes()));
    format!("\"{digest}\"")
}
