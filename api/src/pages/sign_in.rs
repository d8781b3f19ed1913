//! Signing in and out.
//!
//! A link scanner or a preview opens a link and sees a page. Only the press of its button spends the link.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use maud::html;
use serde::Deserialize;
use shared::{
    domain::{
        Secret,
        audit_event::{AuditAction, Effect, NewAuditEvent},
    },
    store::{BrowserSession, LinkFate, StoreError},
    vault,
};

use super::{
    cookie::{Cookies, PageCookie},
    form,
    frame::{see_other, with_cookies},
    notice::{self, Refusal},
    origin,
    visitor::Visitor,
};
use crate::{Api, error::ApiError};

/// How long a browser stays signed in.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a browser remembers that it has opened the page of a link.
const SIGN_IN_LIFE: Duration = Duration::from_secs(10 * 60);

/// The query and the form of the sign-in page.
#[derive(Default, Deserialize)]
struct SignIn {
    #[serde(default)]
    link: String,
}

/// The form of the button that signs out.
#[derive(Default, Deserialize)]
struct NoFields {}

/// The address of a sign-in link.
pub(crate) fn sign_in_url(public_url: &str, link: &Secret) -> String {
    format!("{public_url}/sign-in?link={}", link.expose())
}

/// `GET /sign-in?link=…`: the page with one button. It changes nothing.
pub(super) async fn show(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let SignIn { link } = form::fields(query.unwrap_or_default().as_bytes());
    let found = api.store.sign_in_link(&digest(&link)).await?;
    let tenant_name = match found {
        Some(found) if found.fate == LinkFate::Open => found.tenant_name,
        other => return Err(Refusal::Link(other.map(|found| found.fate))),
    };
    let cookies = Cookies::of(&api.config);
    // A second tab keeps what the first one has, so that a press in either works.
    let value = match cookies.value(PageCookie::SignIn, &headers) {
        Some(value) => value,
        None => random()?,
    };
    let text = html! {
        p { "You are about to open the contacts and the integrations of " strong { bdi { (tenant_name) } } " in this browser." }
        form method="post" action="/sign-in" {
            input type="hidden" name="link" value=(link);
            button type="submit" { "Sign in" }
        }
        p class="dim" { "You did not ask for this? Close the page, and nothing happens." }
    };
    let page = notice::page(StatusCode::OK, "sign_in", "Sign in", None, &text);
    let cookie = cookies.set(PageCookie::SignIn, &value, SIGN_IN_LIFE.as_secs());
    Ok(with_cookies(page, &[cookie]))
}

/// `POST /sign-in`: spends the link, and signs this browser in.
pub(super) async fn sign_in(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    // Without this, another site could sign a browser in to an account of its own.
    origin::check(&api.config.public_url, &headers).map_err(Refusal::Origin)?;
    let SignIn { link } = form::fields(&body);
    let cookies = Cookies::of(&api.config);
    // Derived, so that a second press of the button in the same browser finds the session that the first has started.
    let session = match cookies.value(PageCookie::SignIn, &headers) {
        Some(opened) => vault::derived_token(&["browser session", &link, opened.expose()]),
        None => random()?,
    };
    let earlier = Visitor::of(&api, &headers).await?;
    let started = api
        .store
        .start_browser_session(&digest(&link), &digest(session.expose()), SESSION_LIFE)
        .await?;
    let return_to = match started {
        Some(started) => {
            tracing::info!(tenant = %started.tenant, session = %started.id, "a browser has signed in");
            // A browser has one session, so the one before ends.
            if let Some(earlier) = earlier {
                end(&api, &earlier).await?;
            }
            started.return_to
        }
        None => again(&api, &link, &session).await?.return_to,
    };
    let cookie = cookies.set(PageCookie::Session, &session, SESSION_LIFE.as_secs());
    Ok(see_other(&return_to, &[cookie]))
}

/// The session that an earlier press in the same browser has started.
async fn again(api: &Api, link: &str, session: &Secret) -> Result<BrowserSession, Refusal> {
    if let Some(started) = api
        .store
        .find_browser_session(&digest(session.expose()))
        .await?
    {
        return Ok(started);
    }
    let found = api.store.sign_in_link(&digest(link)).await?;
    Err(Refusal::Link(found.map(|found| found.fate)))
}

/// `POST /sign-out`: ends the session on every replica.
pub(super) async fn sign_out(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    match form::accepted::<NoFields>(&api, &headers, &body).await {
        Ok((visitor, _)) => end(&api, &visitor).await?,
        // It was signed out before.
        Err(Refusal::SignedOut) => {}
        Err(refusal) => return Err(refusal),
    }
    let text = html! { p { "To come back, open the page from the product that you use." } };
    let page = notice::page(
        StatusCode::OK,
        "signed_out",
        "You are signed out",
        None,
        &text,
    );
    let clear = Cookies::of(&api.config).clear(PageCookie::Session);
    Ok(with_cookies(page, &[clear]))
}

async fn end(api: &Api, visitor: &Visitor) -> Result<(), StoreError> {
    let session = &visitor.session;
    let mut tx = api.store.begin(session.tenant).await?;
    if tx.end_browser_session(session.id).await? == Effect::Changed {
        let event = NewAuditEvent::new(visitor.actor(), AuditAction::SessionEnded, session.id);
        tx.add_audit_event(event).await?;
    }
    tx.commit().await
}

fn random() -> Result<Secret, ApiError> {
    vault::random_token().map_err(|_| ApiError::internal())
}

fn digest(token: &str) -> [u8; 32] {
    vault::sha256(token.as_bytes())
}
