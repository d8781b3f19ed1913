//! The proof of a stream: how many objects are stored, and how many are known to exist.

use crate::{
    domain::{ConnectionId, Stream},
    store::{SliceKey, StoreError, Tx, roles::Worker},
};

/// How a transaction changes a stream's proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProofDelta {
    /// New objects: stored from now on, and known to exist.
    pub inserted: usize,
    /// Objects put into quarantine: known to exist, but not stored in their present form.
    pub quarantined: i64,
    /// Objects that left quarantine.
    pub healed: i64,
}

impl Tx<Worker> {
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
            delta.inserted as i64,
            delta.quarantined - delta.healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Takes objects that Intercom has deleted out of both counts.
    pub(in crate::store) async fn subtract_from_proof(
        &mut self,
        key: SliceKey,
        deleted: u64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET held = held - $4, expected = expected - $4
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            i64::try_from(deleted).unwrap_or_default(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

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
        // By rows and not by `held`, whose running count may be behind until the next full walk. Never below zero,
        // because objects may be created between Intercom's count and ours.
        sqlx::query!(
            "UPDATE streams SET expected = held + greatest(0, $4 - (
                SELECT count(*) FROM alive WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3))
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            total,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The number of stored objects of a stream that Intercom has not deleted, counted row by row.
    #[tracing::instrument(name = "db.count_alive", level = "debug", skip_all)]
    pub async fn count_alive(
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
