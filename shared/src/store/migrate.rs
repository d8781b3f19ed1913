//! The schema: `migrations/` is compiled in.

use sqlx::{Connection, PgConnection, migrate::Migrator};

use super::StoreError;
use crate::domain::Secret;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The schema that this build expects: the number of its last migration.
#[must_use]
pub fn schema() -> String {
    versions().max().unwrap_or_default().to_string()
}

/// The numbers of this build's migrations, in order.
pub(super) fn versions() -> impl Iterator<Item = i64> {
    MIGRATOR.iter().map(|migration| migration.version)
}

/// Brings the database to this build's schema. Safe to repeat and to run twice at once.
///
/// # Errors
/// When Postgres cannot be reached, a migration fails, or an applied one was changed since.
#[tracing::instrument(name = "db.migrate", level = "debug", skip_all)]
pub async fn migrate(url: &Secret) -> Result<(), StoreError> {
    let mut session = PgConnection::connect(url.expose()).await?;
    // sqlx takes an advisory lock, so the second of two processes finds nothing to do.
    MIGRATOR.run(&mut session).await?;
    session.close().await?;
    Ok(())
}

/// The numbers of migrations that this build has and the database has not.
///
/// # Errors
/// When Postgres cannot be reached.
#[tracing::instrument(name = "db.check", level = "debug", skip_all)]
pub async fn check(url: &Secret) -> Result<Vec<i64>, StoreError> {
    let mut session = PgConnection::connect(url.expose()).await?;
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut session)
        .await?;
    let applied: Vec<i64> = if known {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut session)
            .await?
    } else {
        Vec::new()
    };
    session.close().await?;
    Ok(versions()
        .filter(|version| !applied.contains(version))
        .collect())
}
