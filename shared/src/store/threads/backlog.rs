//! The backlog of threads, newest change first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{ConnectionId, ids, records::Conversation},
    store::{StoreError, Tx, roles::Worker},
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

/// What a stub, or the conversation of an answer, says of its thread.
pub(in crate::store) struct StubVersion {
    id: Uuid,
    source_id: String,
    version: DateTime<Utc>,
    part_count: Option<i32>,
}

impl StubVersion {
    pub(in crate::store) fn of(connection: ConnectionId, stub: &Conversation) -> Self {
        Self {
            id: ids::conversation_id(connection, &stub.source_id),
            source_id: stub.source_id.clone(),
            version: stub.updated_at,
            part_count: stub.part_count,
        }
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
        // In the order of the index `threads_pending`, so that a long backlog is not sorted for each slice.
        let fresh = sqlx::query_as!(
            PendingThread,
            r#"SELECT conversation_id, source_id, false AS "has_failed!" FROM threads
               WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND due_at <= now() AND error IS NULL
               ORDER BY wanted_version DESC LIMIT $3"#,
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
    async fn due_retries(
        &mut self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<PendingThread>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            PendingThread,
            r#"WITH requested AS (
                SELECT max(requested_at) AS at FROM sync_runs
                WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL AND 'threads' = ANY (pending)
             ), failing AS (
                SELECT conversation_id, source_id, due_at AS next FROM threads
                WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND error IS NOT NULL
                  AND (due_at <= now() OR tried_at < (SELECT at FROM requested))
                ORDER BY due_at LIMIT $3
             ), blocked AS (
                SELECT conversation_id, source_id, retry_at AS next FROM threads
                WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked' AND retry_at IS NOT NULL
                  AND (retry_at <= now() OR tried_at < (SELECT at FROM requested))
                ORDER BY retry_at LIMIT $3
             )
             SELECT conversation_id AS "conversation_id!", source_id AS "source_id!", true AS "has_failed!"
             FROM (SELECT * FROM failing UNION ALL SELECT * FROM blocked) due ORDER BY next LIMIT $3"#,
            tenant,
            connection.0,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// What is left of the backlog. It calls a thread due exactly if [`Tx::due_threads`] does, so that a slice that is
    /// about to end sees a run that was requested while its calls were under way.
    #[tracing::instrument(name = "db.thread_backlog", level = "debug", skip_all)]
    pub async fn thread_backlog(
        &mut self,
        connection: ConnectionId,
    ) -> Result<ThreadBacklog, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            ThreadBacklog,
            r#"WITH requested AS (
                SELECT max(requested_at) AS at FROM sync_runs
                WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL AND 'threads' = ANY (pending)
             )
             SELECT extract(epoch FROM min(CASE WHEN error IS NOT NULL AND tried_at < (SELECT at FROM requested)
                                                THEN now() ELSE due_at END) - now())::float8 AS next_in_seconds,
                    (SELECT count(*) FROM threads WHERE tenant_id = $1 AND connection_id = $2
                        AND status = 'pending' AND error IS NOT NULL) AS "failing!",
                    (SELECT extract(epoch FROM min(CASE WHEN tried_at < (SELECT at FROM requested)
                                                        THEN now() ELSE retry_at END) - now())::float8
                     FROM threads
                     WHERE tenant_id = $1 AND connection_id = $2 AND status = 'blocked' AND retry_at IS NOT NULL)
                        AS recheck_in_seconds
             FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'"#,
            tenant,
            connection.0,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Makes the threads pending that these stubs show to be new, changed or grown. A thread without parts costs no
    /// call. All given rows are locked afterwards, the unchanged ones included.
    pub(in crate::store) async fn mark_threads_pending(
        &mut self,
        connection: ConnectionId,
        mut stubs: Vec<StubVersion>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // One row per thread with its newest version, in the order of ids, so that two writers cannot deadlock.
        stubs.sort_by(|a, b| a.id.cmp(&b.id).then(b.version.cmp(&a.version)));
        stubs.dedup_by_key(|stub| stub.id);
        // The three conditions: not older than what is known, not stored in this very version and count, and not
        // pending for this version already, because that would forget the attempts.
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, wanted_version, fetched_version, expected, due_at)
            SELECT $1, $2, id, source_id, CASE WHEN expected = 0 THEN 'complete' ELSE 'pending' END, version,
                   CASE WHEN expected = 0 THEN version END, expected, CASE WHEN expected = 0 THEN NULL ELSE now() END
            FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::int[]) AS i(id, source_id, version, expected)
            ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                wanted_version = excluded.wanted_version, attempts = 0, error = NULL, failure = NULL,
                failed_since = NULL, retry_at = NULL,
                status = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN 'complete' ELSE 'pending' END,
                due_at = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN NULL ELSE now() END
            WHERE excluded.wanted_version >= t.wanted_version
              AND NOT (t.fetched_version >= excluded.wanted_version AND t.status IN ('complete', 'truncated')
                       AND (excluded.expected IS NULL OR t.expected = excluded.expected))
              AND NOT (t.status = 'pending' AND t.wanted_version = excluded.wanted_version)",
            tenant,
            connection.0,
            &stubs.iter().map(|stub| stub.id).collect::<Vec<_>>(),
            &stubs.iter().map(|stub| stub.source_id.as_str()).collect::<Vec<_>>() as &[&str],
            &stubs.iter().map(|stub| stub.version).collect::<Vec<_>>(),
            &stubs.iter().map(|stub| stub.part_count).collect::<Vec<_>>() as &[Option<i32>],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
