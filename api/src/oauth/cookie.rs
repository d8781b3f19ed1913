//! The session cookie of a flow.

use axum::http::{HeaderMap, header};
use shared::{config::Config, domain::Secret, sync::connect::FLOW_LIFE};

/// The cookie that ties a flow to one browser.
///
/// The `__Host-` prefix makes browsers refuse the cookie over http or from another host. It cannot
/// be used over plain http, which only development does.
pub(super) struct Cookie {
    name: &'static str,
    secure: &'static str,
}

impl Cookie {
    pub(super) fn of(config: &Config) -> Self {
        if config.public_url.starts_with("https://") {
            Self {
                name: "__Host-pathbound_oauth",
                secure: "; Secure",
            }
        } else {
            Self {
                name: "pathbound_oauth",
                secure: "",
            }
        }
    }

    pub(super) fn set(&self, session: &Secret) -> String {
        self.with(session.expose(), FLOW_LIFE.as_secs())
    }

    pub(super) fn clear(&self) -> String {
        self.with("", 0)
    }

    // Lax and not Strict, because Intercom's page starts the navigation to the callback.
    fn with(&self, value: &str, max_age: u64) -> String {
        format!(
            "{}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{}",
            self.name, self.secure
        )
    }

    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find_map(|(name, value)| (name == self.name).then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookie = Cookie {
            name: "pathbound_oauth",
            secure: "",
        };
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; xpathbound_oauth=no"),
        );
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("pathbound_oauth=yes; b=2"),
        );
        assert_eq!(cookie.read(&headers), Some("yes"));
    }
}
