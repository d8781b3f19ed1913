//! Threads that are stored already, made pending once more.

use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId, ThreadPart, ids,
        records::{FIRST_MESSAGE, Part},
    },
    store::{StoreError, Tx, roles::Worker},
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
        let tenant = self.tenant().0;
        let mut threads: Vec<Uuid> = source_ids
            .iter()
            .map(|id| ids::conversation_id(connection, id))
            .collect();
        threads.sort_unstable();
        sqlx::query!(
            "UPDATE threads SET status = 'pending', due_at = now(), attempts = 0, error = NULL, failure = NULL,
                    failed_since = NULL, retry_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status <> 'gone'
               AND ($4 OR (status <> 'pending' AND (held > 0 OR expected IS DISTINCT FROM 0)))",
            tenant,
            connection.0,
            &threads,
            which == Reopen::Absent,
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
                  AND (status = 'pending' AND error IS NOT NULL OR status = 'blocked' AND retry_at IS NOT NULL)
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
    /// conversation's source id. Threads that are not blocked stay as they are. Returns how many parts were new.
    #[tracing::instrument(name = "db.replay_parts", level = "debug", skip_all)]
    pub async fn replay_parts(
        &mut self,
        connection: ConnectionId,
        parts: Vec<(String, Part)>,
        others: &[String],
    ) -> Result<usize, StoreError> {
        let tenant = self.tenant().0;
        let id = |source_id: &String| ids::conversation_id(connection, source_id);
        let threads: Vec<Uuid> = parts
            .iter()
            .map(|(owner, _)| id(owner))
            .chain(others.iter().map(id))
            .collect();
        // Locked in the order of ids, as every writer of threads does.
        let blocked = sqlx::query_scalar!(
            "SELECT conversation_id FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status = 'blocked'
             ORDER BY conversation_id FOR UPDATE",
            tenant,
            connection.0,
            &threads,
        )
        .fetch_all(self.session())
        .await?;
        // A thread that was fetched meanwhile has these parts in a newer version.
        let parts: Vec<(Uuid, ThreadPart)> = parts
            .into_iter()
            .map(|(owner, part)| (id(&owner), part.into()))
            .filter(|(owner, _)| blocked.contains(owner))
            .collect();
        let written = self.write_parts(parts).await?;
        sqlx::query!(
            "UPDATE threads t SET status = 'pending', due_at = now(), attempts = 0, error = NULL, failure = NULL,
                    failed_since = NULL, retry_at = NULL, held = (
                SELECT count(*) FROM parts p
                WHERE p.tenant_id = $1 AND p.conversation_id = t.conversation_id AND p.source_id <> $4)
             WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.conversation_id = ANY ($3)",
            tenant,
            connection.0,
            &blocked,
            FIRST_MESSAGE,
        )
        .execute(self.session())
        .await?;
        Ok(written.inserted)
    }
}
