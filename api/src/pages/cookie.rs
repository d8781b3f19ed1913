//! The cookies of the pages: the session of a browser that is signed in, and what ties a press of the sign-in button to
//! the browser that has opened the page.

use axum::http::HeaderMap;
use shared::{config::Config, domain::Secret};

use crate::cookie;

/// One cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageCookie {
    Session,
    SignIn,
}

/// How cookies are written for one public URL.
pub(super) struct Cookies {
    is_secure: bool,
}

impl Cookies {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            is_secure: cookie::is_secure(config),
        }
    }

    /// The value that the browser has sent.
    pub(super) fn value(&self, cookie: PageCookie, headers: &HeaderMap) -> Option<Secret> {
        let name = self.name(cookie);
        cookie::sent(headers)
            .find(|(sent, _)| *sent == name)
            .map(|(_, value)| Secret::new(value))
    }

    /// `Set-Cookie` for a value that the browser keeps for so many seconds.
    pub(super) fn set(&self, cookie: PageCookie, value: &Secret, seconds: u64) -> String {
        self.written(cookie, value.expose(), seconds)
    }

    /// `Set-Cookie` that takes the cookie away.
    pub(super) fn clear(&self, cookie: PageCookie) -> String {
        self.written(cookie, "", 0)
    }

    fn written(&self, cookie: PageCookie, value: &str, seconds: u64) -> String {
        cookie::written(self.name(cookie), value, seconds, self.is_secure)
    }

    const fn name(&self, cookie: PageCookie) -> &'static str {
        match (cookie, self.is_secure) {
            (PageCookie::Session, true) => "__Host-pathbound_session",
            (PageCookie::Session, false) => "pathbound_session",
            (PageCookie::SignIn, true) => "__Host-pathbound_sign_in",
            (PageCookie::SignIn, false) => "pathbound_sign_in",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_cookie_reads_back_and_one_of_another_name_or_length_does_not() {
        let value = Secret::new("v".repeat(cookie::VALUE));
        for is_secure in [true, false] {
            let cookies = Cookies { is_secure };
            let set = cookies.set(PageCookie::Session, &value, 60);
            let sent = set.split(';').next().unwrap();
            let read = |sent: &str| {
                let mut headers = HeaderMap::new();
                let value = format!("a=1; {sent}; b=2");
                headers.insert(header::COOKIE, HeaderValue::from_str(&value).unwrap());
                cookies.value(PageCookie::Session, &headers)
            };
            assert_eq!(read(sent).unwrap().expose(), value.expose());
            for other in [
                format!("x{sent}"),
                format!("{sent}v"),
                sent.replace("session", "sign_in"),
                String::new(),
            ] {
                assert!(read(&other).is_none(), "{other}");
            }
        }
    }
}
