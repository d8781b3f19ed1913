//! Threads as they are stored, read or locked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId,
        records::FIRST_MESSAGE,
        thread_fate::{FailingThread, ThreadBefore, ThreadFailure},
    },
    store::{StoreError, Tx, roles::Worker, thread_counts::CountedThread},
};

/// A thread's row.
#[derive(Clone, Debug)]
pub(in crate::store) struct ThreadRow {
    pub(super) id: Uuid,
    pub(super) source_id: String,
    pub(super) status: String,
    pub(super) stub_version: DateTime<Utc>,
    pub(super) fetched_version: Option<DateTime<Utc>>,
    /// Stored parts, without the first message.
    pub(super) held: i32,
    /// Parts that Intercom counts.
    pub(super) expected: Option<i32>,
    pub(super) attempts: i32,
    pub(super) has_failed: bool,
    pub(super) failure: Option<String>,
    pub(super) failed_since: Option<DateTime<Utc>>,
    /// By Postgres' clock.
    pub(super) now: DateTime<Utc>,
}

impl ThreadRow {
    /// What counts of the thread.
    pub(in crate::store) fn counted(&self) -> CountedThread<'_> {
        CountedThread {
            status: &self.status,
            has_failed: self.has_failed,
            held: self.held,
            expected: self.expected,
        }
    }

    /// What its fate depends on.
    pub(super) fn before(&self) -> ThreadBefore {
        let failure = self.failure.as_deref().and_then(ThreadFailure::named);
        ThreadBefore {
            newest_version: self.stub_version,
            attempts: self.attempts,
            failing: failure
                .zip(self.failed_since)
                .map(|(failure, since)| FailingThread { failure, since }),
            is_blocked: self.status == "blocked",
            now: self.now,
        }
    }
}

/// The threads of these conversations, each found by its key, whatever the planner believes of the table. A lateral
/// subquery with a lock or an `OFFSET` of its own is never flattened into a join.
macro_rules! threads {
    ($tx:ident, $connection:ident, $ids:expr, $end:literal) => {
        sqlx::query_as!(
            ThreadRow,
            r#"SELECT i.id AS "id!", t.source_id, t.status, t.stub_version, t.fetched_version, t.held, t.expected, t.attempts,
                      t.failure IS NOT NULL AS "has_failed!", t.failure, t.failed_since, now() AS "now!"
               FROM unnest($3::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT * FROM threads WHERE tenant_id = $1 AND connection_id = $2
                                      AND conversation_id = i.id "# + $end + ") t",
            $tx.tenant().0,
            $connection.0,
            $ids,
        )
        .fetch_all($tx.session())
        .await?
        .into_iter()
        .map(|row| (row.id, row))
        .collect()
    };
}

impl Tx<Worker> {
    /// The threads of these conversations. Nothing is locked.
    pub(super) async fn read_threads(
        &mut self,
        connection: ConnectionId,
        conversations: &[Uuid],
    ) -> Result<HashMap<Uuid, ThreadRow>, StoreError> {
        Ok(threads!(self, connection, conversations, "OFFSET 0"))
    }

    /// The same, with the rows locked in the order of ids, so that two writers cannot deadlock.
    pub(super) async fn lock_threads(
        &mut self,
        connection: ConnectionId,
        conversations: &[Uuid],
    ) -> Result<HashMap<Uuid, ThreadRow>, StoreError> {
        let mut ids = conversations.to_vec();
        ids.sort_unstable();
        ids.dedup();
        Ok(threads!(self, connection, &ids, "FOR UPDATE"))
    }

    /// How many parts of each conversation are stored, without the first message. Counted after a write, so that the
    /// count cannot drift from the rows.
    pub(super) async fn count_parts(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<HashMap<Uuid, i32>, StoreError> {
        if conversations.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", (SELECT count(*) FROM parts p
                                      WHERE p.tenant_id = $1 AND p.conversation_id = i.id AND p.source_id <> $3)::int AS "stored!"
               FROM unnest($2::uuid[]) AS i(id)"#,
            tenant,
            conversations,
            FIRST_MESSAGE,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.stored)).collect())
    }
}
