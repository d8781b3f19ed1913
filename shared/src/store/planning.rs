//! What the scheduler sees: ids and due times of every tenant, through reviewed functions.

use chrono::{DateTime, Utc};

use super::{Store, StoreError, roles::Scheduler};
use crate::domain::{ConnectionId, Stream, TenantId};

/// A stream that somebody should work on.
pub type Due = (TenantId, ConnectionId, Stream);

impl Store<Scheduler> {
    /// Claims streams that became due since they were last ticketed, oldest first.
    /// Any number of schedulers may call it at once: no row is claimed twice.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn claim_due_streams(&self, most: i32) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM claim_due_streams($1)"#,
            most,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| due(row.tenant_id, row.connection_id, row.stream))
            .collect()
    }

    /// Claims streams that are due and were ticketed before `before`: their tickets may be lost.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn claim_stale_tickets(
        &self,
        most: i32,
        before: DateTime<Utc>,
    ) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM claim_stale_tickets($1, $2)"#,
            most,
            before,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| due(row.tenant_id, row.connection_id, row.stream))
            .collect()
    }

    /// Due streams behind `after` in the order of their keys, ticketed or not; nothing is claimed. From the start
    /// with `None`.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn due_streams_after(
        &self,
        after: Option<Due>,
        most: i32,
    ) -> Result<Vec<Due>, StoreError> {
        let (tenant, connection, stream) = after.map_or(
            (uuid::Uuid::nil(), uuid::Uuid::nil(), ""),
            |(tenant, connection, stream)| (tenant.0, connection.0, stream.as_str()),
        );
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM due_streams_after($1, $2, $3, $4)"#,
            tenant,
            connection,
            stream,
            most,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| due(row.tenant_id, row.connection_id, row.stream))
            .collect()
    }

    /// Postgres' clock.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
            .fetch_one(&self.pool)
            .await?)
    }
}

fn due(tenant: uuid::Uuid, connection: uuid::Uuid, stream: String) -> Result<Due, StoreError> {
    let stream = stream.parse().map_err(|_| StoreError::Inconsistent {
        table: "streams",
        what: stream,
    })?;
    Ok((TenantId(tenant), ConnectionId(connection), stream))
}
