//! A session in a transaction. Every statement on it has a deadline, and a session that cannot be trusted is closed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    connecting::within,
    error::{is_cancelled, is_lost},
    pooled::{Opener, PoolSettings, discard},
    shares::SessionTurn,
};
use deadpool::managed::{Object, Pool};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{self, BoxFuture},
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// How long a rollback may take. The server does it in memory.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

/// What is known of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A statement has failed, so Postgres takes nothing but a rollback.
    Failed,
    /// A statement is under way. Dropped in this state, its answer is still to come.
    Busy,
    /// The session must not be used again.
    Lost,
    /// Committed.
    Ended,
}

/// A session in a transaction. Dropped without [`Session::commit`], it rolls back.
#[derive(Debug)]
pub(super) struct Session {
    object: Option<Object<Opener>>,
    /// Another part of the process may use the session after it.
    turn: Option<SessionTurn>,
    state: State,
    settings: Arc<PoolSettings>,
}

impl Session {
    pub(super) fn new(
        object: Object<Opener>,
        turn: SessionTurn,
        settings: Arc<PoolSettings>,
    ) -> Self {
        Self {
            object: Some(object),
            turn: Some(turn),
            state: State::Open,
            settings,
        }
    }

    /// For one statement.
    pub(super) fn statement(&mut self) -> Statement<'_> {
        Statement {
            limit: self.settings.answer_limit(),
            keeps_prepared: self.settings.keeps_prepared,
            state: &mut self.state,
            object: self.object.as_mut(),
        }
    }

    /// Whether a statement has failed, so that Postgres takes nothing but a rollback.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed | State::Lost)
    }

    /// Commits, and returns the session to the pool.
    ///
    /// # Errors
    /// If Postgres refuses. Without an answer, the outcome is unknown.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.statement().execute("COMMIT").await?;
        self.state = State::Ended;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        match self.state {
            _ if object.read_only => discard(object),
            // Back to the pool.
            State::Ended => drop(object),
            State::Busy | State::Lost => discard(object),
            State::Open | State::Failed => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(roll_back(object, self.turn.take()))),
                // The process ends, and Postgres rolls back by itself.
                Err(_) => discard(object),
            },
        }
    }
}

/// Returns the session to the pool after a rollback. The caller of the transaction does not wait for it.
async fn roll_back(object: Object<Opener>, turn: Option<SessionTurn>) {
    let mut rolling = RollingBack(Some(object));
    let Some(object) = rolling.0.as_mut() else {
        return;
    };
    let ended = within(ROLLBACK_LIMIT, object.connection.execute("ROLLBACK")).await;
    if ended.is_ok() {
        drop(rolling.0.take());
    }
    drop(rolling);
    drop(turn);
}

/// A session that is closed if its rollback fails, or if the runtime ends before it.
struct RollingBack(Option<Object<Opener>>);

impl Drop for RollingBack {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            discard(object);
        }
    }
}

/// A session for one statement, as sqlx wants it.
#[derive(Debug)]
pub(super) struct Statement<'c> {
    object: Option<&'c mut Object<Opener>>,
    state: &'c mut State,
    limit: Duration,
    keeps_prepared: bool,
}

impl<'c> Statement<'c> {
    /// The connection, and what notes the statement's end.
    fn begin(self) -> Result<(&'c mut PgConnection, Ending<'c>), Error> {
        let object = self.object.ok_or(Error::PoolClosed)?;
        *self.state = State::Busy;
        let pool = Object::pool(object);
        let pooled = &mut **object;
        let ending = Ending {
            state: self.state,
            proven_at: &mut pooled.proven_at,
            pool,
        };
        Ok((&mut pooled.connection, ending))
    }

    fn run<'e, T: Send + 'e>(
        self,
        work: impl FnOnce(&'c mut PgConnection) -> BoxFuture<'e, Result<T, Error>>,
    ) -> BoxFuture<'e, Result<T, Error>>
    where
        'c: 'e,
    {
        let limit = self.limit;
        let (connection, ending) = match self.begin() {
            Ok(begun) => begun,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        let answer = work(connection);
        async move {
            let result = within(limit, answer).await;
            ending.note(result.as_ref().err());
            result
        }
        .boxed()
    }
}

/// Notes how a statement ended.
struct Ending<'c> {
    state: &'c mut State,
    proven_at: &'c mut Instant,
    pool: Option<Pool<Opener>>,
}

impl Ending<'_> {
    fn note(self, error: Option<&Error>) {
        *self.state = match error {
            None => State::Open,
            Some(error) if is_lost(error) => {
                // One cancelled statement tells nothing about the other sessions.
                if let Some(pool) = self.pool.filter(|_| !is_cancelled(error)) {
                    pool.manager().distrust();
                }
                State::Lost
            }
            Some(_) => State::Failed,
        };
        if *self.state != State::Lost {
            *self.proven_at = Instant::now();
        }
    }
}

impl<'c> Executor<'c> for Statement<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (limit, keeps) = (self.limit, self.keeps_prepared);
        let (connection, ending) = match self.begin() {
            Ok(begun) => begun,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let rows = connection.fetch_many(Prepared { query, keeps });
        // The limit is for each wait and not for the whole, because the reader may take its time between two rows.
        stream::unfold(Some((rows, ending)), move |reading| async move {
            let (mut rows, ending) = reading?;
            let next = within(limit, rows.next().map(Option::transpose)).await;
            match next {
                Ok(Some(row)) => Some((Ok(row), Some((rows, ending)))),
                Ok(None) => {
                    ending.note(None);
                    None
                }
                Err(error) => {
                    ending.note(Some(&error));
                    Some((Err(error), None))
                }
            }
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let keeps = self.keeps_prepared;
        self.run(|connection| connection.fetch_optional(Prepared { query, keeps }))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.run(|connection| connection.prepare_with(sql, parameters))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.run(|connection| connection.describe(sql))
    }
}

/// A query that is prepared by name only if the way to Postgres keeps names.
struct Prepared<E> {
    query: E,
    keeps: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Prepared<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.keeps && self.query.persistent()
    }
}
