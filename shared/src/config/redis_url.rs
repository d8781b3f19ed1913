//! The URL of Redis, in each of its forms.
//!
//! | form | server |
//! |---|---|
//! | `redis://`, `valkey://` | one server over TCP |
//! | `rediss://`, `valkeys://` | one server over TLS |
//! | `unix://`, `redis+unix://`, `valkey+unix://` | one server behind a socket of this machine |
//! | `redis+sentinel://`, `valkey+sentinel://` | the master that Sentinels name |
//! | `rediss+sentinel://`, `valkeys+sentinel://` | the same over TLS |
//!
//! It is read here and not by a library, because a URL library cannot read several hosts. An error never repeats the
//! URL, which may hold a password.

use std::path::PathBuf;

use super::url_text::{self, HostText};
use crate::domain::Secret;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where Redis is, and how to log in.
#[derive(Clone, Debug)]
pub(crate) struct RedisUrl {
    pub target: RedisTarget,
    pub tls: bool,
    pub login: RedisLogin,
    /// The login at the Sentinels. They have users of their own.
    pub sentinel_login: RedisLogin,
    pub db: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedisTarget {
    Server(RedisHost),
    Socket(PathBuf),
    Sentinels {
        hosts: Vec<RedisHost>,
        /// The name that the Sentinels have for the master.
        master: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisHost {
    /// Without the brackets of an IPv6 address.
    pub name: String,
    pub port: u16,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RedisLogin {
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// Why a URL of Redis cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadRedisUrl(String);

impl BadRedisUrl {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The parts of a URL, still encoded.
struct UrlParts<'a> {
    kind: UrlForm,
    tls: bool,
    login: RedisLogin,
    /// Hosts, or nothing for a socket.
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UrlForm {
    Server,
    Socket,
    Sentinel,
}

impl RedisUrl {
    /// # Errors
    /// If the text is none of the forms.
    pub(crate) fn parse(text: &str) -> Result<Self, BadRedisUrl> {
        let parts = UrlParts::split(text)?;
        let mut url = Self {
            target: parts.target()?,
            tls: parts.tls,
            login: parts.login.clone(),
            sentinel_login: RedisLogin::default(),
            db: 0,
        };
        if parts.kind == UrlForm::Server && !parts.path.trim_matches('/').is_empty() {
            url.db = number(parts.path.trim_matches('/'))?;
        }
        for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            url.set(parts.kind, name, decoded(value)?)?;
        }
        Ok(url)
    }

    fn set(&mut self, kind: UrlForm, name: &str, value: String) -> Result<(), BadRedisUrl> {
        match (kind, name) {
            (UrlForm::Socket | UrlForm::Sentinel, "db") => self.db = number(&value)?,
            (UrlForm::Socket, "user") => self.login.user = Some(value),
            (UrlForm::Socket, "pass" | "password") => {
                self.login.password = Some(Secret::new(value));
            }
            (UrlForm::Sentinel, "sentinel_user") => self.sentinel_login.user = Some(value),
            (UrlForm::Sentinel, "sentinel_password") => {
                self.sentinel_login.password = Some(Secret::new(value));
            }
            // The name may be a typing error in a password, so it is not repeated.
            _ => {
                return Err(BadRedisUrl::because(match kind {
                    UrlForm::Server => "has a parameter after `?`, but this form takes none",
                    UrlForm::Socket => "has an unknown parameter: use db, user or pass",
                    UrlForm::Sentinel => {
                        "has an unknown parameter: use db, sentinel_user or sentinel_password"
                    }
                }));
            }
        }
        Ok(())
    }
}

impl<'a> UrlParts<'a> {
    fn split(text: &'a str) -> Result<Self, BadRedisUrl> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let (kind, tls) = match scheme {
            "redis" | "valkey" => (UrlForm::Server, false),
            "rediss" | "valkeys" => (UrlForm::Server, true),
            "unix" | "redis+unix" | "valkey+unix" => (UrlForm::Socket, false),
            "redis+sentinel" | "valkey+sentinel" => (UrlForm::Sentinel, false),
            "rediss+sentinel" | "valkeys+sentinel" => (UrlForm::Sentinel, true),
            _ => {
                return Err(BadRedisUrl::because(
                    "begins with none of redis://, rediss://, valkey://, valkeys://, unix://, redis+sentinel:// and rediss+sentinel://",
                ));
            }
        };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        if !fragment.is_empty() {
            return Err(BadRedisUrl::because(
                "has a `#`: write %23 for it in a password, and name a private authority with redis_ca_file",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Ok(Self {
            kind,
            tls,
            login: RedisLogin::parse(login)?,
            hosts,
            path,
            query,
        })
    }

    fn target(&self) -> Result<RedisTarget, BadRedisUrl> {
        match self.kind {
            UrlForm::Server => Ok(RedisTarget::Server(RedisHost::parse(
                self.hosts, REDIS_PORT,
            )?)),
            UrlForm::Socket if !self.hosts.is_empty() || self.path.len() < 2 => Err(
                BadRedisUrl::because("names no absolute path: write unix:///run/redis.sock"),
            ),
            UrlForm::Socket => Ok(RedisTarget::Socket(decoded(self.path)?.into())),
            UrlForm::Sentinel => {
                let master = decoded(self.path.trim_matches('/'))?;
                if master.is_empty() || master.contains('/') {
                    return Err(BadRedisUrl::because(
                        "names no master: write redis+sentinel://HOST:26379,HOST:26379/MASTER",
                    ));
                }
                let hosts = self.hosts.split(',');
                let hosts = hosts.map(|host| RedisHost::parse(host, SENTINEL_PORT));
                Ok(RedisTarget::Sentinels {
                    hosts: hosts.collect::<Result<_, _>>()?,
                    master,
                })
            }
        }
    }
}

impl RedisLogin {
    /// `user:password`, `:password`, `user` or nothing.
    fn parse(text: &str) -> Result<Self, BadRedisUrl> {
        let (user, password) = match text.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (text, None),
        };
        Ok(Self {
            user: Some(decoded(user)?).filter(|user| !user.is_empty()),
            password: password.map(Secret::new),
        })
    }
}

impl RedisHost {
    fn parse(text: &str, default_port: u16) -> Result<Self, BadRedisUrl> {
        // Half a bracket names no host either.
        let none = HostText {
            name: "",
            port: None,
        };
        let HostText { name, port } = url_text::host(text).unwrap_or(none);
        if name.is_empty() || name.contains([' ', ',', '@']) {
            return Err(BadRedisUrl::because(
                "names no host: write redis://HOST:6379, and encode special characters of a password (%40 is @)",
            ));
        }
        let port = match port {
            None => default_port,
            Some(port) => url_text::port(port).ok_or_else(|| {
                BadRedisUrl::because(
                    "has a port that is no number, so encode special characters of a password (%3A is :)",
                )
            })?,
        };
        Ok(Self {
            name: name.to_owned(),
            port,
        })
    }
}

fn number(text: &str) -> Result<i64, BadRedisUrl> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| BadRedisUrl::because("has a database that is no number"))
}

fn decoded(text: &str) -> Result<String, BadRedisUrl> {
    url_text::decoded(text).ok_or_else(|| BadRedisUrl::because("has bytes that are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> RedisHost {
        RedisHost {
            name: name.to_owned(),
            port,
        }
    }

    #[test]
    fn every_form_is_read() {
        let server = |name, port| RedisTarget::Server(host(name, port));
        for (text, place, tls, db) in [
            ("redis://r", server("r", 6379), false, 0),
            (
                "redis://u:p%40w@10.0.0.1:7000/3",
                server("10.0.0.1", 7000),
                false,
                3,
            ),
            ("rediss://[::1]:7000", server("::1", 7000), true, 0),
            ("valkey://:pw@v:1/", server("v", 1), false, 0),
            ("valkeys://v", server("v", 6379), true, 0),
            (
                "unix:///run/r.sock?db=2&pass=pw",
                RedisTarget::Socket("/run/r.sock".into()),
                false,
                2,
            ),
            (
                "unix://u:pw@/run/r.sock",
                RedisTarget::Socket("/run/r.sock".into()),
                false,
                0,
            ),
            (
                "rediss+sentinel://u:pw@a,[::1]:9,c:7/main?db=4",
                RedisTarget::Sentinels {
                    hosts: vec![host("a", 26379), host("::1", 9), host("c", 7)],
                    master: "main".to_owned(),
                },
                true,
                4,
            ),
        ] {
            let url = RedisUrl::parse(text).expect(text);
            assert_eq!((url.target, url.tls, url.db), (place, tls, db), "{text}");
        }
        let login = RedisUrl::parse("redis://u:p%40w@r").unwrap().login;
        assert_eq!(login.user.as_deref(), Some("u"));
        assert_eq!(login.password.unwrap().expose(), "p@w");
    }

    #[test]
    fn a_wrong_form_is_refused_without_its_password() {
        for text in [
            "",
            "redis:/r",
            "http://hunter2@r",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2/x@r",
            "redis://:hunter2#x@r",
            "redis://r:hunter2",
            "redis://r:0",
            "redis://r/hunter2",
            "redis://r?protocol=hunter2",
            "rediss://r#insecure",
            "unix://relative?pass=hunter2",
            "unix:///",
            "unix:///r?hunter2=1",
            "redis+sentinel://:hunter2@a:1",
            "redis+sentinel://a:1,,b/main",
            "redis://r1,r2",
            "redis://%ff@r",
        ] {
            let error = RedisUrl::parse(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }
}
