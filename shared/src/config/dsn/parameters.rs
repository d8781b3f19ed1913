//! The parameters behind a DSN's `?`.

use std::{path::PathBuf, time::Duration};

use super::{Dsn, DsnFault, DsnHost, TlsMode, decoded, filled, port_number, target};

/// Parameters of libpq that cannot be honoured. Only these are named in a fault.
const UNSUPPORTED: [&str; 12] = [
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "ssl_max_protocol_version",
];

/// libpq waits at least this long for a server.
const SHORTEST_CONNECT: Duration = Duration::from_secs(2);

/// What the parameters say about TLS, before it is checked as a whole.
#[derive(Default)]
struct Tls {
    mode: Option<TlsMode>,
    root: Option<String>,
}

/// Where the servers are, in parameters that come in any order.
#[derive(Default)]
struct Places {
    hosts: Option<String>,
    addresses: Option<String>,
    ports: Option<String>,
}

impl Dsn {
    pub(super) fn read_parameters(&mut self, query: &str) -> Result<(), DsnFault> {
        let (mut tls, mut places) = (Tls::default(), Places::default());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match name {
                "host" => places.hosts = Some(value),
                "hostaddr" => places.addresses = Some(value),
                "port" => places.ports = Some(value),
                "dbname" => self.database = filled(value),
                "user" => self.user = filled(value),
                "password" => self.password = filled(value).map(crate::domain::Secret::new),
                "application_name" => self.application_name = filled(value),
                "options" => self.options = filled(value),
                "connect_timeout" => self.connect_timeout = connect_timeout(&value)?,
                "sslmode" | "ssl-mode" => tls.mode = Some(mode(&value)?),
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" => tls.root = filled(value),
                "sslcert" | "ssl-cert" => self.client_certificate = Some(file(name, value)?),
                "sslkey" | "ssl-key" => self.client_key = Some(file(name, value)?),
                _ => accept_default(name, &value)?,
            }
        }
        if places.addresses.is_some() && tls.mode == Some(TlsMode::VerifyFull) {
            return Err(DsnFault::because(
                "has hostaddr together with sslmode=verify-full, which compares the name: use host alone",
            ));
        }
        self.set_places(places)?;
        self.set_tls(tls)
    }

    fn set_places(&mut self, given: Places) -> Result<(), DsnFault> {
        // An address is connected to in place of the name.
        if let Some(names) = given.addresses.or(given.hosts) {
            let ports: Vec<_> = self.hosts.iter().map(|host| host.port).collect();
            self.hosts = names
                .split(',')
                .map(|name| DsnHost {
                    target: target(name),
                    port: None,
                })
                .collect();
            // A port of the URL's own is for all of the hosts.
            if ports.len() == 1 {
                self.spread(&ports)?;
            }
        }
        if let Some(ports) = given.ports {
            let ports: Result<Vec<_>, _> = ports.split(',').map(port_number).collect();
            self.spread(&ports?)?;
        }
        Ok(())
    }

    /// Several hosts need one port each, or one for all.
    fn spread(&mut self, ports: &[Option<u16>]) -> Result<(), DsnFault> {
        if ports.len() != 1 && ports.len() != self.hosts.len() {
            return Err(DsnFault::because(
                "has neither one port for all hosts nor one for each",
            ));
        }
        for (host, port) in self.hosts.iter_mut().zip(ports.iter().cycle()) {
            host.port = *port;
        }
        Ok(())
    }

    fn set_tls(&mut self, tls: Tls) -> Result<(), DsnFault> {
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return Err(DsnFault::because(
                "has one of sslcert and sslkey: give both or none",
            ));
        }
        self.tls = match (tls.root.as_deref(), tls.mode) {
            // As in libpq: the system's store vouches for anybody's certificate, so the name has to be compared.
            (Some("system"), None | Some(TlsMode::VerifyFull)) => TlsMode::VerifyFull,
            (Some("system"), Some(_)) => {
                return Err(DsnFault::because(
                    "has sslrootcert=system with a weaker sslmode than verify-full",
                ));
            }
            // As in libpq: a given authority is meant to be checked.
            (Some(_), Some(TlsMode::Require)) => TlsMode::VerifyCa,
            (_, mode) => mode.unwrap_or_default(),
        };
        self.root_certificate = match tls.root {
            Some(path) if path != "system" => Some(file("sslrootcert", path)?),
            _ => None,
        };
        Ok(())
    }
}

fn connect_timeout(text: &str) -> Result<Option<Duration>, DsnFault> {
    let seconds: u64 = text
        .parse()
        .map_err(|_| DsnFault::because("has a connect_timeout that is not a number of seconds"))?;
    // Zero means without a limit in libpq, which nothing here is.
    Ok((seconds > 0).then(|| Duration::from_secs(seconds).max(SHORTEST_CONNECT)))
}

fn mode(text: &str) -> Result<TlsMode, DsnFault> {
    Ok(match text {
        "disable" => TlsMode::Disable,
        "allow" => TlsMode::Allow,
        "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            return Err(DsnFault::because(
                "has an unknown sslmode: use disable, allow, prefer, require, verify-ca or verify-full",
            ));
        }
    })
}

/// Read now, because a missing file would otherwise be found at the first session, without its option's name.
fn file(parameter: &str, path: String) -> Result<PathBuf, DsnFault> {
    let path = PathBuf::from(path);
    match std::fs::read(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(DsnFault::because(format!(
            "has a file in {parameter} that cannot be read: {}",
            error.kind()
        ))),
    }
}

/// Parameters without an effect here, if their value asks for nothing more than what is done anyway.
fn accept_default(name: &str, value: &str) -> Result<(), DsnFault> {
    let fine = match name {
        // Every wait has a deadline of its own, so a dead peer is noticed without these.
        "keepalives"
        | "keepalives_idle"
        | "keepalives_interval"
        | "keepalives_count"
        | "tcp_user_timeout"
        | "fallback_application_name"
        | "sslsni"
        | "sslcompression" => true,
        // Only a server that takes writes is used, whatever is asked for.
        "target_session_attrs" => matches!(value, "any" | "read-write" | "primary"),
        "client_encoding" => matches!(value, "auto" | "UTF8" | "utf8" | "UTF-8"),
        "load_balance_hosts" => value == "disable",
        "sslnegotiation" => value == "postgres",
        "gssencmode" | "channel_binding" => matches!(value, "disable" | "prefer"),
        "ssl_min_protocol_version" => matches!(value, "TLSv1" | "TLSv1.1" | "TLSv1.2"),
        _ if UNSUPPORTED.contains(&name) => {
            return Err(DsnFault::because(format!(
                "has the parameter {name}, which is not supported"
            )));
        }
        _ => {
            return Err(DsnFault::because(
                "has an unknown parameter behind the question mark (a password must be percent-encoded)",
            ));
        }
    };
    if fine {
        return Ok(());
    }
    Err(DsnFault::because(format!(
        "has a value of {name} that is not supported"
    )))
}
