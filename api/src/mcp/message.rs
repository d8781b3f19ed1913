//! What is no message of the protocol is refused in the protocol's own form.
//!
//! The library answers a body that it cannot read with a media type's error and a sentence of its parser's. Clients look
//! for an error of JSON-RPC there.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{envelope::Verbatim, error::ApiError};

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;

/// The first revision without a handshake.
const STATELESS: &str = "2026-07-28";

/// The request as it came, if its body is one message.
///
/// # Errors
/// The answer to any other request.
pub(super) async fn check(request: Request, limit: usize) -> Result<Request, Response> {
    if !is_json(request.headers()) {
        return Err(ApiError::unsupported_media_type().into_response());
    }
    let is_stateless = is_stateless(request.headers());
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::too_large().into_response())?;
    match serde_json::from_slice(&bytes) {
        Err(_) => Err(error(&Value::Null, PARSE_ERROR, "the body is not JSON")),
        // The library would read it by the older revisions.
        Ok(Value::Object(message))
            if is_stateless && message.get("method") == Some(&"initialize".into()) =>
        {
            let text = "there is no such method since 2026-07-28, send server/discover";
            let mut response = error(&id_of(&message), METHOD_NOT_FOUND, text);
            *response.status_mut() = StatusCode::NOT_FOUND;
            Err(response)
        }
        Ok(Value::Object(message)) => match fault(&message) {
            Some((code, text)) => Err(error(&id_of(&message), code, text)),
            None => Ok(Request::from_parts(parts, Body::from(bytes))),
        },
        Ok(_) => Err(error(
            &Value::Null,
            INVALID_REQUEST,
            "the body must be one JSON-RPC message, send the messages of a batch one by one",
        )),
    }
}

/// Keeps an answer of the library as it is, unless it says only that it could not read the message.
pub(super) async fn or_unreadable(mut response: Response) -> Response {
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let text = "the message cannot be read, check its members and their types";
        return error(&Value::Null, INVALID_REQUEST, text);
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        response.extensions_mut().insert(Verbatim);
    }
    response
}

/// What keeps an object from being a message.
fn fault(message: &Map<String, Value>) -> Option<(i32, &'static str)> {
    let member = |name: &str| message.get(name);
    if member("jsonrpc") != Some(&Value::from("2.0")) {
        return Some((INVALID_REQUEST, "`jsonrpc` must be \"2.0\""));
    }
    let is_id = |id: &Value| id.is_string() || id.is_i64();
    if member("id").is_some_and(|id| !is_id(id)) {
        return Some((INVALID_REQUEST, "`id` must be a text or an integer"));
    }
    match member("method") {
        Some(Value::String(_)) => {}
        // A client's answer to a request of ours, which there is none of.
        None if member("result").is_some() || member("error").is_some() => {}
        _ => return Some((INVALID_REQUEST, "`method` must be a text")),
    }
    let is_object =
        |name: &str| member(name).is_none_or(|value| value.is_object() || value.is_null());
    if !is_object("params") {
        return Some((INVALID_PARAMS, "`params` must be an object"));
    }
    None
}

fn id_of(message: &Map<String, Value>) -> Value {
    let id = message.get("id");
    id.filter(|id| id.is_string() || id.is_i64())
        .cloned()
        .unwrap_or_default()
}

fn error(id: &Value, code: i32, message: &str) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (StatusCode::BAD_REQUEST, kind, body.to_string()).into_response();
    response.extensions_mut().insert(Verbatim);
    response
}

fn is_stateless(headers: &HeaderMap) -> bool {
    let version = headers.get("mcp-protocol-version");
    version.is_some_and(|version| version == STATELESS)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
