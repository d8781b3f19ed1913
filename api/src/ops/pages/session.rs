//! The session of an operator's browser.
//!
//! The cookie is the session's id, its end, and a code of the key ring for both and for the operator key. No table is
//! needed: any process accepts it, another operator key ends it, and so does the removal of the encryption key.

use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use shared::{
    domain::Secret,
    vault::{SealContext, constant_time_eq, sha256},
};
use uuid::Uuid;

use super::notice::Refused;
use crate::{
    cookie,
    ops::operator::Operator,
    pages::{fields, origin_of_url},
};

/// How long a browser stays signed in.
const SESSION_LIFE: TimeDelta = TimeDelta::hours(12);
/// Its name over https, where browsers refuse it from another host.
const SECURE_NAME: &str = "__Host-pathbound_ops";
/// Its name over plain http, which a port-forward to this machine is.
const PLAIN_NAME: &str = "pathbound_ops";

/// A browser that is signed in with the operator key.
#[derive(Clone, Debug)]
pub(super) struct OpsVisitor {
    pub(super) session: Uuid,
    /// What each form of its pages carries. Another site cannot read it.
    pub(super) form_token: Secret,
}

/// What every form carries.
#[derive(Default, Deserialize)]
struct Proof {
    #[serde(default)]
    form_token: String,
}

impl OpsVisitor {
    /// `None` if the browser is not signed in, or no longer.
    pub(super) fn of(operator: &Operator, headers: &HeaderMap) -> Option<Self> {
        cookie::pairs(headers)
            .filter(|(name, _)| [SECURE_NAME, PLAIN_NAME].contains(name))
            .find_map(|(_, value)| Self::of_value(operator, value, Utc::now()))
    }

    fn of_value(operator: &Operator, value: &str, now: DateTime<Utc>) -> Option<Self> {
        let mut parts = value.splitn(3, '.');
        let (id, end, code) = (parts.next()?, parts.next()?, parts.next()?);
        let session = Uuid::try_parse(id).ok()?;
        let ends_at: i64 = end.parse().ok()?;
        let is_ours = operator
            .vault
            .has_made(code, &sealed(operator, session, ends_at));
        (is_ours && ends_at > now.timestamp()).then(|| Self {
            session,
            form_token: operator.vault.code(&forms(operator, session)),
        })
    }

    /// The visitor that has sent a form of its own page, and the form's fields. Fields that cannot be read have their
    /// defaults.
    ///
    /// # Errors
    /// If another site sent it, nobody is signed in, or the token is not that of the session.
    pub(super) fn sent_form<T: Default + DeserializeOwned>(
        operator: &Operator,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Self, T), Refused> {
        check_origin(headers)?;
        let visitor = Self::of(operator, headers).ok_or(Refused::SignedOut)?;
        let Proof { form_token } = fields(body);
        let context = forms(operator, visitor.session);
        if operator.vault.has_made(&form_token, &context) {
            Ok((visitor, fields(body)))
        } else {
            Err(Refused::Form)
        }
    }
}

/// `Set-Cookie` of a new session, and the session's id.
pub(super) fn begin(operator: &Operator, headers: &HeaderMap) -> (String, Uuid) {
    let session = Uuid::now_v7();
    let ends_at = (Utc::now() + SESSION_LIFE).timestamp();
    let code = operator.vault.code(&sealed(operator, session, ends_at));
    let value = format!("{session}.{ends_at}.{}", code.expose());
    let seconds = SESSION_LIFE.num_seconds().unsigned_abs();
    (written(&value, seconds, is_secure(headers)), session)
}

/// `Set-Cookie` that ends the session in this browser.
pub(super) fn end(headers: &HeaderMap) -> String {
    written("", 0, is_secure(headers))
}

/// Whether a text is the operator key. The time does not depend on how much of it is right.
pub(super) fn is_key(operator: &Operator, text: &str) -> bool {
    constant_time_eq(&sha256(text.as_bytes()), &*operator.key_sha256)
}

/// Refuses a form that another site has sent. The listener has no configured URL, because operators reach it through a
/// port-forward, so the origin is compared with the host that the browser asked for.
///
/// # Errors
/// If the two differ. Without either header no browser of today has sent the form.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Refused> {
    let host = text_of(headers, "host");
    let refused = |header, got: &str| Refused::Origin {
        header,
        expected: host.to_owned(),
        got: got.chars().take(200).collect(),
    };
    let origin = text_of(headers, "origin");
    if !origin.is_empty() {
        let is_own = ["http://", "https://"]
            .iter()
            .any(|scheme| origin == origin_of_url(&format!("{scheme}{host}")));
        return if is_own && !host.is_empty() && origin != "null" {
            Ok(())
        } else {
            Err(refused("Origin", origin))
        };
    }
    match text_of(headers, "sec-fetch-site") {
        "" | "same-origin" | "none" => Ok(()),
        site => Err(refused("Sec-Fetch-Site", site)),
    }
}

/// Whether the browser came over https. It says so with each form.
fn is_secure(headers: &HeaderMap) -> bool {
    text_of(headers, "origin").starts_with("https://")
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = if name == "host" {
        headers.get(header::HOST)
    } else {
        headers.get(name)
    };
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn written(value: &str, seconds: u64, is_secure: bool) -> String {
    let name = if is_secure { SECURE_NAME } else { PLAIN_NAME };
    // Nothing but a press on our own page needs the session, so it is strict.
    cookie::written_as(name, value, seconds, is_secure, "Strict")
}

fn sealed(operator: &Operator, session: Uuid, ends_at: i64) -> SealContext {
    SealContext::operator_session(&operator.key_sha256, session, ends_at)
}

fn forms(operator: &Operator, session: Uuid) -> SealContext {
    SealContext::operator_forms(&operator.key_sha256, session)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn checked(host: &'static str, name: &'static str, value: &'static str) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if !name.is_empty() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        check_origin(&headers)
    }

    #[test]
    fn a_form_comes_from_the_host_that_the_browser_asked_for() {
        for (host, name, value) in [
            ("localhost:8081", "", ""),
            ("localhost:8081", "origin", "http://localhost:8081"),
            ("ops.example", "origin", "https://ops.example"),
            ("[::1]:8081", "origin", "http://[::1]:8081"),
            ("localhost:8081", "sec-fetch-site", "same-origin"),
        ] {
            assert!(checked(host, name, value).is_ok(), "{host} {value}");
        }
        for (host, name, value) in [
            ("localhost:8081", "origin", "http://localhost:8082"),
            ("localhost:8081", "origin", "http://evil.example"),
            ("localhost:8081", "origin", "null"),
            ("", "origin", "null"),
            ("localhost:8081", "origin", "ftp://localhost:8081"),
            ("localhost:8081", "sec-fetch-site", "cross-site"),
        ] {
            assert!(checked(host, name, value).is_err(), "{host} {value}");
        }
    }
}
