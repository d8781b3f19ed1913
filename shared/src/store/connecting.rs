//! Opens sessions: which server of a DSN, by which path, and within which time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time::timeout;
use url::Url;

use super::tls_fault;
use crate::{
    config::dsn::{Dsn, DsnHost, DsnTarget, TlsMode},
    domain::Secret,
};

/// How long one server may take to open a session, if the DSN does not say.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// How long a question about logins and the schema may take. It reads a few rows of the catalog.
pub(super) const CATALOG_LIMIT: Duration = Duration::from_secs(10);

/// What a new session tells about its server. The limits are milliseconds, and zero is none.
const INSPECT: &str = "SELECT current_setting('transaction_read_only')::bool, \
    (1000 * extract(epoch FROM current_setting('statement_timeout')::interval))::bigint, \
    (1000 * extract(epoch FROM current_setting('lock_timeout')::interval))::bigint, \
    (1000 * extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval))::bigint";

/// The servers of one DSN, in its order.
#[derive(Debug)]
pub(super) struct Servers {
    ways: Vec<PgConnectOptions>,
    limit: Duration,
    /// The way that is tried first: the last one that led to a server that takes writes.
    first: AtomicUsize,
}

/// A new session.
#[derive(Debug)]
pub(super) struct OpenedSession {
    pub(super) connection: PgConnection,
    /// The server takes no writes: a standby, or `default_transaction_read_only` is on.
    pub(super) read_only: bool,
    /// The limits that the server's administrator has set for this login.
    pub(super) limits: ServerLimits,
}

/// Time limits of the server in milliseconds. Zero is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    pub(super) statement: i64,
    pub(super) lock: i64,
    pub(super) idle_in_transaction: i64,
}

impl Servers {
    /// # Errors
    /// If the DSN is none. Its text shows nothing of it.
    pub(super) fn of(url: &Secret, application: &str) -> Result<Self, sqlx::Error> {
        let dsn = Dsn::parse(url.expose()).map_err(sqlx::Error::config)?;
        let mut ways = Vec::new();
        for host in &dsn.hosts {
            let options = options(&dsn, host, application)?;
            // `allow` means without TLS, and with TLS if the server insists. sqlx stops after the first half.
            if dsn.tls == TlsMode::Allow {
                ways.push(options.clone().ssl_mode(PgSslMode::Disable));
                ways.push(options.ssl_mode(PgSslMode::Require));
            } else {
                ways.push(options);
            }
        }
        Ok(Self {
            ways,
            limit: dsn.connect_timeout.unwrap_or(CONNECT_LIMIT),
            first: AtomicUsize::new(0),
        })
    }

    /// A session with the first server that takes writes. If none does, one with a server that can be read.
    pub(super) async fn open(&self) -> Result<OpenedSession, sqlx::Error> {
        let first = self.first.load(Ordering::Relaxed);
        let (mut readable, mut failure) = (None, None);
        for index in (0..self.ways.len()).map(|step| (first + step) % self.ways.len()) {
            // The caller may give up meanwhile, and its next attempt should not meet the same dead server again.
            self.first.store(index + 1, Ordering::Relaxed);
            match within(self.limit, open(&self.ways[index])).await {
                Ok(opened) if opened.read_only => readable = readable.or(Some(opened)),
                Ok(opened) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(opened);
                }
                Err(error) => failure = Some(error),
            }
        }
        readable.ok_or_else(|| failure.unwrap_or(sqlx::Error::PoolTimedOut))
    }

    /// The name that the DSN logs in with.
    pub(super) fn user(&self) -> &str {
        self.ways[0].get_username()
    }
}

/// One attempt at one server.
async fn open(options: &PgConnectOptions) -> Result<OpenedSession, sqlx::Error> {
    let mut connection = options.connect().await.map_err(tls_fault::explained)?;
    // The simple protocol, because a transaction pooler may give a prepared statement to another session.
    let row = sqlx::raw_sql(INSPECT).fetch_one(&mut connection).await?;
    Ok(OpenedSession {
        read_only: row.try_get(0)?,
        limits: ServerLimits {
            statement: row.try_get(1)?,
            lock: row.try_get(2)?,
            idle_in_transaction: row.try_get(3)?,
        },
        connection,
    })
}

/// Fails with a time-out like that of a socket. The future is dropped, and a session that it held is closed with it.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(timed_out(limit)))
}

pub(super) fn timed_out(limit: Duration) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("postgres did not answer within {limit:?}"),
    ))
}

/// Ends a session politely, but does not wait for a server that is gone.
pub(super) async fn close(connection: PgConnection) {
    let _ = timeout(Duration::from_secs(1), connection.close()).await;
}

/// What sqlx needs to reach one host. It reads a URL of its own making, because only that way it looks into `.pgpass`.
fn options(dsn: &Dsn, host: &DsnHost, application: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let mut url = Url::parse("postgres:///").map_err(sqlx::Error::config)?;
    {
        let mut query = url.query_pairs_mut();
        match &host.target {
            Some(DsnTarget::Tcp(name)) => query.append_pair("host", name),
            Some(DsnTarget::Socket(folder)) => query.append_pair("host", &folder.to_string_lossy()),
            None => &mut query,
        };
        let port = host.port.map(|port| port.to_string());
        for (name, value) in [
            ("port", port.as_deref()),
            ("user", dsn.user.as_deref()),
            ("password", dsn.password.as_ref().map(Secret::expose)),
            ("dbname", dsn.database.as_deref()),
            ("options", dsn.options.as_deref()),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
    }
    let application = dsn.application_name.as_deref().unwrap_or(application);
    let options = PgConnectOptions::from_url(&url)?
        .application_name(application)
        // A pooler refuses start-up parameters that it does not know, and floats are exact without this one.
        .extra_float_digits(None);
    Ok(with_tls(options, dsn, host))
}

fn with_tls(mut options: PgConnectOptions, dsn: &Dsn, host: &DsnHost) -> PgConnectOptions {
    if matches!(host.target, Some(DsnTarget::Socket(_))) {
        // As in libpq: a socket of this machine needs no encryption.
        return options.ssl_mode(PgSslMode::Disable);
    }
    if let Some(path) = &dsn.root_certificate {
        options = options.ssl_root_cert(path);
    }
    if let (Some(certificate), Some(key)) = (&dsn.client_certificate, &dsn.client_key) {
        options = options.ssl_client_cert(certificate).ssl_client_key(key);
    }
    options.ssl_mode(match dsn.tls {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Allow | TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    })
}
