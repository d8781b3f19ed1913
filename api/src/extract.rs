//! Reading a request's parts, with faults that name the field.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use shared::domain::Strict;
use uuid::Uuid;

use crate::error::{ApiError, FieldError};

/// A JSON body. No body at all stands for `{}`.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type());
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::of_status(rejection.status()))?;
        // Many clients send no body with a POST that needs none.
        let text: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) {
            b"{}"
        } else {
            &bytes
        };
        // A message of our own, because the reader would name a place for a fault of the whole body.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::invalid("body", "must be a JSON object"));
        }
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = serde_path_to_error::deserialize(Strict(&mut reader))
            .map_err(|error| fault(&error, "body"))?;
        // Without this, anything after the first JSON value would pass unread.
        reader
            .end()
            .map_err(|error| ApiError::invalid("body", error.to_string()))?;
        Ok(Self(value))
    }
}

/// The query's parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let reader = serde_urlencoded::Deserializer::new(query);
        serde_path_to_error::deserialize(reader)
            .map(Self)
            .map_err(|error| fault(&error, "query"))
    }
}

/// A whole number of a body, which JSON may also write as `50.0`.
///
/// # Errors
/// When it is another number, or no number.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let text = number.to_string();
    // What a number has of zeros behind its point says nothing.
    let digits = text
        .split_once('.')
        .filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'))
        .map_or(text.as_str(), |(digits, _)| digits);
    let whole = digits
        .parse()
        .map_err(|_| D::Error::custom("must be a whole number"))?;
    Ok(Some(whole))
}

/// An id of a path. An id that is no uuid is unknown like any other.
pub(crate) fn id(text: &str) -> Result<Uuid, ApiError> {
    Uuid::try_parse(text).map_err(|_| ApiError::not_found())
}

/// `application/json`, any `+json`, or no content type at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let kind = kind
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn fault<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>, whole: &str) -> ApiError {
    let path = error.path().to_string();
    let field = if path == "." || path == "?" {
        whole.to_owned()
    } else {
        path
    };
    ApiError::invalid_all(vec![FieldError {
        field,
        detail: error.inner().to_string(),
    }])
}
