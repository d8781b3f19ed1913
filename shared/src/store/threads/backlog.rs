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
}

/// What is left of a connection's backlog.
#[derive(Clone, Copy, Debug)]
pub struct ThreadBacklog {
    /// Until the next thread is due: at most 0 if one is due now, `None` if no thread is pending.
    pub next_in_seconds: Option<f64>,
    /// A thread could not be fetched and waits for its next attempt. The walk must not end meanwhile.
    pub failing: bool,
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
    /// Threads that are due now, newest change first.
    #[tracing::instrument(name = "db.pending_threads", level = "debug", skip_all)]
    pub async fn pending_threads(
        &mut self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<PendingThread>, StoreError> {
        let tenant = self.tenant().0;
        // In the order of the index `threads_pending`, so that a long backlog is not sorted for each slice.
        Ok(sqlx::query_as!(
            PendingThread,
            "SELECT conversation_id, source_id FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND due_at <= now()
             ORDER BY wanted_version DESC LIMIT $3",
            tenant,
            connection.0,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// What is left of the backlog.
    #[tracing::instrument(name = "db.thread_backlog", level = "debug", skip_all)]
    pub async fn thread_backlog(
        &mut self,
        connection: ConnectionId,
    ) -> Result<ThreadBacklog, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            ThreadBacklog,
            r#"SELECT extract(epoch FROM min(due_at) - now())::float8 AS next_in_seconds,
                      coalesce(bool_or(error IS NOT NULL), false) AS "failing!"
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
                wanted_version = excluded.wanted_version, attempts = 0, error = NULL,
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
