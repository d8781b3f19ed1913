//! The proof of a stream: how many objects are stored, and how many are known to exist.

use crate::{
    domain::{ConnectionId, Stream},
    store::{
        SliceKey, StoreError, Tx,
        roles::{DbRole, LocksStreams, Worker},
    },
};

/// How a transaction changes a stream's proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProofDelta {
    /// Objects that are stored and alive from now on. Negative if more have ended than came.
    pub alive: i64,
    /// Objects put into quarantine: known to exist, but not stored in their present form.
    pub quarantined: i64,
    /// Objects that left quarantine.
    pub healed: i64,
}

impl ProofDelta {
    /// Objects that Intercom has deleted or merged leave both counts.
    pub(in crate::store) fn ended(objects: u64) -> Self {
        Self {
            alive: -i64::try_from(objects).unwrap_or_default(),
            ..Self::default()
        }
    }
}

impl<R: LocksStreams> Tx<R> {
    /// Counts objects that were stored outside of a walk. A walk counts them with [`Tx::save_cursor`].
    #[tracing::instrument(name = "db.add_to_proof", level = "debug", skip_all)]
    pub async fn add_to_proof(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        delta: ProofDelta,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // `expected` stays NULL if Intercom gives no count.
        sqlx::query!(
            "UPDATE streams SET held = held + $4, expected = expected + $4 + $5
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            connection.0,
            stream.as_str(),
            delta.alive,
            delta.quarantined - delta.healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Worker> {
    /// Replaces the running count of stored objects with an exact one.
    pub(in crate::store) async fn set_held(
        &mut self,
        key: SliceKey,
        held: i64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET held = $4 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            held,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Counts the missing objects by a total that Intercom gave just now.
    #[tracing::instrument(name = "db.recount", level = "debug", skip_all)]
    pub async fn recount(&mut self, key: SliceKey, total: i64) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let kept_out = self.kept_out_count(key.connection, key.stream).await?;
        // Never below what is stored, because objects may be created between Intercom's count and ours.
        sqlx::query!(
            "UPDATE streams SET expected = greatest(held, $4)
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            total - kept_out,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Compares the numbers that the streams keep with their rows, and corrects them. Returns the streams whose numbers
    /// were wrong, which is a fault of ours.
    #[tracing::instrument(name = "db.correct_counts", level = "debug", skip_all)]
    pub async fn correct_counts(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<Stream>, StoreError> {
        let tenant = self.tenant().0;
        // One statement sees one moment, in which a transaction has changed both or neither. So nothing is locked, however
        // long it counts.
        let are_wrong = sqlx::query_scalar!(
            r#"SELECT (s.pending, s.failing, s.complete, s.truncated, s.gone, s.blocked, s.missing_parts) IS DISTINCT FROM
                      (c.pending, c.failing, c.complete, c.truncated, c.gone, c.blocked, c.missing_parts) AS "wrong!"
               FROM streams s CROSS JOIN thread_counts($1, $2) c
               WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3"#,
            tenant,
            connection.0,
            Stream::Threads.as_str(),
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or(false);
        let mut wrong = self.correct_held(connection).await?;
        if are_wrong {
            self.lock_stream(connection, Stream::Threads).await?;
            sqlx::query!(
                "UPDATE streams SET (pending, failing, complete, truncated, gone, blocked, missing_parts) =
                        (SELECT * FROM thread_counts($1, $2))
                 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
                tenant,
                connection.0,
                Stream::Threads.as_str(),
            )
            .execute(self.session())
            .await?;
            wrong.push(Stream::Threads);
        }
        Ok(wrong)
    }

    async fn correct_held(&mut self, connection: ConnectionId) -> Result<Vec<Stream>, StoreError> {
        let tenant = self.tenant().0;
        let mut wrong = Vec::new();
        for stream in [Stream::Contacts, Stream::Companies, Stream::Conversations] {
            let is_wrong = sqlx::query_scalar!(
                r#"SELECT held <> (SELECT count(*) FROM alive a
                                   WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3) AS "wrong!"
                   FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"#,
                tenant,
                connection.0,
                stream.as_str(),
            )
            .fetch_optional(self.session())
            .await?
            .unwrap_or(false);
            if is_wrong {
                self.lock_stream(connection, stream).await?;
                let held = self.count_alive(connection, stream).await?;
                sqlx::query!(
                    "UPDATE streams SET held = $4, expected = expected + $4 - held
                     WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
                    tenant,
                    connection.0,
                    stream.as_str(),
                    held,
                )
                .execute(self.session())
                .await?;
                wrong.push(stream);
            }
        }
        Ok(wrong)
    }

    /// The number of stored objects of a stream that Intercom has not deleted.
    #[tracing::instrument(name = "db.held", level = "debug", skip_all)]
    pub async fn held(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT held FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or_default())
    }

    /// The same, counted row by row.
    async fn count_alive(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM alive WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"#,
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_one(self.session())
        .await?)
    }
}

impl<R: DbRole> Tx<R> {
    /// Writes what the statements so far have changed of the threads: their counts, and that the stream is due. It is
    /// the transaction's last statement, because a slice of threads locks its rows first and its stream last too. The
    /// row is written even if the stream is due already: the update waits for a slice that is about to find its backlog
    /// empty, and then undoes the "not due" that this slice wrote.
    pub(in crate::store) async fn write_threads_change(&mut self) -> Result<(), StoreError> {
        let Some(change) = self.take_threads_change() else {
            return Ok(());
        };
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET pending = pending + $4, failing = failing + $5, complete = complete + $6,
                    truncated = truncated + $7, gone = gone + $8, blocked = blocked + $9,
                    missing_parts = missing_parts + $10,
                    due_at = CASE WHEN $11 AND blocked_code IS NULL THEN least(due_at, now()) ELSE due_at END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            change.connection.0,
            Stream::Threads.as_str(),
            change.counts.pending,
            change.counts.failing,
            change.counts.complete,
            change.counts.truncated,
            change.counts.gone,
            change.counts.blocked,
            change.counts.missing_parts,
            change.is_due,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
