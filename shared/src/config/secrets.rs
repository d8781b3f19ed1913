//! The secrets of a configuration, so that logs can leave them out.

use percent_encoding::percent_decode_str;

use super::Config;
use crate::domain::Secret;

impl Config {
    /// Every secret that this process was given: keys, passwords, and the URLs that hold them.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let proxy = self.intercom.egress.proxy.as_ref();
        let urls = [&self.database.url, &self.migrate_url, &self.redis_url];
        let urls = urls.into_iter().chain(proxy);
        let mut texts: Vec<String> = urls.flat_map(|url| of_url(url.expose())).collect();
        texts.extend([
            self.service_key.expose().to_owned(),
            self.intercom.client_secret.expose().to_owned(),
        ]);
        let operations = self.operator_key.iter().chain(&self.viewer_key);
        texts.extend(operations.map(|key| key.expose().to_owned()));
        // The id before the colon is no secret, and operators look for it in logs.
        let keys = self.encryption_keys.expose().split(',');
        texts.extend(keys.filter_map(|key| Some(key.split_once(':')?.1.trim().to_owned())));
        texts.retain(|text| !text.is_empty());
        // The longest first, so that a part of one secret does not hide the rest of it.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.into_iter().map(Secret::new).collect()
    }
}

/// The URL, and its passwords as they are written and as they are sent.
fn of_url(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let login = before_query.rsplit_once('@').map_or("", |(login, _)| login);
    let mut passwords: Vec<&str> = login
        .split_once(':')
        .map(|(_, password)| password)
        .into_iter()
        .collect();
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    passwords.extend(
        parameters
            .filter(|(name, _)| name.contains("pass"))
            .map(|(_, value)| value),
    );
    let mut texts: Vec<String> = passwords
        .into_iter()
        .flat_map(|password| {
            let sent = percent_decode_str(password)
                .decode_utf8_lossy()
                .into_owned();
            [password.to_owned(), sent]
        })
        .collect();
    // A URL without a secret may be shown, and it helps.
    if !texts.is_empty() {
        texts.push(url.to_owned());
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_a_url_has_them() {
        assert_eq!(
            of_url("postgres://u:p%40w@h/db?sslpassword=key&sslmode=require"),
            [
                "p%40w",
                "p@w",
                "key",
                "key",
                "postgres://u:p%40w@h/db?sslpassword=key&sslmode=require",
            ]
        );
        assert_eq!(of_url("redis://h:6379"), [""; 0]);
    }
}
