//! What is asked of a database before the work begins.

use super::{
    StoreError,
    connecting::{CATALOG_LIMIT, Servers, close, within},
};
use crate::config::DatabaseConfig;

/// Whether the login bypasses row-level security. Taking a role narrows such a login, but one `RESET ROLE` would undo
/// that.
///
/// # Errors
/// When Postgres cannot be reached.
#[tracing::instrument(name = "db.login_is_unbound", level = "debug", skip_all)]
pub async fn login_is_unbound(config: &DatabaseConfig) -> Result<bool, StoreError> {
    let mut session = Servers::of(&config.url, &config.role_prefix)?
        .open()
        .await?
        .connection;
    let asked =
        sqlx::raw_sql("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user")
            .fetch_one(&mut session);
    let unbound = sqlx::Row::try_get(&within(CATALOG_LIMIT, asked).await?, 0)?;
    close(session).await;
    Ok(unbound)
}
