//! How cookies are read and written, whatever they are for.
//!
//! Those of customers are `Lax` and not `Strict`, because a browser that comes back from Intercom would not send a strict one. Names
//! begin with `__Host-` over https, so that browsers refuse a cookie over http or from another host. The prefix cannot be
//! used over plain http, which only a development profile on loopback has.

use axum::http::{HeaderMap, header};
use shared::config::Config;

/// Characters of a value, which is a random token. One of another length is not ours.
pub(crate) const VALUE: usize = 43;

/// Whether browsers reach us over https.
pub(crate) fn is_secure(config: &Config) -> bool {
    config.public_url.starts_with("https://")
}

/// Names and values of the cookies that a browser has sent and that may be ours.
pub(crate) fn sent(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    pairs(headers).filter(|(_, value)| value.len() == VALUE)
}

/// Names and values of all cookies that a browser has sent.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
}

/// `Set-Cookie` for a value that the browser keeps for so many seconds. With zero it takes the cookie away.
pub(crate) fn written(name: &str, value: &str, seconds: u64, is_secure: bool) -> String {
    written_as(name, value, seconds, is_secure, "Lax")
}

/// The same, with which navigations of other sites it is sent.
pub(crate) fn written_as(
    name: &str,
    value: &str,
    seconds: u64,
    is_secure: bool,
    same_site: &str,
) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}")
}
