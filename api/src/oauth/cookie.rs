//! The session cookies of flows: one for each start link that a browser has opened.
//!
//! A cookie of its own for each flow lets two flows finish in one browser, in any order.

use axum::http::HeaderMap;
use shared::{config::Config, domain::Secret, sync::connect::FLOW_LIFE, vault};

use crate::cookie;

/// Characters of a cookie's name that tell flows apart. A browser has few flows at a time.
const SUFFIX: usize = 12;

/// The cookies that tie flows to one browser.
pub(super) struct Cookies {
    prefix: &'static str,
    is_secure: bool,
}

/// A session that a browser sent.
pub(super) struct FlowSession<'a> {
    name: &'a str,
    pub(super) value: &'a str,
}

impl Cookies {
    pub(super) fn of(config: &Config) -> Self {
        let is_secure = cookie::is_secure(config);
        Self {
            prefix: if is_secure {
                "__Host-pathbound_oauth_"
            } else {
                "pathbound_oauth_"
            },
            is_secure,
        }
    }

    /// The session that this browser has for a flow.
    pub(super) fn session_of(&self, headers: &HeaderMap, start_token: &str) -> Option<Secret> {
        let name = self.name(start_token);
        self.sessions(headers)
            .into_iter()
            .find(|session| session.name == name)
            .map(|session| Secret::new(session.value))
    }

    /// Every session that this browser has.
    pub(super) fn sessions<'a>(&self, headers: &'a HeaderMap) -> Vec<FlowSession<'a>> {
        cookie::sent(headers)
            .filter(|(name, _)| name.starts_with(self.prefix))
            .map(|(name, value)| FlowSession { name, value })
            .collect()
    }

    pub(super) fn set(&self, start_token: &str, session: &Secret) -> String {
        let name = self.name(start_token);
        let seconds = FLOW_LIFE.as_secs();
        cookie::written(&name, session.expose(), seconds, self.is_secure)
    }

    pub(super) fn clear(&self, session: &FlowSession<'_>) -> String {
        cookie::written(session.name, "", 0, self.is_secure)
    }

    fn name(&self, start_token: &str) -> String {
        let token = vault::derived_token(&["oauth cookie", start_token]);
        let suffix: String = token.expose().chars().take(SUFFIX).collect();
        format!("{}{suffix}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    const COOKIES: Cookies = Cookies {
        prefix: "pathbound_oauth_",
        is_secure: false,
    };

    #[test]
    fn each_flow_of_a_browser_has_its_own_cookie() {
        let sessions = ["a", "b"].map(|letter| Secret::new(letter.repeat(cookie::VALUE)));
        let mut headers = HeaderMap::new();
        for (flow, session) in ["one", "two"].into_iter().zip(&sessions) {
            let cookie = COOKIES.set(flow, session);
            let sent = cookie.split(';').next().unwrap();
            headers.append(header::COOKIE, HeaderValue::from_str(sent).unwrap());
        }
        let session = COOKIES.session_of(&headers, "two").unwrap();
        assert_eq!(session.expose(), sessions[1].expose());
        assert!(COOKIES.session_of(&headers, "three").is_none());
        assert_eq!(COOKIES.sessions(&headers).len(), 2);
    }

    #[test]
    fn a_cookie_of_another_name_or_length_is_not_ours() {
        let value = "a".repeat(cookie::VALUE);
        let mut headers = HeaderMap::new();
        for cookie in [
            format!("a=1; xpathbound_oauth_1={value}"),
            "pathbound_oauth_2=short; b=2".to_owned(),
        ] {
            headers.append(header::COOKIE, HeaderValue::from_str(&cookie).unwrap());
        }
        assert_eq!(COOKIES.sessions(&headers).len(), 0);
    }
}
