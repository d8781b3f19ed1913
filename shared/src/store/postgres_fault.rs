//! What Postgres said, in words that hold no value of a row.
//!
//! A message of Postgres may quote what a customer wrote, and errors are logged, stored as causes and shown. So only the
//! kinds of message are repeated that speak of the server, of logins and of our own statements.

use std::{error::Error, fmt};

use sqlx::{error::DatabaseError, migrate::MigrateError};

/// SQLSTATE classes whose messages quote no row: connection, transaction state, login, unknown database, rollback, names
/// and rights, resources, state of an object, operator intervention, system errors.
const ABOUT_NO_ROW: [&str; 10] = ["08", "25", "28", "3D", "40", "42", "53", "55", "57", "58"];

/// An error of sqlx. Its text has no source of its own where that could quote a row.
pub struct PostgresFault(pub(super) sqlx::Error);

/// A failure of sqlx's migrator, in the same words.
pub struct MigrationFault(pub(super) MigrateError);

impl fmt::Display for PostgresFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(f, &self.0)
    }
}

impl fmt::Display for MigrationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            MigrateError::Execute(error) => tell(f, error),
            MigrateError::ExecuteMigration(error, version) => {
                write!(f, "migration {version} failed: ")?;
                tell(f, error)
            }
            error => write!(f, "{error}"),
        }
    }
}

fn tell(f: &mut fmt::Formatter<'_>, error: &sqlx::Error) -> fmt::Result {
    match error {
        sqlx::Error::Database(error) => refusal(f, &**error),
        // Their sources quote what could not be read.
        sqlx::Error::ColumnDecode { index, .. } => write!(f, "column {index} cannot be read"),
        sqlx::Error::Decode(_) => f.write_str("a value cannot be read"),
        sqlx::Error::Encode(_) => f.write_str("a value cannot be written"),
        error => write!(f, "{error}"),
    }
}

fn refusal(f: &mut fmt::Formatter<'_>, error: &dyn DatabaseError) -> fmt::Result {
    let code = error.code().unwrap_or_default();
    if ABOUT_NO_ROW.iter().any(|class| code.starts_with(class)) {
        return write!(f, "{} (SQLSTATE {code})", error.message());
    }
    write!(f, "a statement was refused with SQLSTATE {code}")?;
    if let Some(constraint) = error.constraint() {
        write!(f, ", by the constraint {constraint}")?;
    }
    match error.table() {
        Some(table) => write!(f, " of the table {table}"),
        None => Ok(()),
    }
}

/// The same text, because a log may show an error in either form.
impl fmt::Debug for PostgresFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for MigrationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for PostgresFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            sqlx::Error::Database(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_) => None,
            error => error.source(),
        }
    }
}

/// Its text tells the whole, so it has no source.
impl Error for MigrationFault {}
