//! One session of the pool: how it is opened, and when it is used again.

use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, Object, RecycleError, RecycleResult};
use parking_lot::Mutex;
use sqlx::PgConnection;

use super::connecting::{OpenedSession, ServerLimits, Servers};

/// What a statement's deadline here has on top of the server's own limit, which should come first.
const LIMIT_MARGIN: Duration = Duration::from_secs(5);
/// Sessions end at this age, so that a balanced set of servers is balanced again.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);
/// Idle sessions are closed after this time, so that a busy hour does not hold the server's memory for a day.
const LONGEST_IDLE: Duration = Duration::from_secs(10 * 60);

/// What every transaction of a process has in common.
#[derive(Debug)]
pub(super) struct PoolSettings {
    pub(super) role_prefix: String,
    /// The longest statement.
    pub(super) statement_limit: Duration,
    /// False: every statement is prepared anew, for poolers that cannot keep one.
    pub(super) keeps_prepared: bool,
}

impl PoolSettings {
    /// How long a caller waits for an answer to one statement.
    pub(super) fn answer_limit(&self) -> Duration {
        self.statement_limit + LIMIT_MARGIN.min(self.statement_limit)
    }
}

/// Opens sessions for the pool, and tells which of them may be used again.
#[derive(Debug)]
pub(super) struct Opener {
    servers: Servers,
    /// Sessions that were last used before this are not used again, because their server has moved.
    distrusted: Mutex<Option<Instant>>,
}

/// A session of the pool.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) connection: PgConnection,
    pub(super) read_only: bool,
    /// A first statement is under way. A caller that goes away then leaves its answer behind.
    pub(super) is_starting: bool,
    pub(super) limits: ServerLimits,
    opened_at: Instant,
    /// When the server last answered.
    pub(super) proven_at: Instant,
}

impl Manager for Opener {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Pooled, sqlx::Error> {
        let OpenedSession {
            connection,
            read_only,
            limits,
        } = self.servers.open().await?;
        let now = Instant::now();
        Ok(Pooled {
            connection,
            read_only,
            is_starting: false,
            limits,
            opened_at: now,
            proven_at: now,
        })
    }

    async fn recycle(&self, session: &mut Pooled, _: &Metrics) -> RecycleResult<sqlx::Error> {
        let distrusted = *self.distrusted.lock();
        let has_moved = distrusted.is_some_and(|moved| session.proven_at < moved);
        if has_moved || session.is_starting || session.is_old() {
            return Err(RecycleError::message("the session is not used again"));
        }
        Ok(())
    }
}

impl Opener {
    pub(super) const fn new(servers: Servers) -> Self {
        Self {
            servers,
            distrusted: Mutex::new(None),
        }
    }

    /// The server does not answer or takes no writes, so sessions that are idle now are not used again.
    pub(super) fn distrust(&self) {
        *self.distrusted.lock() = Some(Instant::now());
    }
}

impl Pooled {
    pub(super) fn is_old(&self) -> bool {
        self.opened_at.elapsed() > LONGEST_LIFE || self.proven_at.elapsed() > LONGEST_IDLE
    }
}

/// Takes a session out of the pool, and closes its socket without a word to a server that may not answer.
pub(super) fn discard(object: Object<Opener>) {
    drop(Object::take(object));
}
