//! What the scheduler sees: ids and due times of every tenant, through one reviewed function.

use super::{Store, StoreError};
use crate::domain::{ConnectionId, Stream, TenantId};

impl Store {
    /// Claims streams that are due and not ticketed within `again_after_seconds`, oldest first.
    /// Any number of schedulers may call it at once: no row is claimed twice.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn claim_due_streams(
        &self,
        most: i32,
        again_after_seconds: f64,
    ) -> Result<Vec<(TenantId, ConnectionId, Stream)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM claim_due_streams($1, make_interval(secs => $2))"#,
            most,
            again_after_seconds,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let stream =
                    row.stream.parse().map_err(|_| StoreError::Inconsistent { table: "streams", what: row.stream })?;
                Ok((TenantId(row.tenant_id), ConnectionId(row.connection_id), stream))
            })
            .collect()
    }
}
