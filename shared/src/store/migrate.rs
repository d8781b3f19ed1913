//! The schema: `migrations/` is compiled in.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, PgConnection, Row as _, SqlSafeStr as _,
    migrate::{Migrate as _, Migration, Migrator},
};

use super::{
    StoreError,
    connecting::{CATALOG_LIMIT, Servers, close, timed_out, within},
    roles,
};
use crate::{config::DatabaseConfig, domain::Secret};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// What the migrations' text begins the names of roles with.
const WRITTEN_PREFIX: &str = "pathbound";

/// How long another process may migrate while this one waits for it.
const LOCK_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A migration may take hours, but it must not stop the fleet while it waits for a table's lock.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '30s'";

/// Between two looks at the migrating session, and how many failed ones mean that its server is gone.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const CHECK_LIMIT: Duration = Duration::from_secs(5);
const CHECKS: u32 = 3;

/// The schema that this build expects: the number of its last migration.
#[must_use]
pub fn schema() -> String {
    versions().max().unwrap_or_default().to_string()
}

/// The numbers of this build's migrations, in order.
pub(super) fn versions() -> impl Iterator<Item = i64> {
    MIGRATOR.iter().map(|migration| migration.version)
}

/// Brings the database to this build's schema. Safe to repeat and to run twice at once. A database that a newer build
/// has migrated stays as it is, so that a release can be rolled back. The login owns the schema, and `role_prefix`
/// begins the names of the roles. Returns the number of partitions that the big tables have. It is that of the
/// configuration, unless an earlier migration has made them.
///
/// # Errors
/// When Postgres cannot be reached or goes away, a migration fails, or an applied one was changed since.
#[tracing::instrument(name = "db.migrate", level = "debug", skip_all)]
pub async fn migrate(url: &Secret, database: &DatabaseConfig) -> Result<i64, StoreError> {
    let servers = Servers::of(url, &database.role_prefix)?;
    let mut session = owner(&servers).await?;
    let pid = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut session);
    let pid = within(CATALOG_LIMIT, pid).await?.try_get(0)?;
    let partitions = tokio::select! {
        migrated = run(&mut session, database) => migrated?,
        () = until_lost(&servers, pid) => {
            return Err(timed_out((CHECK_INTERVAL + CHECK_LIMIT) * CHECKS).into());
        }
    };
    close(session).await;
    Ok(partitions)
}

/// A session with a server that takes writes.
pub(super) async fn owner(servers: &Servers) -> Result<PgConnection, StoreError> {
    let opened = servers.open().await?;
    if opened.read_only {
        return Err(StoreError::ReadOnly);
    }
    Ok(opened.connection)
}

async fn run(session: &mut PgConnection, database: &DatabaseConfig) -> Result<i64, StoreError> {
    // The second of two processes waits here, and then finds nothing to do.
    match tokio::time::timeout(LOCK_LIMIT, session.lock()).await {
        Ok(locked) => locked?,
        Err(_) => return Err(timed_out(LOCK_LIMIT).into()),
    }
    sqlx::raw_sql(SETTINGS).execute(&mut *session).await?;
    sqlx::query("SELECT set_config('pathbound.partitions', $1, false)")
        .bind(database.partitions.to_string())
        .execute(&mut *session)
        .await?;
    migrator(&database.role_prefix)
        .run_direct(None, &mut *session, false)
        .await?;
    let partitions =
        sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'parts'::regclass")
            .fetch_one(&mut *session)
            .await?;
    session.unlock().await?;
    Ok(partitions)
}

/// The migrations, with other names of the roles if another prefix is configured. The checksums stay those of the
/// files, because a checksum tells whether a file was changed.
fn migrator(role_prefix: &str) -> Migrator {
    let renamed = |migration: &Migration| Migration {
        sql: AssertSqlSafe(with_prefix(migration.sql.as_str(), role_prefix)).into_sql_str(),
        ..migration.clone()
    };
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().map(renamed).collect());
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

fn with_prefix(sql: &str, role_prefix: &str) -> String {
    let words = roles::WORDS.iter().chain(&["definer"]);
    words.fold(sql.to_owned(), |sql, word| {
        sql.replace(
            &format!("{WRITTEN_PREFIX}_{word}"),
            &format!("{role_prefix}_{word}"),
        )
    })
}

/// Ends when the migrating session cannot be found any more. A session that migrates is silent for as long as a
/// statement takes, so its own socket does not tell whether the server is still there.
async fn until_lost(servers: &Servers, pid: i32) {
    let mut misses = 0;
    while misses < CHECKS {
        tokio::time::sleep(CHECK_INTERVAL).await;
        match within(CHECK_LIMIT, is_there(servers, pid)).await {
            Ok(true) => misses = 0,
            Ok(false) | Err(_) => misses += 1,
        }
    }
}

async fn is_there(servers: &Servers, pid: i32) -> Result<bool, sqlx::Error> {
    let mut session = servers.open().await?.connection;
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)")
        .bind(pid)
        .fetch_one(&mut session)
        .await;
    close(session).await;
    found
}

/// The numbers of migrations that this build has and the database has not.
///
/// # Errors
/// When Postgres cannot be reached.
#[tracing::instrument(name = "db.check", level = "debug", skip_all)]
pub async fn check(url: &Secret) -> Result<Vec<i64>, StoreError> {
    let mut session = Servers::of(url, WRITTEN_PREFIX)?.open().await?.connection;
    let applied = within(CATALOG_LIMIT, applied(&mut session)).await?;
    close(session).await;
    Ok(versions()
        .filter(|version| !applied.contains(version))
        .collect())
}

async fn applied(session: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *session)
        .await?;
    if !known {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(session)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_prefix_renames_the_roles_and_nothing_else() {
        let renamed = migrator("eu_west");
        for (ours, written) in renamed.iter().zip(MIGRATOR.iter()) {
            assert_eq!(ours.checksum, written.checksum);
            assert!(
                !ours.sql.as_str().contains("pathbound_"),
                "{}",
                ours.version
            );
        }
        let same = migrator(WRITTEN_PREFIX);
        for (ours, written) in same.iter().zip(MIGRATOR.iter()) {
            assert_eq!(ours.sql.as_str(), written.sql.as_str());
        }
    }
}
