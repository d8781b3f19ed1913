//! Threads that are stored already, made pending once more.

use std::collections::HashSet;

use uuid::Uuid;

use super::rows::ThreadRow;
use crate::{
    domain::{ConnectionId, ThreadPart, ids, records::Part},
    store::{StoreError, Tx, roles::Worker, thread_counts::CountedThread},
};

/// Which of the given threads become pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Reopen {
    /// Those with parts that are not pending already.
    Stored,
    /// All, because their calls ask whether the absent conversations still exist.
    Absent,
}

impl Tx<Worker> {
    /// Makes stored threads pending, to be fetched and compared once more. A thread without parts costs no call.
    #[tracing::instrument(name = "db.reopen_threads", level = "debug", skip_all)]
    pub async fn reopen_threads(
        &mut self,
        connection: ConnectionId,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        self.reopen(connection, source_ids, Reopen::Stored).await
    }

    pub(in crate::store) async fn reopen(
        &mut self,
        connection: ConnectionId,
        source_ids: &[String],
        which: Reopen,
    ) -> Result<(), StoreError> {
        let threads: Vec<Uuid> = source_ids
            .iter()
            .map(|id| ids::conversation_id(connection, id))
            .collect();
        let opens = |thread: &ThreadRow| {
            let has_parts = thread.held > 0 || thread.expected != Some(0);
            thread.status != "gone"
                && (which == Reopen::Absent || thread.status != "pending" && has_parts)
        };
        let locked = self.lock_threads(connection, &threads).await?;
        let reopened = locked.values().filter(|thread| opens(thread)).collect();
        self.make_pending(connection, reopened).await
    }

    /// Makes locked threads pending and due now, as if they had never failed.
    async fn make_pending(
        &mut self,
        connection: ConnectionId,
        threads: Vec<&ThreadRow>,
    ) -> Result<(), StoreError> {
        if threads.is_empty() {
            return Ok(());
        }
        self.note_threads_due(connection);
        for thread in &threads {
            let after = CountedThread {
                status: "pending",
                has_failed: false,
                ..thread.counted()
            };
            self.note_thread(connection, Some(&thread.counted()), &after);
        }
        let tenant = self.tenant().0;
        let held: Vec<i32> = threads.iter().map(|thread| thread.held).collect();
        let ids: Vec<Uuid> = threads.into_iter().map(|thread| thread.id).collect();
        sqlx::query!(
            "INSERT INTO threads (tenant_id, connection_id, conversation_id, source_id, status, stub_version, due_at, held)
             SELECT $1, $2, id, '', 'pending', '-infinity', now(), held FROM unnest($3::uuid[], $4::int[]) AS i(id, held)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                status = 'pending', due_at = now(), attempts = 0, error = NULL, failure = NULL, failed_since = NULL,
                retry_at = NULL, held = excluded.held",
            tenant,
            connection.0,
            &ids,
            &held,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes every failed thread due now, whatever its next attempt was. Returns their number.
    #[tracing::instrument(name = "db.retry_threads_now", level = "debug", skip_all)]
    pub async fn retry_threads_now(&mut self, connection: ConnectionId) -> Result<u64, StoreError> {
        let tenant = self.tenant().0;
        // Locked in the order of ids, as every writer of threads does.
        Ok(sqlx::query!(
            "WITH failed AS (
                SELECT conversation_id FROM threads
                WHERE tenant_id = $1 AND connection_id = $2
                  AND (status = 'pending' AND failure IS NOT NULL OR status = 'blocked' AND retry_at IS NOT NULL)
                ORDER BY conversation_id FOR UPDATE
             )
             UPDATE threads t SET due_at = CASE WHEN status = 'pending' THEN now() END,
                    retry_at = CASE WHEN status = 'blocked' THEN now() END
             FROM failed f
             WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.conversation_id = f.conversation_id",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?
        .rows_affected())
    }

    /// Writes parts that a newer version of this program can read, and makes their threads pending, as well as those of
    /// `others`: only a whole answer says that nothing else is missing. Parts and threads are given by their
    /// conversation's source id. Threads that are not blocked stay as they are. Returns how many more parts are stored.
    #[tracing::instrument(name = "db.replay_parts", level = "debug", skip_all)]
    pub async fn replay_parts(
        &mut self,
        connection: ConnectionId,
        parts: Vec<(String, Part)>,
        others: &[String],
    ) -> Result<i64, StoreError> {
        let id = |source_id: &String| ids::conversation_id(connection, source_id);
        let threads: Vec<Uuid> = parts
            .iter()
            .map(|(owner, _)| id(owner))
            .chain(others.iter().map(id))
            .collect();
        let mut blocked = self.lock_threads(connection, &threads).await?;
        // A thread that was fetched meanwhile has these parts in a newer version.
        blocked.retain(|_, thread| thread.status == "blocked");
        let parts: Vec<(Uuid, ThreadPart)> = parts
            .into_iter()
            .map(|(owner, part)| (id(&owner), part.into()))
            .filter(|(owner, _)| blocked.contains_key(owner))
            .collect();
        self.write_parts(connection, parts, &HashSet::new()).await?;
        let ids: Vec<Uuid> = blocked.keys().copied().collect();
        let stored = self.count_parts(&ids).await?;
        let mut new_parts = 0;
        for thread in blocked.values_mut() {
            let now_held = stored.get(&thread.id).copied().unwrap_or_default();
            new_parts += i64::from(now_held - thread.held);
            thread.held = now_held;
        }
        self.make_pending(connection, blocked.values().collect())
            .await?;
        Ok(new_parts)
    }
}
