//! Signing an operator's browser in and out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use maud::html;
use serde::Deserialize;

use super::{
    notice::{Refused, notice},
    session::{self, OpsVisitor},
};
use crate::{
    ops::operator::Operator,
    pages::{fields, see_other, with_cookies},
};

/// Wrong keys that a process takes within a window. The key has 32 characters or more, so this only keeps the log short.
const ATTEMPTS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts wrong keys. Clones count together.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct SignInAttempts(Arc<Mutex<Attempts>>);

#[derive(Debug, Default)]
struct Attempts {
    since: Option<Instant>,
    failed: u32,
}

impl SignInAttempts {
    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_left(&self) -> bool {
        let mut attempts = self.lock();
        if attempts.since.is_none_or(|since| since.elapsed() >= WINDOW) {
            *attempts = Attempts {
                since: Some(Instant::now()),
                failed: 0,
            };
        }
        attempts.failed < ATTEMPTS
    }

    fn count_failed(&self) {
        self.lock().failed += 1;
    }
}

#[derive(Default, Deserialize)]
struct KeyForm {
    #[serde(default)]
    key: String,
    #[serde(default)]
    operator: String,
}

#[derive(Default, Deserialize)]
struct NoFields {}

/// `POST /ops/sign-in`: the key for a session.
pub(super) async fn sign_in(
    State(operator): State<Operator>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    session::check_origin(&headers)?;
    let KeyForm {
        key,
        operator: name,
    } = fields(&body);
    let key = key.trim();
    let Some(role) = operator.keys.role_of(key) else {
        // The right key is never kept out, because anyone could use the attempts up.
        if !operator.attempts.are_left() {
            return Err(Refused::TooManyKeys);
        }
        operator.attempts.count_failed();
        tracing::warn!("a browser has tried a wrong operator key");
        return Err(Refused::WrongKey);
    };
    let name = match name.trim() {
        "" => None,
        name => Some(name.parse().map_err(Refused::Name)?),
    };
    let (cookies, session) = session::begin(&operator, &headers, key, name.as_ref());
    tracing::info!(%session, role = role.as_str(), "a browser has signed in to the pages of operators");
    Ok(see_other("/ops/", &cookies))
}

/// `POST /ops/sign-out`: ends the session in this browser.
pub(super) async fn sign_out(
    State(operator): State<Operator>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    match OpsVisitor::of_any_form::<NoFields>(&operator, &headers, &body) {
        // It was signed out before.
        Ok(_) | Err(Refused::SignedOut) => {}
        Err(refused) => return Err(refused),
    }
    let text = html! { p { a class="button" href="/ops/" { "Sign in again" } } };
    let page = notice(StatusCode::OK, "signed_out", "You are signed out", &text);
    Ok(with_cookies(page, &session::end(&headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_limited_and_right_ones_are_not() {
        let attempts = SignInAttempts::default();
        for _ in 0..ATTEMPTS {
            assert!(attempts.are_left());
            attempts.count_failed();
        }
        assert!(!attempts.are_left());
        attempts.lock().since = Instant::now().checked_sub(WINDOW);
        assert!(attempts.are_left());
    }
}
