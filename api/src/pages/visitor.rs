//! The browser that asks for a page, if it is signed in.

use axum::http::HeaderMap;
use shared::{
    domain::{Secret, audit_event::Actor},
    store::{BrowserSession, StoreError},
    vault::{self, SealContext},
};
use tracing::{Span, field::display};

use super::cookie::{Cookies, PageCookie};
use crate::Api;

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) session: BrowserSession,
    /// What each form of its pages carries. Another site cannot read it.
    pub(crate) form_token: Secret,
}

impl Visitor {
    /// `None` if the browser has no session, or one that has ended.
    ///
    /// # Errors
    /// When Postgres fails.
    pub(crate) async fn of(api: &Api, headers: &HeaderMap) -> Result<Option<Self>, StoreError> {
        let Some(cookie) = Cookies::of(&api.config).value(PageCookie::Session, headers) else {
            return Ok(None);
        };
        let digest = vault::sha256(cookie.expose().as_bytes());
        let Some(session) = api.store.find_browser_session(&digest).await? else {
            return Ok(None);
        };
        Span::current().record("tenant", display(session.tenant));
        let form_token = api.vault.code(&forms(&session));
        Ok(Some(Self {
            session,
            form_token,
        }))
    }

    /// Whether a form of this session's pages carried the token.
    pub(crate) fn has_sent(&self, api: &Api, token: &str) -> bool {
        api.vault.has_made(token, &forms(&self.session))
    }

    /// Whose its actions are.
    pub(crate) const fn actor(&self) -> Actor {
        Actor::BrowserSession(self.session.id)
    }
}

fn forms(session: &BrowserSession) -> SealContext {
    SealContext::forms(session.tenant, session.id)
}
