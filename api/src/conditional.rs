//! Conditional reads: a client that has an answer already is told that nothing has changed.
//!
//! A tag is made from the content and the tenant, and not from the key, so that every reader of a tenant has the same.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use shared::{domain::TenantId, vault};

use crate::error::ApiError;

/// The content of an answer whose bytes differ each time: a list's cursor is sealed anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentDigest(pub(crate) [u8; 32]);

/// The tags that the client knows, if the request is a conditional read.
pub(crate) fn known(request: &Request) -> Option<HeaderValue> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH);
    known.filter(|_| is_read).cloned()
}

/// Tags the answer to a read, or replaces it if the client knows its tag.
///
/// # Errors
/// If the answer's body cannot be read.
pub(crate) async fn answer(
    tenant: TenantId,
    known: Option<&HeaderValue>,
    response: Response,
) -> Result<Response, ApiError> {
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|_| ApiError::internal())?;
    let tag = match parts.extensions.get::<ContentDigest>() {
        // Equal pages have different bytes, so their tags are weak.
        Some(ContentDigest(content)) => format!("W/{}", tag(tenant, content)),
        None => tag(tenant, &vault::sha256(&body)),
    };
    let is_known = known.is_some_and(|known| matches(known, &tag));
    let tag = HeaderValue::from_str(&tag).map_err(|_| ApiError::internal())?;
    let headers = [
        (header::ETAG, tag),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (
            header::VARY,
            HeaderValue::from_static("authorization, pathbound-tenant"),
        ),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    parts.headers.extend(headers);
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn tag(tenant: TenantId, content: &[u8; 32]) -> String {
    let of_tenant = [tenant.0.as_bytes().as_slice(), content].concat();
    let digest = vault::sha256(&of_tenant);
    // Half of the digest is enough, because nothing but the client's own copy depends on it.
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// Whether the list of tags has this one. Tags are compared weakly, as RFC 9110 asks for `If-None-Match`.
fn matches(known: &HeaderValue, tag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(known) = known.to_str() else {
        return false;
    };
    known.trim() == "*" || known.split(',').any(|known| strong(known) == strong(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_the_content_and_of_the_tenant() {
        let (acme, zeta) = (TenantId::new(), TenantId::new());
        let (one, other) = (vault::sha256(b"1"), vault::sha256(b"2"));
        assert_eq!(tag(acme, &one), tag(acme, &one));
        assert_ne!(tag(acme, &one), tag(acme, &other));
        assert_ne!(tag(acme, &one), tag(zeta, &one));
    }

    #[test]
    fn a_known_tag_is_found_in_any_form() {
        for (known, found) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let known = HeaderValue::from_static(known);
            assert_eq!(matches(&known, "\"a\""), found, "{known:?}");
            assert_eq!(matches(&known, "W/\"a\""), found, "{known:?}");
        }
    }

    #[tokio::test]
    async fn only_a_good_answer_has_a_tag() {
        let tenant = TenantId::new();
        let good = || "{}".into_response();
        let tagged = answer(tenant, None, good()).await.unwrap();
        let tag = tagged.headers()[header::ETAG].clone();
        assert_eq!(tagged.headers()[header::CACHE_CONTROL], "private, no-cache");
        let same = answer(tenant, Some(&tag), good()).await.unwrap();
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(same.headers()[header::ETAG], tag);
        let elsewhere = answer(TenantId::new(), Some(&tag), good()).await.unwrap();
        assert_eq!(elsewhere.status(), StatusCode::OK);
        let missing = ApiError::not_found().into_response();
        let missing = answer(tenant, Some(&HeaderValue::from_static("*")), missing)
            .await
            .unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        assert!(!missing.headers().contains_key(header::ETAG));
    }
}
