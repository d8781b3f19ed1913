//! How far the walk under way has come. Every method is part of a transaction that compares the fence.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    domain::{ConnectionId, Stream},
    store::{ProofDelta, SliceKey, StoreError, Tx, roles::Worker},
};

impl Tx<Worker> {
    /// Saves the walk's cursor along with the objects of this transaction, and counts them. This is progress, so the
    /// stream's failed attempts and refusals are forgotten, and a block ends.
    #[tracing::instrument(name = "db.save_cursor", level = "debug", skip_all)]
    pub async fn save_cursor(
        &mut self,
        key: SliceKey,
        cursor: &impl serde::Serialize,
        delta: ProofDelta,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // A stream without a walk saves JSON's null. It is stored as SQL's NULL, which means "no walk under way".
        sqlx::query!(
            "UPDATE streams SET cursor = nullif($4, 'null'::jsonb), held = held + $5, expected = expected + $5 + $6,
                    attempts = 0, last_error = NULL, progress_at = now(),
                    refused_code = NULL, refused_since = NULL, refusals = 0, blocked_times = 0,
                    blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
            delta.alive,
            delta.quarantined - delta.healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Saves the walk's cursor without calling it progress: failed attempts and refusals stay counted.
    #[tracing::instrument(name = "db.save_cursor_only", level = "debug", skip_all)]
    pub async fn save_cursor_only(
        &mut self,
        key: SliceKey,
        cursor: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET cursor = $4 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The time up to which every change of a stream is stored.
    #[tracing::instrument(name = "db.watermark", level = "debug", skip_all)]
    pub async fn watermark(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT watermark FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?
        .flatten())
    }
}
