//! The backlog of threads, newest change first.

use uuid::Uuid;

use crate::{
    domain::ConnectionId,
    store::{SliceKey, StoreError, Tx, roles::Worker},
};

/// A thread to be fetched.
#[derive(Clone, Debug)]
pub struct PendingThread {
    pub conversation_id: Uuid,
    pub source_id: String,
    /// Its last attempt failed.
    pub has_failed: bool,
}

/// Threads that are due now.
#[derive(Debug, Default)]
pub struct DueThreads {
    /// Threads that have not failed, newest change first.
    pub fresh: Vec<PendingThread>,
    /// Threads that failed before, and blocked ones whose rare attempt is due.
    pub retried: Vec<PendingThread>,
}

/// What is left of a connection's backlog.
#[derive(Clone, Copy, Debug)]
pub struct ThreadBacklog {
    /// Until the next pending thread is due: at most 0 if one is due now, `None` if no thread is pending. A thread that
    /// was last tried before a run was requested is due now.
    pub next_in_seconds: Option<f64>,
    /// Pending threads that could not be fetched and wait for their next attempt.
    pub failing: i64,
    /// Until the next blocked thread is due for its rare attempt, or at most 0 if a run asks for it now.
    pub recheck_in_seconds: Option<f64>,
}

impl ThreadBacklog {
    /// Seconds until the next thread is due, pending or blocked.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        let times = [self.next_in_seconds, self.recheck_in_seconds];
        times.into_iter().flatten().reduce(f64::min)
    }
}

impl Tx<Worker> {
    /// Threads that are due now: at most `fresh` that have not failed, and at most `retried` others.
    #[tracing::instrument(name = "db.due_threads", level = "debug", skip_all)]
    pub async fn due_threads(
        &mut self,
        connection: ConnectionId,
        fresh: i64,
        retried: i64,
    ) -> Result<DueThreads, StoreError> {
        let tenant = self.tenant().0;
        // In the order of the index `threads_fresh`, so that a long backlog is not sorted for each slice.
        let fresh = sqlx::query_as!(
            PendingThread,
            r#"SELECT conversation_id, source_id, false AS "has_failed!" FROM threads
               WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND due_at <= now() AND failure IS NULL
               ORDER BY stub_version DESC LIMIT $3"#,
            tenant,
            connection.0,
            fresh,
        )
        .fetch_all(self.session())
        .await?;
        Ok(DueThreads {
            fresh,
            retried: self.due_retries(connection, retried).await?,
        })
    }

    /// Failed threads whose next attempt is due. Someone who asks for a run asks for all of them.
    ///
    /// It costs the same however many wait, because each part reads one end of an index.
    async fn due_retries(
        &mut self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<PendingThread>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            PendingThread,
            r#"WITH requested AS MATERIALIZED (
                SELECT run_requested_at($1, $2, 'threads') AS at
             ), due AS (
                (SELECT conversation_id, source_id, due_at AS next FROM threads
                 WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND failure IS NOT NULL
                   AND due_at <= now() ORDER BY due_at LIMIT $3)
                UNION
                SELECT t.* FROM requested CROSS JOIN LATERAL (
                    SELECT conversation_id, source_id, due_at AS next FROM threads
                    WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND failure IS NOT NULL
                      AND tried_at < requested.at ORDER BY tried_at LIMIT $3) t
                UNION
                (SELECT conversation_id, source_id, retry_at AS next FROM threads
                 WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked' AND retry_at IS NOT NULL
                   AND retry_at <= now() ORDER BY retry_at LIMIT $3)
                UNION
                SELECT t.* FROM requested CROSS JOIN LATERAL (
                    SELECT conversation_id, source_id, retry_at AS next FROM threads
                    WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked' AND retry_at IS NOT NULL
                      AND tried_at < requested.at ORDER BY tried_at LIMIT $3) t
             )
             SELECT conversation_id AS "conversation_id!", source_id AS "source_id!", true AS "has_failed!"
             FROM due ORDER BY next LIMIT $3"#,
            tenant,
            connection.0,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// What is left of the backlog. It calls a thread due exactly if [`Tx::due_threads`] does, so that a slice that is
    /// about to end sees a run that was requested while its calls were under way.
    ///
    /// It costs the same however long the backlog is: each part looks at one end of an index, and the failing threads are
    /// counted on the stream's row, which the slice has locked.
    #[tracing::instrument(name = "db.thread_backlog", level = "debug", skip_all)]
    pub async fn thread_backlog(&mut self, key: SliceKey) -> Result<ThreadBacklog, StoreError> {
        let tenant = self.tenant().0;
        // A thread that has not failed is due at once, unless it was fetched too soon after its change. Those are few,
        // and the newest, so the search for one that is due passes over them. It asks for the newest and not whether there
        // is one, because of a partitioned table the planner would read every entry of the index to find any.
        Ok(sqlx::query_as!(
            ThreadBacklog,
            r#"WITH requested AS MATERIALIZED (
                SELECT run_requested_at($1, $2, 'threads') AS at
             ), fresh AS MATERIALIZED (
                SELECT coalesce((
                    SELECT true FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'
                       AND failure IS NULL AND due_at <= now() ORDER BY stub_version DESC LIMIT 1), false) AS is_due
             ), next AS (
                SELECT now() AS at FROM fresh WHERE is_due
                UNION ALL
                SELECT min(t.due_at) FROM fresh CROSS JOIN LATERAL (
                    SELECT due_at FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'
                       AND failure IS NULL AND NOT fresh.is_due) t
                UNION ALL
                (SELECT due_at FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'
                    AND failure IS NOT NULL ORDER BY due_at LIMIT 1)
                UNION ALL
                SELECT now() FROM requested CROSS JOIN LATERAL (
                    SELECT tried_at FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'
                       AND failure IS NOT NULL ORDER BY tried_at LIMIT 1) t
                WHERE t.tried_at < requested.at
             ), recheck AS (
                (SELECT retry_at AS at FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked'
                    AND retry_at IS NOT NULL ORDER BY retry_at LIMIT 1)
                UNION ALL
                SELECT now() FROM requested CROSS JOIN LATERAL (
                    SELECT tried_at FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked'
                       AND retry_at IS NOT NULL ORDER BY tried_at LIMIT 1) t
                WHERE t.tried_at < requested.at
             )
             SELECT extract(epoch FROM (SELECT min(at) FROM next) - now())::float8 AS next_in_seconds, failing AS "failing!",
                    extract(epoch FROM (SELECT min(at) FROM recheck) - now())::float8 AS recheck_in_seconds
             FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"#,
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_one(self.session())
        .await?)
    }
}
