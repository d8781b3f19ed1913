//! The session cookies of flows: one for each start link that a browser has opened.
//!
//! A cookie of its own for each flow lets two flows finish in one browser, in any order.

use axum::http::{HeaderMap, header};
use shared::{config::Config, domain::Secret, sync::connect::FLOW_LIFE, vault};

/// Characters of a cookie's name that tell flows apart. A browser has few flows at a time.
const SUFFIX: usize = 12;
/// Characters of a session. A cookie of another length is not ours.
const SESSION: usize = 43;

/// The cookies that tie flows to one browser.
///
/// The `__Host-` prefix makes browsers refuse a cookie over http or from another host. It cannot
/// be used over plain http, which only development does.
pub(super) struct Cookies {
    prefix: &'static str,
    secure: &'static str,
}

/// A session that a browser sent.
pub(super) struct FlowSession<'a> {
    name: &'a str,
    pub(super) value: &'a str,
}

impl Cookies {
    pub(super) fn of(config: &Config) -> Self {
        if config.public_url.starts_with("https://") {
            Self {
                prefix: "__Host-pathbound_oauth_",
                secure: "; Secure",
            }
        } else {
            Self {
                prefix: "pathbound_oauth_",
                secure: "",
            }
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
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, value)| name.starts_with(self.prefix) && value.len() == SESSION)
            .map(|(name, value)| FlowSession { name, value })
            .collect()
    }

    pub(super) fn set(&self, start_token: &str, session: &Secret) -> String {
        let name = self.name(start_token);
        self.with(&name, session.expose(), FLOW_LIFE.as_secs())
    }

    pub(super) fn clear(&self, session: &FlowSession<'_>) -> String {
        self.with(session.name, "", 0)
    }

    fn name(&self, start_token: &str) -> String {
        let token = vault::derived_token(&["oauth cookie", start_token]);
        let suffix: String = token.expose().chars().take(SUFFIX).collect();
        format!("{}{suffix}", self.prefix)
    }

    // Lax and not Strict, because Intercom's page starts the navigation to the callback.
    fn with(&self, name: &str, value: &str, max_age: u64) -> String {
        format!(
            "{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{}",
            self.secure
        )
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const COOKIES: Cookies = Cookies {
        prefix: "pathbound_oauth_",
        secure: "",
    };

    #[test]
    fn each_flow_of_a_browser_has_its_own_cookie() {
        let sessions = ["a", "b"].map(|letter| Secret::new(letter.repeat(SESSION)));
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
        let value = "a".repeat(SESSION);
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
