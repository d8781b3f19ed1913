//! A Postgres DSN, in the forms of libpq: several hosts, sockets, IPv6, TLS files.
//!
//! A fault never repeats a part of the DSN, because any part may belong to a password with a `/`, `?` or `@` in it.

mod parameters;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::url_text;
use crate::domain::Secret;

/// Where Postgres is, and how to log in. Servers are tried in order until one takes writes.
#[derive(Clone, Debug, Default)]
pub struct Dsn {
    pub hosts: Vec<DsnHost>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub tls: TlsMode,
    /// The file of the authorities that may sign the server's certificate. `None`: the system's store.
    pub root_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// How long one server may take to accept a session.
    pub connect_timeout: Option<Duration>,
    pub application_name: Option<String>,
    /// Command-line options of the session, such as `-c search_path=pathbound`.
    pub options: Option<String>,
}

/// One server of a DSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnHost {
    /// `None`: the default of this machine.
    pub target: Option<DsnTarget>,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DsnTarget {
    /// A name, or an address without brackets.
    Tcp(String),
    /// The directory of a unix socket.
    Socket(PathBuf),
}

/// The meaning of `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// Without TLS, and with TLS if the server insists.
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Why a DSN cannot be used, as the end of a sentence that begins with the option's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DsnFault(String);

impl DsnFault {
    fn because(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl Dsn {
    /// Reads a `postgres://` or `postgresql://` URL.
    ///
    /// # Errors
    /// [`DsnFault`] for what is no such URL, and for a parameter that this build cannot honour.
    pub fn parse(text: &str) -> Result<Self, DsnFault> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(|| DsnFault::because("is not a postgres:// URL"))?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = address.split_once('/').unwrap_or((address, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let mut dsn = Self {
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            user: filled(decoded(user)?),
            password: filled(decoded(password)?).map(Secret::new),
            database: filled(decoded(database)?),
            ..Self::default()
        };
        dsn.read_parameters(query)?;
        Ok(dsn)
    }
}

/// `name`, `name:port`, `[::1]:port`, `%2Fvar%2Frun`, or nothing for this machine's default.
fn host(text: &str) -> Result<DsnHost, DsnFault> {
    let host = url_text::host(text)
        .ok_or_else(|| DsnFault::because("has an IPv6 address without its bracket"))?;
    Ok(DsnHost {
        target: target(&decoded(host.name)?),
        port: port_number(host.port.unwrap_or_default())?,
    })
}

fn target(name: &str) -> Option<DsnTarget> {
    if name.is_empty() {
        None
    } else if name.starts_with('/') {
        Some(DsnTarget::Socket(name.into()))
    } else {
        // libpq takes an IPv6 address in brackets here too, although its parameter `host` needs none.
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let name = bare
            .filter(|bare| bare.parse::<IpAddr>().is_ok())
            .unwrap_or(name);
        Some(DsnTarget::Tcp(name.to_owned()))
    }
}

fn port_number(text: &str) -> Result<Option<u16>, DsnFault> {
    if text.is_empty() {
        return Ok(None);
    }
    url_text::port(text).map(Some).ok_or_else(|| {
        DsnFault::because(
            "has a port that is not a number from 1 to 65535 (an IPv6 address needs brackets, and a password must be \
             percent-encoded)",
        )
    })
}

fn decoded(text: &str) -> Result<String, DsnFault> {
    url_text::decoded(text)
        .ok_or_else(|| DsnFault::because("has a percent-encoded part that is not UTF-8"))
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
