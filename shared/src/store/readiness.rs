//! Whether a process can work with this Postgres: it takes a write, the role can be taken, and the schema fits.

use std::collections::BTreeSet;

use super::{Store, StoreError, migrate::versions, roles::DbRole};

/// Why a process cannot work with Postgres now. Its text is for operators, in `/readyz` and in the log.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// It does not answer, or not in time.
    #[error("postgres cannot be used: {}", reason(.0))]
    Postgres(#[source] StoreError),
    #[error(transparent)]
    ReadOnly(StoreError),
    #[error(
        "the database login may not take the role {role}: run `pathbound migrate`, which creates the role and grants it"
    )]
    Role {
        role: String,
        #[source]
        cause: StoreError,
    },
    /// `missing` are the numbers of this build's migrations that the database lacks.
    #[error(
        "the schema is older than this build, which needs {}: run `pathbound migrate`",
        numbers(missing)
    )]
    OldSchema { missing: Vec<i64> },
}

impl<R: DbRole> Store<R> {
    /// Proves that this role can work: Postgres commits a write, the login may take the role, and every migration of
    /// this build is applied.
    ///
    /// A newer schema is accepted. A migration may only add what the running build ignores, so processes of the
    /// previous build go on during a rollout.
    ///
    /// # Errors
    /// [`NotReady`] with the reason.
    #[tracing::instrument(name = "db.readiness", level = "debug", skip_all)]
    pub async fn readiness(&self) -> Result<(), NotReady> {
        let mut tx = self
            .begin_for_all()
            .await
            .map_err(|cause| self.not_begun(cause))?;
        let read_only: bool =
            sqlx::query_scalar("SELECT current_setting('transaction_read_only')::bool")
                .fetch_one(tx.session())
                .await
                .map_err(failed)?;
        if read_only {
            return Err(NotReady::ReadOnly(StoreError::ReadOnly));
        }
        let applied: BTreeSet<i64> = match applied_versions(&mut tx).await {
            Ok(applied) => applied.into_iter().collect(),
            // The role could not read the list before migration 20, and an empty database has none.
            Err(error) if error.is_undefined_or_refused() => BTreeSet::new(),
            Err(error) => return Err(NotReady::Postgres(error)),
        };
        let missing: Vec<i64> = versions()
            .filter(|version| !applied.contains(version))
            .collect();
        if !missing.is_empty() {
            return Err(NotReady::OldSchema { missing });
        }
        // A record in the write-ahead log is a real write without a table to write to. The commit waits until it is
        // stored, on synchronous standbys too.
        sqlx::query("SELECT pg_logical_emit_message(true, 'pathbound', 'readiness')")
            .execute(tx.session())
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(NotReady::Postgres)
    }

    fn not_begun(&self, cause: StoreError) -> NotReady {
        if cause.is_undefined_or_refused() {
            let role = format!("{}_{}", self.sessions.settings.role_prefix, R::WORD);
            NotReady::Role { role, cause }
        } else {
            NotReady::Postgres(cause)
        }
    }
}

async fn applied_versions<R: DbRole>(tx: &mut super::Tx<R>) -> Result<Vec<i64>, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(tx.session())
            .await?,
    )
}

fn failed(error: sqlx::Error) -> NotReady {
    NotReady::Postgres(error.into())
}

/// The innermost cause, because the outer ones only say that something failed.
fn reason(error: &StoreError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The first and the last number. They are in order.
fn numbers(missing: &[i64]) -> String {
    match missing {
        [] => "nothing".to_owned(),
        [one] => format!("migration {one}"),
        [first, .., last] => format!("migrations {first} to {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_schema_is_told_by_its_missing_migrations() {
        let told = |missing: &[i64]| {
            NotReady::OldSchema {
                missing: missing.to_vec(),
            }
            .to_string()
        };
        assert_eq!(
            told(&[29]),
            "the schema is older than this build, which needs migration 29: run `pathbound migrate`"
        );
        assert_eq!(
            told(&[25, 26, 29]),
            "the schema is older than this build, which needs migrations 25 to 29: run `pathbound migrate`"
        );
    }
}
