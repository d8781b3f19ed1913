//! What stubs say of their threads: which of them become pending.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::rows::ThreadRow;
use crate::{
    domain::{ConnectionId, ids, records::Conversation},
    store::{StoreError, Tx, roles::Worker, thread_counts::CountedThread},
};

/// What a stub, or the conversation of an answer, says of its thread.
#[derive(Clone, Debug)]
pub(in crate::store) struct StubVersion {
    pub(super) id: Uuid,
    pub(super) source_id: String,
    pub(super) version: DateTime<Utc>,
    /// Parts that Intercom counts.
    pub(super) part_count: Option<i32>,
}

impl StubVersion {
    /// The conversation's id.
    pub(in crate::store) const fn id(&self) -> Uuid {
        self.id
    }

    pub(in crate::store) fn of(connection: ConnectionId, stub: &Conversation) -> Self {
        Self {
            id: ids::conversation_id(connection, &stub.source_id),
            source_id: stub.source_id.clone(),
            version: stub.updated_at,
            part_count: stub.part_count,
        }
    }

    /// Whether the thread has to be fetched, as far as the stub tells. The stub must not be older than what is known.
    /// A thread that is stored in this very version and count is not fetched, and neither is one that is pending for
    /// this version already, because that would forget its attempts.
    pub(super) fn reopens(&self, thread: &ThreadRow) -> bool {
        let is_stored = thread.fetched_version >= Some(self.version)
            && matches!(thread.status.as_str(), "complete" | "truncated")
            && (self.part_count.is_none() || thread.expected == self.part_count);
        let is_pending = thread.status == "pending" && thread.stub_version == self.version;
        self.version >= thread.stub_version && !is_stored && !is_pending
    }

    /// The status of the thread that the stub reopens, or of a new one. A thread without parts costs no call.
    fn status(&self, held: i32) -> &'static str {
        if self.part_count == Some(0) && held == 0 {
            "complete"
        } else {
            "pending"
        }
    }
}

impl Tx<Worker> {
    /// Makes the threads pending that these stubs show to be new, changed or grown, and their stream due. Conversations
    /// that are `new` have no thread yet, so a first sync looks none up.
    pub(in crate::store) async fn mark_threads_pending(
        &mut self,
        connection: ConnectionId,
        mut stubs: Vec<StubVersion>,
        new: &HashSet<Uuid>,
    ) -> Result<(), StoreError> {
        // One row per thread with its newest version, in the order of ids, so that two writers cannot deadlock.
        stubs.sort_by(|a, b| a.id.cmp(&b.id).then(b.version.cmp(&a.version)));
        stubs.dedup_by_key(|stub| stub.id);
        let ids = |stubs: &[StubVersion]| stubs.iter().map(|stub| stub.id).collect::<Vec<_>>();
        // Most stubs of a walk change nothing, so only the others are locked, and compared once more then.
        let mut stored = ids(&stubs);
        stored.retain(|id| !new.contains(id));
        let read = if stored.is_empty() {
            HashMap::new()
        } else {
            self.read_threads(connection, &stored).await?
        };
        stubs.retain(|stub| read.get(&stub.id).is_none_or(|thread| stub.reopens(thread)));
        if stubs.is_empty() {
            return Ok(());
        }
        let mut known = HashMap::new();
        if stubs.iter().any(|stub| read.contains_key(&stub.id)) {
            known = self.lock_threads(connection, &ids(&stubs)).await?;
            stubs.retain(|stub| {
                known
                    .get(&stub.id)
                    .is_none_or(|thread| stub.reopens(thread))
            });
        }
        let mut pending = 0;
        for stub in &stubs {
            let before = known.get(&stub.id);
            let held = before.map_or(0, |thread| thread.held);
            let status = stub.status(held);
            pending += usize::from(status == "pending");
            let after = CountedThread {
                status,
                has_failed: false,
                held,
                expected: stub.part_count,
            };
            self.note_thread(connection, before.map(ThreadRow::counted).as_ref(), &after);
        }
        if pending > 0 {
            self.note_threads_due(connection);
        }
        self.upsert_stub_versions(connection, &stubs).await
    }

    async fn upsert_stub_versions(
        &mut self,
        connection: ConnectionId,
        stubs: &[StubVersion],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, stub_version, fetched_version, expected, due_at)
            SELECT $1, $2, id, source_id, CASE WHEN expected = 0 THEN 'complete' ELSE 'pending' END, version,
                   CASE WHEN expected = 0 THEN version END, expected, CASE WHEN expected = 0 THEN NULL ELSE now() END
            FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::int[]) AS i(id, source_id, version, expected)
            ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                stub_version = excluded.stub_version, attempts = 0, error = NULL, failure = NULL,
                failed_since = NULL, retry_at = NULL,
                status = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN 'complete' ELSE 'pending' END,
                due_at = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN NULL ELSE now() END",
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
