//! The history in Postgres: asked during the run whether a fault hit something, and read whole at the end.

use std::time::{Duration, Instant};

use sqlx::{
    Executor, FromRow, PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
};

use crate::{Failure, fleet};

/// Users made in advance, since Postgres may be away when a process is started.
const USERS: u32 = 3_000;

/// How long a question is asked again while Postgres restarts.
const PATIENCE: Duration = Duration::from_secs(40);

/// The history's own way to Postgres.
#[derive(Clone)]
pub(crate) struct History {
    pool: PgPool,
}

/// A stream that a process had taken over and not yet written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Where in the history it was taken.
    seq: i64,
}

impl History {
    /// Makes the tables, the triggers and the users.
    pub(crate) async fn begin(url: &str) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .acquire_timeout(Duration::from_secs(3))
            .connect(url)
            .await?;
        pool.execute(include_str!("history.sql")).await?;
        let users: Vec<String> = ["api", "scheduler", "worker"]
            .iter()
            .flat_map(|kind| {
                (0..USERS).map(move |number| {
                    format!("CREATE ROLE {} LOGIN SUPERUSER;", fleet::user(kind, number))
                })
            })
            .collect();
        pool.execute(sqlx::AssertSqlSafe(users.concat())).await?;
        Ok(Self { pool })
    }

    /// Streams that this process holds in the middle of a slice.
    pub(crate) async fn open(&self, who: &str) -> Result<Vec<Open>, Failure> {
        const OPEN: &str = "SELECT l.seq FROM public.streams s CROSS JOIN LATERAL (
                SELECT h.seq, h.who, h.old_fence < h.fence AS raised FROM chaos.history h
                WHERE h.connection_id = s.connection_id AND h.stream = s.stream AND h.effect AND h.relation = 'streams'
                ORDER BY h.seq DESC LIMIT 1) l
             WHERE l.raised AND l.who = $1";
        let rows = self
            .steady(|| sqlx::query(OPEN).bind(who).fetch_all(&self.pool))
            .await?;
        Ok(rows.iter().map(|row| Open { seq: row.get(0) }).collect())
    }

    /// How many of them have been taken over by another process since.
    pub(crate) async fn taken_over(&self, open: &[Open]) -> Result<usize, Failure> {
        const TAKEN: &str = "SELECT count(*) FROM chaos.history h WHERE h.seq = ANY ($1) AND EXISTS (
                SELECT FROM chaos.history n
                WHERE n.connection_id = h.connection_id AND n.stream = h.stream AND n.effect AND n.relation = 'streams'
                  AND n.seq > h.seq AND n.old_fence < n.fence AND n.who <> h.who)";
        let seqs: Vec<i64> = open.iter().map(|open| open.seq).collect();
        let taken: i64 = self
            .steady(|| {
                sqlx::query_scalar(TAKEN)
                    .bind(seqs.clone())
                    .fetch_one(&self.pool)
            })
            .await?;
        Ok(taken as usize)
    }

    /// Where the history is now.
    pub(crate) async fn here(&self) -> Result<i64, Failure> {
        const HERE: &str = "SELECT coalesce(max(seq), 0) FROM chaos.history";
        Ok(self
            .steady(|| sqlx::query_scalar(HERE).fetch_one(&self.pool))
            .await?)
    }

    /// Waits until a worker begins a slice after this place in the history: work flows (again).
    /// Returns how long that took, or `None` if it did not happen within `patience`.
    pub(crate) async fn until_work(
        &self,
        after: i64,
        patience: Duration,
    ) -> Result<Option<Duration>, Failure> {
        const FLOWS: &str = "SELECT EXISTS (SELECT FROM chaos.history WHERE seq > $1 AND relation = 'streams' AND old_fence < fence)";
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let flows: bool = self
                .steady(|| sqlx::query_scalar(FLOWS).bind(after).fetch_one(&self.pool))
                .await?;
            if flows {
                return Ok(Some(begun.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    /// Sessions of the fleet.
    pub(crate) async fn sessions(&self) -> Result<i64, Failure> {
        const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'chaos%'";
        Ok(self
            .steady(|| sqlx::query_scalar(SESSIONS).fetch_one(&self.pool))
            .await?)
    }

    /// Cuts every session of the fleet. Returns how many there were.
    pub(crate) async fn cut_sessions(&self) -> Result<i64, Failure> {
        const CUT: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'chaos%'";
        Ok(self
            .steady(|| sqlx::query_scalar(CUT).fetch_one(&self.pool))
            .await?)
    }

    /// Cancels what the fleet's sessions are doing now. Returns how many were doing something.
    pub(crate) async fn cancel_statements(&self) -> Result<i64, Failure> {
        const CANCEL: &str =
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE usename LIKE 'chaos%' AND state = 'active'";
        Ok(self
            .steady(|| sqlx::query_scalar(CANCEL).fetch_one(&self.pool))
            .await?)
    }

    /// All rows of a question about what is left at the end.
    pub(crate) async fn rows<T>(&self, question: &'static str) -> Result<Vec<T>, Failure>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self
            .steady(|| sqlx::query_as(question).fetch_all(&self.pool))
            .await?)
    }

    /// Asks again while Postgres is away.
    async fn steady<T, F: Future<Output = Result<T, sqlx::Error>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, sqlx::Error> {
        let begun = Instant::now();
        loop {
            match ask().await {
                Err(_) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                answer => return answer,
            }
        }
    }
}
