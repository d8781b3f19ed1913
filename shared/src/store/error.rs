//! Failures of the store.
//!
//! Every method of the store fails with [`StoreError::Postgres`] if a statement fails. An `# Errors` section names only
//! what comes on top.

/// A failure of Postgres, or a row that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("postgres failed")]
    Postgres(#[from] sqlx::Error),
    #[error("the schema could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A value that our own constraints rule out, so a newer version wrote it, or a person did by hand.
    #[error("inconsistent row in {table}: {what}")]
    Inconsistent { table: &'static str, what: String },
    /// The lease or the connection's generation is no longer ours. Nothing was written.
    #[error("fenced: another lease has the work, or the connection has changed")]
    Fenced,
}

impl StoreError {
    /// Whether trying again later may help: the server was busy, restarting or out of reach.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(sqlx::Error::Database(error)) => {
                // Connection trouble, transaction rollback (deadlock, serialization), out of resources,
                // operator intervention (restart).
                error.code().is_some_and(|code| {
                    ["08", "40", "53", "57"]
                        .iter()
                        .any(|class| code.starts_with(class))
                })
            }
            Self::Postgres(error) => {
                matches!(
                    error,
                    sqlx::Error::Io(_)
                        | sqlx::Error::PoolTimedOut
                        | sqlx::Error::PoolClosed
                        | sqlx::Error::Protocol(_)
                )
            }
            Self::Migrate(_) | Self::Inconsistent { .. } | Self::Fenced => false,
        }
    }

    /// Whether the rows themselves were refused (SQLSTATE 22 data, 54 limits): no retry helps.
    #[must_use]
    pub fn is_bad_data(&self) -> bool {
        matches!(self, Self::Postgres(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("54")))
    }
}
