//! Failures of the store.
//!
//! Every method of the store fails with [`StoreError::Postgres`] if a statement fails. An `# Errors` section names only
//! what comes on top.

use sqlx::migrate::MigrateError;

use super::postgres_fault::{MigrationFault, PostgresFault};

/// SQLSTATEs of a server that may work again soon, and of one that has become a standby: connection trouble,
/// transaction rollback (deadlock, serialization), out of resources, operator intervention (restart), a transaction
/// that was idle too long, a lock that was waited for too long, and a write on a read-only server.
const PASSING: [&str; 8] = ["08", "40", "53", "57", "25P03", "25P04", "55P03", "25006"];

/// SQLSTATEs after which a session is not used again: connection trouble, the operator's intervention (restart, time
/// limit), a transaction that was idle too long, and a write on a server that has become read-only.
const LOST: [&str; 5] = ["08", "57", "25P03", "25P04", "25006"];

/// A failure of Postgres, or a row that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("postgres failed")]
    Postgres(#[source] PostgresFault),
    /// Postgres cancelled the statement. It may do so every time, so this counts as a failed attempt.
    #[error(
        "postgres cancelled a statement that ran into its time limit, so raise statement_timeout of pathbound's login if this happens again and again"
    )]
    Cancelled(#[source] PostgresFault),
    /// Another session prepared the statement that we meant: an old pooler is in between.
    #[error(
        "a pooler in front of postgres does not keep prepared statements, so set database_prepared_statements to false"
    )]
    LostStatement(#[source] PostgresFault),
    /// A standby, or a server whose `default_transaction_read_only` is on.
    #[error("postgres takes no writes: it is a standby or set to read-only")]
    ReadOnly,
    #[error("the schema could not be migrated")]
    Migrate(#[source] MigrationFault),
    /// A value that our own constraints rule out, so a newer version wrote it, or a person did by hand.
    #[error("inconsistent row in {table}: {what}")]
    Inconsistent { table: &'static str, what: String },
    /// The lease or the connection's generation is no longer ours. Nothing was written.
    #[error("fenced: another lease has the work, or the connection has changed")]
    Fenced,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match code(&error).as_deref() {
            Some("57014") => Self::Cancelled(PostgresFault(error)),
            // `invalid_sql_statement_name` and `duplicate_prepared_statement`: our names are unique in a session.
            Some("26000" | "42P05") => Self::LostStatement(PostgresFault(error)),
            _ => Self::Postgres(PostgresFault(error)),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(MigrationFault(error))
    }
}

impl StoreError {
    /// Whether trying again later may help: the server was busy, restarting, read-only or out of reach.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(PostgresFault(sqlx::Error::Database(_))) => self.has_code(&PASSING),
            Self::Postgres(PostgresFault(error)) => {
                matches!(
                    error,
                    sqlx::Error::Io(_)
                        | sqlx::Error::PoolTimedOut
                        | sqlx::Error::PoolClosed
                        | sqlx::Error::Protocol(_)
                        // A certificate is replaced, on either side.
                        | sqlx::Error::Tls(_)
                )
            }
            Self::ReadOnly => true,
            Self::Cancelled(_)
            | Self::LostStatement(_)
            | Self::Migrate(_)
            | Self::Inconsistent { .. }
            | Self::Fenced => false,
        }
    }

    /// Whether the rows themselves were refused (SQLSTATE 22 data, 54 limits): no retry helps.
    #[must_use]
    pub fn is_bad_data(&self) -> bool {
        self.has_code(&["22", "54"])
    }

    /// Whether a name is unknown (42P01 table, 42704 and 22023 role) or the login lacks a right (42501).
    pub(super) fn is_undefined_or_refused(&self) -> bool {
        self.has_code(&["42P01", "42704", "22023", "42501"])
    }

    fn has_code(&self, beginnings: &[&str]) -> bool {
        let Self::Postgres(PostgresFault(error)) = self else {
            return false;
        };
        code(error).is_some_and(|code| beginnings.iter().any(|start| code.starts_with(start)))
    }
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    match error {
        sqlx::Error::Database(error) => error.code(),
        _ => None,
    }
}

/// Whether a time limit or an operator ended the statement.
pub(super) fn is_cancelled(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("57014")
}

/// Whether the error tells that the session or its server is gone, and not that a statement was wrong.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        // Out of sessions is not the end of one, but a new attempt may find a free one.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            LOST.iter()
                .chain(&["53300"])
                .any(|lost| code.starts_with(lost))
        }),
        _ => false,
    }
}
