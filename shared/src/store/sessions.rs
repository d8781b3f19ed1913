//! The sessions of a process: a bounded pool, whose every wait has a deadline.
//!
//! A session is shared by all roles, because role, tenant and settings belong to a transaction and are gone after it.
//! A transaction pooler between us and Postgres therefore changes nothing.
//!
//! `BEGIN` is also the test of a session that has been idle. If it fails, or finds a server that has become read-only,
//! the session is closed, and so are all that were idle with it: their server has moved. The caller does not notice,
//! because nothing has happened yet and another session begins anew.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool::managed::{Object, Pool, PoolError, QueueMode, WeakPool};
use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    connecting::{CONNECT_LIMIT, Servers, close, timed_out, within},
    error::is_lost,
    pooled::{Opener, PoolSettings, Pooled, discard},
    roles::{RoleName, Work},
    session::Session,
    shares::{SessionTurn, Share},
};
use crate::config::DatabaseConfig;

/// How long a caller waits for a session, opening a new one included.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);
/// How long `BEGIN` may take. It waits for no lock and reads no table, so a slower server does not work.
const BEGIN_LIMIT: Duration = Duration::from_secs(3);
/// How every statement is planned. It names its tenant and is prepared once, so the generic plan is the right one, and
/// planning again costs more than it finds. A plan must not depend on how many rows the planner believes there are,
/// because it may be made when a table is empty: tables are read by their indexes, one row of the outer side after the
/// other, in the order in which the statement joins them, and never from a copy (`Materialize`) or a bitmap, which would
/// first be made of all of a tenant's rows, even if one of them is enough. A page is too small for parallel workers. A
/// server whose client is gone notices within seconds, so that an abandoned request costs no more than that.
const PLANS: &str = "set_config('plan_cache_mode', 'force_generic_plan', true), \
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), \
    set_config('enable_mergejoin', 'off', true), set_config('enable_material', 'off', true), \
    set_config('enable_bitmapscan', 'off', true), \
    set_config('join_collapse_limit', '1', true), \
    set_config('from_collapse_limit', '1', true), set_config('max_parallel_workers_per_gather', '0', true), \
    set_config('client_connection_check_interval', '2s', true)";
/// What callers read comes in the order of an index, a page at a time. Believing that a tenant has few rows, the planner
/// would read all of them and sort, which it does for as long as the plan is kept.
const PLANS_OF_PAGES: &str = ", set_config('enable_sort', 'off', true)";
/// Between two attempts to open a session while the server is down.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// The pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    pool: Pool<Opener>,
    /// How many of them its holder may use at once.
    share: Share,
    pub(super) settings: Arc<PoolSettings>,
}

impl Sessions {
    /// A pool of at most `limit` sessions. It opens none yet.
    ///
    /// # Errors
    /// If the DSN cannot be used.
    pub(super) fn new(
        config: &DatabaseConfig,
        limit: usize,
        share: Share,
    ) -> Result<Self, sqlx::Error> {
        let servers = Servers::of(&config.url, &config.role_prefix)?;
        let pool = Pool::builder(Opener::new(servers))
            .max_size(limit)
            // The others grow old and are closed.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(sqlx::Error::config)?;
        tokio::spawn(close_old(pool.weak()));
        Ok(Self {
            pool,
            share,
            settings: Arc::new(PoolSettings {
                role_prefix: config.role_prefix.clone(),
                statement_limit: config.statement_timeout,
                keeps_prepared: config.prepared_statements,
            }),
        })
    }

    /// The same pool for another part of the process.
    pub(super) fn with(&self, share: Share) -> Self {
        Self {
            share,
            ..self.clone()
        }
    }

    /// Opens a session, so that a wrong DSN is known at the start.
    pub(super) async fn probe(&self) -> Result<(), sqlx::Error> {
        let turn = self.turn().await?;
        let opened = self.acquire(Instant::now() + ACQUIRE_LIMIT).await;
        // Only now another part may take its turn, because the session is back.
        opened.map(|session| drop((session, turn)))
    }

    /// A session in a transaction that has this role and sees this tenant's rows. `None` sees no tenant's.
    ///
    /// # Errors
    /// If no session can be had in time, or the login may not take the role.
    pub(super) async fn begin(
        &self,
        role: RoleName,
        tenant: Option<Uuid>,
    ) -> Result<Session, sqlx::Error> {
        let (object, turn, _) = self
            .started(|session| self.begin_statement(session, role, tenant))
            .await?;
        Ok(Session::new(object, turn, Arc::clone(&self.settings)))
    }

    /// What one statement answers in a transaction of its own that sees no tenant's rows, by one round trip. It is for
    /// what every request asks before its tenant is known, because a transaction that only asks one thing costs more
    /// to begin than to carry out. The statement has the form of literals, and is planned each time.
    ///
    /// # Errors
    /// If no session can be had in time, or Postgres refuses.
    pub(super) async fn ask(
        &self,
        role: RoleName,
        statement: &str,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        // Statements that are sent together are one transaction, so the settings end with it.
        let (object, _, mut rows) = self
            .started(|session| format!("{}; {statement}", self.settings_of(session, role, None)))
            .await?;
        // The server has answered all of it, so the session needs no rollback.
        if object.read_only {
            discard(object);
        }
        Ok(rows.split_off(1))
    }

    /// A session that has carried out a first statement, whose rows begin with whether the server takes no writes.
    async fn started(
        &self,
        statement: impl Fn(&Pooled) -> String,
    ) -> Result<(Object<Opener>, SessionTurn, Vec<PgRow>), sqlx::Error> {
        let deadline = Instant::now() + ACQUIRE_LIMIT;
        let turn = self.turn().await?;
        // However long the turn took, a server has the time to open a session, because the error would blame it.
        let deadline = deadline.max(Instant::now() + CONNECT_LIMIT);
        loop {
            let mut object = self.acquire(deadline).await?;
            let is_new = Object::metrics(&object).recycle_count == 0;
            let first = statement(&object);
            object.is_starting = true;
            let answer = within(BEGIN_LIMIT, start(&mut object, first)).await;
            object.is_starting = false;
            match answer {
                // A server that takes no writes can still be read, but the next transaction looks for another one.
                Ok((read_only, rows)) if is_new || !read_only => {
                    object.read_only = read_only;
                    object.proven_at = Instant::now();
                    return Ok((object, turn, rows));
                }
                Ok(_) => self.pool.manager().distrust(),
                Err(error) if is_lost(&error) && Instant::now() < deadline => {
                    self.pool.manager().distrust();
                    // An idle session may end at any time, but a new one that fails at once may do so again.
                    if is_new {
                        tokio::time::sleep(REOPEN_PAUSE).await;
                    }
                }
                Err(error) => {
                    discard(object);
                    return Err(error);
                }
            }
            discard(object);
        }
    }

    /// Waits until the part may use one more session.
    async fn turn(&self) -> Result<SessionTurn, sqlx::Error> {
        let waited = tokio::time::timeout(ACQUIRE_LIMIT, self.share.turn()).await;
        waited.map_err(|_| {
            sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no database session was free within {ACQUIRE_LIMIT:?}, so raise database_connections"),
            ))
        })
    }

    /// A session of the pool or a new one. A server that is down is asked again until the deadline.
    async fn acquire(&self, deadline: Instant) -> Result<Object<Opener>, sqlx::Error> {
        let mut failure = timed_out(ACQUIRE_LIMIT);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(got) = tokio::time::timeout(left, self.pool.get()).await else {
                return Err(failure);
            };
            match got {
                Ok(object) => return Ok(object),
                Err(PoolError::Backend(error)) if is_lost(&error) => failure = error,
                Err(PoolError::Backend(error)) => return Err(error),
                Err(_) => return Err(sqlx::Error::PoolClosed),
            }
            tokio::time::sleep(REOPEN_PAUSE).await;
        }
    }

    /// The statement that begins a transaction. It sets how statements are planned, because the transaction sends
    /// prepared ones.
    fn begin_statement(&self, session: &Pooled, role: RoleName, tenant: Option<Uuid>) -> String {
        let pages = match role.work {
            Work::Request | Work::Inspection => PLANS_OF_PAGES,
            Work::Slice => "",
        };
        let settings = self.settings_of(session, role, tenant);
        format!("BEGIN; {settings}, {PLANS}{pages}")
    }

    /// One statement for role, tenant and limits. They end with the transaction (`true`), so that a session carries
    /// nothing into the next one. The texts have no character that SQL could mistake: the prefix is checked when the
    /// configuration is read, and the rest is ours.
    fn settings_of(&self, session: &Pooled, role: RoleName, tenant: Option<Uuid>) -> String {
        let prefix = &self.settings.role_prefix;
        let tenant = tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
        let configured = self.settings.statement_limit;
        let limit = milliseconds(configured.min(role.work.longest_statement()));
        let pause = milliseconds(configured.min(role.work.longest_pause()));
        let statement = stricter(session.limits.statement, limit);
        // Below the limit of a statement, so that a wait for a lock is told from a slow statement.
        let lock = stricter(session.limits.lock, limit / 2);
        // Locks of a process that is gone are free after this time.
        let idle = stricter(session.limits.idle_in_transaction, pause);
        let word = role.word;
        format!(
            "SELECT current_setting('transaction_read_only')::bool, \
             set_config('role', '{prefix}_{word}', true), set_config('app.tenant_id', '{tenant}', true), \
             set_config('statement_timeout', '{statement}', true), set_config('lock_timeout', '{lock}', true), \
             set_config('idle_in_transaction_session_timeout', '{idle}', true)"
        )
    }

    /// Sessions open and idle.
    pub(super) fn usage(&self) -> (u32, usize) {
        let status = self.pool.status();
        let open = u32::try_from(status.size).unwrap_or(u32::MAX);
        (open, status.available)
    }

    /// Closes the idle sessions now, and the others when they are returned.
    pub(super) async fn close(&self) {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        for session in idle {
            close(session.connection).await;
        }
    }
}

async fn start(session: &mut Pooled, statement: String) -> Result<(bool, Vec<PgRow>), sqlx::Error> {
    let rows = sqlx::raw_sql(AssertSqlSafe(statement))
        .fetch_all(&mut session.connection)
        .await?;
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok((first.try_get(0)?, rows))
}

fn milliseconds(limit: Duration) -> i64 {
    i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)
}

/// The limit of the server's administrator if it is stricter than ours.
fn stricter(theirs: i64, ours: i64) -> i64 {
    if theirs > 0 { theirs.min(ours) } else { ours }
}

async fn close_old(pool: WeakPool<Opener>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let Some(pool) = pool.upgrade() else { return };
        for session in pool.retain(|session, _| !session.is_old()).removed {
            close(session.connection).await;
        }
    }
}
