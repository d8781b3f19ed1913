//! What can go wrong, and what to do about it.

use std::io;
use std::time::Duration;

/// One copyable line per platform that installs both servers.
pub const INSTALL_HINT: &str = "\
run `make servers`, or install them by hand:
  Debian/Ubuntu  sudo apt-get install -y postgresql redis-server
  Fedora         sudo dnf install -y postgresql-server valkey
  Arch           sudo pacman -S --needed postgresql valkey
  macOS          brew install postgresql@17 valkey
or name them: PATHBOUND_POSTGRES_BIN=<directory> PATHBOUND_REDIS_BIN=<file>";

/// Why the servers could not be started or told what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No directory holds a working `postgres` and `initdb` of version 15 or later.
    #[error("no working Postgres 15 or later found{}; {INSTALL_HINT}", list(.rejected))]
    PostgresMissing {
        /// Candidates that were looked at, each with the reason it was refused.
        rejected: Vec<String>,
    },
    /// No working `redis-server` (7 or later) or `valkey-server` (8 or later).
    #[error("no working Redis 7 or Valkey 8 (or later) found{}; {INSTALL_HINT}", list(.rejected))]
    RedisMissing {
        /// Candidates that were looked at, each with the reason it was refused.
        rejected: Vec<String>,
    },
    /// Postgres refuses to run as root and no other account was found.
    #[error(
        "running as root, and neither `postgres` nor `nobody` is an account here; create one or run as an ordinary user"
    )]
    NoAccount,
    /// The temporary directory could not be made or filled.
    #[error("could not prepare {what}; check space and permissions, or set TMPDIR")]
    Prepare {
        /// The file or directory.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    Initdb {
        /// What it printed.
        output: String,
    },
    /// A process could not be started.
    #[error("could not start {name}")]
    Spawn {
        /// The program.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The server ended before it answered.
    #[error("{name} ended at once ({status}); its log says:\n{log}")]
    Ended {
        /// The server.
        name: &'static str,
        /// Its exit status.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The server did not answer (or did not end) in time.
    #[error("{name} was not {state} after {} s; its log says:\n{log}", .waited.as_secs())]
    Timeout {
        /// The server.
        name: &'static str,
        /// `ready` or `stopped`.
        state: &'static str,
        /// How long was waited.
        waited: Duration,
        /// The end of its log.
        log: String,
    },
    /// The server is not running (or is running already, for `start`).
    #[error("{name} is {state}")]
    WrongState {
        /// The server.
        name: &'static str,
        /// `not running` or `running already`.
        state: &'static str,
    },
    /// A signal could not be sent.
    #[error("could not signal {name}")]
    Signal {
        /// The server.
        name: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// No free port was found on the loopback address.
    #[error("no free port found on 127.0.0.1")]
    NoPort,
}

impl Error {
    /// Builds [`Error::Prepare`] in a `map_err`.
    pub(crate) fn prepare(what: impl ToString) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Prepare {
            what: what.to_string(),
            source,
        }
    }
}

/// ` (looked at: a; b)`, or nothing.
fn list(rejected: &[String]) -> String {
    if rejected.is_empty() {
        return String::new();
    }
    format!(" (looked at: {})", rejected.join("; "))
}
