//! One reader per kind of value. A reader notes a fault and returns a stand-in, so that the user sees
//! all faults at once. A fault never repeats a secret's value.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use url::{Host, Url};

use super::{
    ProcessRole,
    dsn::Dsn,
    layers::{Layers, variable},
};
use crate::{
    domain::{OperatorName, Secret},
    vault::KeyRing,
};

/// Seals tokens in development when no key is set, so that a restart can still open them.
/// Production refuses it, because it is public.
const DEVELOPMENT_ENCRYPTION_KEY: &str = "development:cGF0aGJvdW5kLWRldmVsb3BtZW50LWtleS0wMDAwMDE=";
const DEVELOPMENT_SERVICE_KEY: &str = "development-service-key-not-for-production";

/// A shorter bearer key could be guessed.
const MIN_KEY_CHARACTERS: usize = 32;

/// Postgres cuts names at 63 bytes, and the role's own word follows the prefix.
const LONGEST_ROLE_PREFIX: usize = 40;

/// More sessions of one process are a slip of the pen.
const SESSIONS_LIMIT: u32 = 1_000;

/// One request in less than a nanosecond cannot be timed.
const RATE_LIMIT: u32 = 1_000_000_000;

pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) faults: &'a mut Vec<String>,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, key: &str) -> String {
        self.layers.get(key).to_owned()
    }

    pub(super) fn required_text(&mut self, key: &str, required: bool) -> String {
        let text = self.text(key);
        if required && text.is_empty() {
            self.fault(key, "is not set");
        }
        text
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let text = self.text(key);
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.fault(key, &format!("is {text:?}: use {}", names.join(" or ")));
        // The process does not start after a fault. The stand-in only lets the reading go on.
        choices[0].1
    }

    pub(super) fn number(&mut self, key: &str, min: u32, max: u32) -> u32 {
        let text = self.text(key);
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                self.fault(
                    key,
                    &format!("is {text:?}: use a whole number from {min} to {max}"),
                );
                min
            }
        }
    }

    /// Requests per minute.
    pub(super) fn rate(&mut self, key: &str) -> NonZeroU32 {
        NonZeroU32::new(self.number(key, 1, RATE_LIMIT)).unwrap_or(NonZeroU32::MIN)
    }

    /// Database sessions of a process. Too few would let one part of it stop another.
    pub(super) fn sessions(&mut self, key: &str, role: ProcessRole) -> u32 {
        let text = self.text(key);
        let fewest = role.fewest_sessions(
            ["operator_key", "viewer_key"]
                .iter()
                .any(|key| !self.layers.get(key).is_empty()),
        );
        match text.parse() {
            Ok(number) if (fewest..=SESSIONS_LIMIT).contains(&number) => number,
            _ => {
                self.fault(
                    key,
                    &format!(
                        "is {text:?}: use a whole number from {fewest} to {SESSIONS_LIMIT}, because each part of the role \
                         {role} needs a session"
                    ),
                );
                fewest
            }
        }
    }

    pub(super) fn share(&mut self, key: &str) -> f64 {
        let text = self.text(key);
        match text.parse() {
            Ok(share) if share > 0.0 && share <= 1.0 => share,
            _ => {
                self.fault(
                    key,
                    &format!("is {text:?}: use a number above 0 and up to 1"),
                );
                1.0
            }
        }
    }

    pub(super) fn duration(&mut self, key: &str, min: Duration) -> Duration {
        let text = self.text(key);
        match parse_duration(&text) {
            Some(duration) if duration >= min => duration,
            _ => {
                self.fault(
                    key,
                    &format!("is {text:?}: use a duration such as 30s, 5m or 7d, at least {min:?}"),
                );
                Duration::from_secs(60)
            }
        }
    }

    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_| {
            self.fault(
                key,
                &format!("is {text:?}: use an address and port such as 127.0.0.1:8080"),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    pub(super) fn name(&mut self, key: &str) -> String {
        let text = self.text(key);
        if text.is_empty() || text.contains(['{', '}', ' ']) {
            self.fault(key, "must be a word without blanks or braces");
        }
        text
    }

    /// An API version such as `2.16`.
    pub(super) fn version(&mut self, key: &str) -> String {
        let text = self.text(key);
        // Intercom offers unreleased behaviour under this name.
        let known = text == "Preview"
            || text
                .split_once('.')
                .is_some_and(|(major, minor)| major == "2" && minor.parse::<u16>().is_ok());
        if !known {
            self.fault(key, &format!("is {text:?}: use a version such as 2.16"));
        }
        text
    }

    /// A DSN of Postgres, in the forms of libpq. A fault shows nothing of it.
    pub(super) fn dsn(&mut self, key: &str, required: bool) -> String {
        let text = self.text(key);
        if text.is_empty() {
            if required {
                self.fault(key, "is not set");
            }
        } else if let Err(fault) = Dsn::parse(&text) {
            self.fault(key, &fault.to_string());
        }
        text
    }

    /// The beginning of names in SQL, which is written into statements.
    pub(super) fn role_prefix(&mut self, key: &str) -> String {
        let text = self.text(key);
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
            && text.len() <= LONGEST_ROLE_PREFIX;
        if !fits {
            self.fault(
                key,
                &format!("is {text:?}: use a letter and then letters, digits and underscores, in lower case, up to {LONGEST_ROLE_PREFIX} of them"),
            );
        }
        text
    }

    /// A URL that a browser opens: https, or loopback http in development.
    pub(super) fn web_url(&mut self, key: &str, development: bool, required: bool) -> String {
        let text = self.text(key).trim_end_matches('/').to_owned();
        if text.is_empty() {
            if required {
                self.fault(key, "is not set");
            }
        } else if !is_web_url(&text, development) {
            self.fault(
                key,
                &format!("is {text:?}: use an https URL (development also takes loopback http)"),
            );
        }
        text
    }

    /// Origins of web pages, comma separated, as a browser writes them.
    pub(super) fn origins(&mut self, key: &str, development: bool) -> Vec<String> {
        let text = self.text(key);
        let origins = text.split(',').map(str::trim);
        let origins: Vec<String> = origins
            .filter(|origin| !origin.is_empty())
            .map(str::to_owned)
            .collect();
        for origin in &origins {
            // A browser sends neither a path nor a slash, so an origin with one would match nothing.
            let is_origin =
                Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin || !is_web_url(origin, development) {
                self.fault(
                    key,
                    &format!("has {origin:?}: use origins such as https://app.example.com, without a path"),
                );
            }
        }
        origins
    }

    /// A path of ours or a web URL. It is a fixed setting and never taken from a request.
    pub(super) fn return_url(&mut self, key: &str, development: bool) -> String {
        let text = self.text(key);
        // A browser reads `//host` as a URL of another host.
        let path = text.starts_with('/') && !text.starts_with("//");
        if !path && !is_web_url(&text, development) {
            self.fault(
                key,
                &format!("is {text:?}: use a path such as /integrations or an https URL"),
            );
        }
        text
    }

    /// A replacement of Intercom's hosts. Only development may have one.
    pub(super) fn development_url(&mut self, key: &str, development: bool) -> Option<String> {
        let text = self.text(key).trim_end_matches('/').to_owned();
        if text.is_empty() {
            return None;
        }
        if !development {
            self.fault(key, "is for the development profile only");
        } else if !is_web_url(&text, true) {
            self.fault(
                key,
                &format!("is {text:?}: use an https URL or loopback http"),
            );
        }
        Some(text)
    }

    pub(super) fn key(&mut self, key: &str, required: bool, development: bool) -> Secret {
        let text = self.text(key);
        if text.is_empty() && development {
            return Secret::new(DEVELOPMENT_SERVICE_KEY);
        }
        if text.is_empty() {
            if required {
                self.fault(key, "is not set");
            }
        } else {
            self.check_key(key, &text);
        }
        Secret::new(text)
    }

    pub(super) fn optional_key(&mut self, key: &str) -> Option<Secret> {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        self.check_key(key, &text);
        Some(Secret::new(text))
    }

    /// The name of an operator. `None` if it is empty.
    pub(super) fn operator_name(&mut self, key: &str) -> Option<OperatorName> {
        let text = self.text(key);
        if text.trim().is_empty() {
            return None;
        }
        match text.parse() {
            Ok(name) => Some(name),
            Err(fault) => {
                self.fault(key, &fault.to_string());
                None
            }
        }
    }

    /// A key that may do less than another one, so it must not be the same.
    pub(super) fn viewer_key(&mut self, key: &str, other: &str) -> Option<Secret> {
        let viewer = self.optional_key(key)?;
        if viewer.expose() == self.text(other) {
            let why = format!(
                "is the same as {other}, so it would change everything: make one of its own"
            );
            self.fault(key, &why);
        }
        Some(viewer)
    }

    pub(super) fn encryption_keys(
        &mut self,
        key: &str,
        required: bool,
        development: bool,
    ) -> Secret {
        let mut text = self.text(key);
        if text.is_empty() && development {
            // A fixed key and not a random one, because a restart must open what was sealed before.
            DEVELOPMENT_ENCRYPTION_KEY.clone_into(&mut text);
        }
        if text.is_empty() && !required {
            return Secret::new(text);
        }
        if text == DEVELOPMENT_ENCRYPTION_KEY && !development {
            self.fault(
                key,
                "is the built-in key of the development profile: make one of your own",
            );
        }
        // Parsed now, so that a bad key stops the process at its start and not the first
        // connection.
        if let Err(error) = KeyRing::parse(&text) {
            self.fault(key, &format!("cannot be used: {error}"));
        }
        Secret::new(text)
    }

    fn check_key(&mut self, key: &str, text: &str) {
        if text.len() < MIN_KEY_CHARACTERS {
            self.fault(
                key,
                &format!("is shorter than {MIN_KEY_CHARACTERS} characters"),
            );
        } else if text == DEVELOPMENT_SERVICE_KEY {
            self.fault(
                key,
                "is the built-in key of the development profile: make one of your own",
            );
        }
    }

    pub(super) fn fault(&mut self, key: &str, what: &str) {
        let variable = variable(key);
        let origin = self.layers.origin(key);
        if origin == variable || origin == "the defaults" {
            self.faults.push(format!("{variable} {what}"));
        } else {
            self.faults.push(format!("{key} (from {origin}) {what}"));
        }
    }
}

/// `250ms`, `30s`, `5m`, `24h`, `7d`.
fn parse_duration(text: &str) -> Option<Duration> {
    // A number without a unit is refused, because its reader could think of another unit.
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

pub(super) fn is_web_url(text: &str, development: bool) -> bool {
    // Parsed, and not matched as text, so that `http://localhost@evil.example` is not loopback.
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => development && url.host().is_some_and(|host| is_loopback(&host)),
        _ => false,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
