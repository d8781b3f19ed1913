//! Replays: what is in quarantine with its bytes, and the proof and the threads once it is held.

use uuid::Uuid;

use super::{StoreError, Tx, roles::Worker};
use crate::domain::{
    ConnectionId, Stream, ids,
    records::{FIRST_MESSAGE, Part},
};

/// An object in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    pub source_id: String,
    /// As it was sent.
    pub raw: Vec<u8>,
}

impl Tx<Worker> {
    /// Open quarantine of a kind that has its bytes, in the order of ids, from behind `after` on.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn quarantined(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            Quarantined,
            "SELECT source_id, raw FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND resolved_at IS NULL
               AND length(raw) > 0 AND source_id > $4
             ORDER BY source_id LIMIT $5",
            tenant,
            connection.0,
            kind,
            after,
            most,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Notes in a stream's proof what has come out of quarantine: rows that are new, and objects that were known to
    /// be missing.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn note_replayed(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        inserted: usize,
        healed: i64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET held = held + $4, expected = expected + $4 - $5
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            connection.0,
            stream.as_str(),
            inserted as i64,
            healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Writes parts that are read well now and makes their threads due, as well as those of `others`: only a whole
    /// answer says that nothing else is missing. Parts and threads by their conversation's source id; the ones whose
    /// thread is not blocked stay as they are.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn replay_parts(
        &mut self,
        connection: ConnectionId,
        parts: Vec<(String, Part)>,
        others: &[String],
    ) -> Result<usize, StoreError> {
        let tenant = self.tenant().0;
        let id = |source_id: &String| ids::conversation_id(connection, source_id);
        let wanted: Vec<Uuid> = parts
            .iter()
            .map(|(owner, _)| id(owner))
            .chain(others.iter().map(id))
            .collect();
        let blocked = sqlx::query_scalar!(
            "SELECT conversation_id FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status = 'blocked'
             ORDER BY conversation_id FOR UPDATE",
            tenant,
            connection.0,
            &wanted,
        )
        .fetch_all(self.session())
        .await?;
        let parts: Vec<(Uuid, Part)> = parts
            .into_iter()
            .map(|(owner, part)| (id(&owner), part))
            .filter(|(owner, _)| blocked.contains(owner))
            .collect();
        let written = self.write_parts(&parts).await?;
        sqlx::query!(
            "UPDATE threads t SET status = 'pending', due_at = now(), attempts = 0, error = NULL, held = (
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
