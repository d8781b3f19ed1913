//! The database of a process: its sessions, and what is asked before the work begins.

use super::{
    Store, StoreError,
    connecting::{CATALOG_LIMIT, Servers, close, within},
    roles::DbRole,
    sessions::Sessions,
    shares::Shares,
};
use crate::config::{Config, DatabaseConfig, ProcessRole};

/// All database sessions of one process. Its parts share one pool of `database_connections`, and each part can always
/// have a session (see `shares.rs`). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    /// With the share of the checks.
    sessions: Sessions,
    shares: Shares,
}

impl Database {
    /// Connects once, so that a wrong DSN is known at the start.
    ///
    /// # Errors
    /// When Postgres cannot be reached.
    #[tracing::instrument(name = "db.open", level = "debug", skip_all)]
    pub async fn open(config: &Config, role: ProcessRole) -> Result<Self, StoreError> {
        let limit = config.database.connections as usize;
        let shares = Shares::divide(limit, role, config.has_operators());
        let sessions = Sessions::new(&config.database, limit, shares.checks())?;
        sessions.probe().await?;
        Ok(Self { sessions, shares })
    }

    /// The sessions of the part that has this role.
    #[must_use]
    pub fn store<R: DbRole>(&self) -> Store<R> {
        Store::of(self.sessions.with(self.shares.of(R::WORD)))
    }

    /// The session of the checks, as this role. No work takes it, so a busy process stays ready.
    #[must_use]
    pub fn checks<R: DbRole>(&self) -> Store<R> {
        Store::of(self.sessions.clone())
    }

    /// Sessions open and idle, for `pathbound_db_pool_connections`.
    #[must_use]
    pub fn pool_use(&self) -> (u32, usize) {
        self.sessions.usage()
    }

    /// Closes the sessions of all parts, after the work that holds them.
    #[tracing::instrument(name = "db.close_all", level = "debug", skip_all)]
    pub async fn close_all(&self) {
        self.sessions.close().await;
    }
}

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
