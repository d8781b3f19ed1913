//! What a check of the installation asks Postgres about itself.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{
    StoreError,
    connecting::{CATALOG_LIMIT, Servers, close, within},
};
use crate::config::DatabaseConfig;

/// Facts about a Postgres server.
#[derive(Clone, Debug)]
pub struct PostgresFacts {
    /// As `server_version_num` has it, such as 150004.
    pub version: i32,
    /// The server's clock.
    pub now: DateTime<Utc>,
    /// It takes no writes, because it is a standby or was told so.
    pub is_read_only: bool,
    /// The login is bound by row-level security.
    pub is_bound: bool,
}

/// Asks the configured server.
///
/// # Errors
/// When Postgres cannot be reached.
#[tracing::instrument(name = "db.postgres_facts", level = "debug", skip_all)]
pub async fn postgres_facts(config: &DatabaseConfig) -> Result<PostgresFacts, StoreError> {
    let mut session = Servers::of(&config.url, &config.role_prefix)?
        .open()
        .await?
        .connection;
    let asked = sqlx::raw_sql(
        "SELECT current_setting('server_version_num')::int, clock_timestamp(),
                current_setting('transaction_read_only')::bool,
                (SELECT NOT (rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname = session_user)",
    )
    .fetch_one(&mut session);
    let row = within(CATALOG_LIMIT, asked).await?;
    let facts = PostgresFacts {
        version: row.try_get(0)?,
        now: row.try_get(1)?,
        is_read_only: row.try_get(2)?,
        is_bound: row.try_get(3)?,
    };
    close(session).await;
    Ok(facts)
}
