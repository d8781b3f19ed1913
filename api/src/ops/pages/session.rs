//! The session of an operator's browser.
//!
//! The cookie is the session's id, its end, and a code of the key ring for both and for the key that was typed. No table is
//! needed: any process accepts it, another key ends it, and so does the removal of the encryption key. A session of the
//! viewer key is a viewer's, because its code is for no other key.

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use shared::{
    domain::{OperatorName, Secret},
    store::{ActionOrigin, OperatorChannel},
    vault::{SealContext, sha256},
};
use uuid::Uuid;

use super::notice::Refused;
use crate::{
    cookie,
    ops::{keys::OpsRole, operator::Operator},
    pages::{fields, origin_of_url},
};

/// How long a browser stays signed in.
const SESSION_LIFE: TimeDelta = TimeDelta::hours(12);

/// What a browser keeps of a sign-in. The name has a cookie of its own, so that builds of before know the session.
#[derive(Clone, Copy)]
enum Kept {
    Session,
    Name,
}

impl Kept {
    /// The cookie's name over https, where browsers refuse it from another host, and over plain http, which a port-forward
    /// to this machine is.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Session => ["__Host-pathbound_ops", "pathbound_ops"],
            Self::Name => ["__Host-pathbound_ops_name", "pathbound_ops_name"],
        }
    }
}

/// A browser that is signed in with a key of the ops listener.
#[derive(Clone, Debug)]
pub(super) struct OpsVisitor {
    pub(super) session: Uuid,
    /// That of its key.
    pub(super) role: OpsRole,
    /// What each form of its pages carries. Another site cannot read it.
    pub(super) form_token: Secret,
    /// What the operator called itself at the sign-in.
    pub(super) operator: Option<OperatorName>,
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
        let mut visitor = cookie::pairs(headers)
            .filter(|(name, _)| Kept::Session.names().contains(name))
            .find_map(|(_, value)| Self::of_value(operator, value, Utc::now()))?;
        visitor.operator = cookie::pairs(headers)
            .filter(|(name, _)| Kept::Name.names().contains(name))
            .find_map(|(_, value)| name_of(operator, visitor.session, value));
        Some(visitor)
    }

    /// Whose its actions are.
    pub(super) fn origin(&self) -> ActionOrigin {
        ActionOrigin {
            channel: OperatorChannel::Browser(self.session),
            operator: self.operator.clone(),
        }
    }

    fn of_value(operator: &Operator, value: &str, now: DateTime<Utc>) -> Option<Self> {
        let mut parts = value.splitn(3, '.');
        let (id, end, code) = (parts.next()?, parts.next()?, parts.next()?);
        let session = Uuid::try_parse(id).ok()?;
        let ends_at: i64 = end.parse().ok()?;
        if ends_at <= now.timestamp() {
            return None;
        }
        let (role, key) = operator.keys.configured().find(|(_, key)| {
            let context = SealContext::operator_session(key, session, ends_at);
            operator.vault.has_made(code, &context)
        })?;
        let forms = SealContext::operator_forms(key, session);
        Some(Self {
            session,
            role,
            form_token: operator.vault.code(&forms),
            operator: None,
        })
    }

    /// Whether its buttons would do anything.
    pub(super) fn may_act(&self) -> bool {
        self.role == OpsRole::Operator
    }

    /// The operator that has sent a form of its own page, and the form's fields.
    ///
    /// # Errors
    /// As [`of_any_form`](Self::of_any_form), and if the browser is a viewer's.
    pub(super) fn sent_form<T: Default + DeserializeOwned>(
        operator: &Operator,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Self, T), Refused> {
        let (visitor, form) = Self::of_any_form(operator, headers, body)?;
        if visitor.may_act() {
            Ok((visitor, form))
        } else {
            Err(Refused::Viewer)
        }
    }

    /// The visitor that has sent a form of its own page, and the form's fields. Fields that cannot be read have their
    /// defaults.
    ///
    /// # Errors
    /// If another site sent it, nobody is signed in, or the token is not that of the session.
    pub(super) fn of_any_form<T: Default + DeserializeOwned>(
        operator: &Operator,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Self, T), Refused> {
        check_origin(headers)?;
        let visitor = Self::of(operator, headers).ok_or(Refused::SignedOut)?;
        let Proof { form_token } = fields(body);
        let key = operator.keys.digest(visitor.role).ok_or(Refused::Form)?;
        let context = SealContext::operator_forms(key, visitor.session);
        if operator.vault.has_made(&form_token, &context) {
            Ok((visitor, fields(body)))
        } else {
            Err(Refused::Form)
        }
    }
}

/// The cookies of a new session of the key that was typed, and the session's id.
pub(super) fn begin(
    operator: &Operator,
    headers: &HeaderMap,
    key: &str,
    name: Option<&OperatorName>,
) -> (Vec<String>, Uuid) {
    let session = Uuid::now_v7();
    let ends_at = (Utc::now() + SESSION_LIFE).timestamp();
    let digest = sha256(key.as_bytes());
    let context = SealContext::operator_session(&digest, session, ends_at);
    let code = operator.vault.code(&context);
    let value = format!("{session}.{ends_at}.{}", code.expose());
    let seconds = SESSION_LIFE.num_seconds().unsigned_abs();
    let is_secure = is_secure(headers);
    let mut cookies = vec![written(Kept::Session, &value, seconds, is_secure)];
    // The name of a sign-in before ends with that session.
    cookies.push(match name {
        Some(name) => {
            let code = operator
                .vault
                .code(&SealContext::operator_name(session, name.as_str()));
            let name = URL_SAFE_NO_PAD.encode(name.as_str());
            let value = format!("{name}.{}", code.expose());
            written(Kept::Name, &value, seconds, is_secure)
        }
        None => written(Kept::Name, "", 0, is_secure),
    });
    (cookies, session)
}

/// The name of a cookie, if it was given at the sign-in of this session.
fn name_of(operator: &Operator, session: Uuid, value: &str) -> Option<OperatorName> {
    let (name, code) = value.split_once('.')?;
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
    let context = SealContext::operator_name(session, &name);
    let is_ours = operator.vault.has_made(code, &context);
    name.parse().ok().filter(|_| is_ours)
}

/// The cookies that end the session in this browser.
pub(super) fn end(headers: &HeaderMap) -> Vec<String> {
    [Kept::Session, Kept::Name]
        .map(|kept| written(kept, "", 0, is_secure(headers)))
        .to_vec()
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

fn written(kept: Kept, value: &str, seconds: u64, is_secure: bool) -> String {
    let [secure, plain] = kept.names();
    let name = if is_secure { secure } else { plain };
    // Nothing but a press on our own page needs the session, so it is strict.
    cookie::written_as(name, value, seconds, is_secure, "Strict")
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
