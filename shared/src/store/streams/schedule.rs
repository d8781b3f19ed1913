//! What the scheduler reads: ids and due times of every tenant, through reviewed functions of the schema.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{ConnectionId, Stream, TenantId},
    store::{Store, StoreError, roles::Scheduler},
};

/// A stream that is due.
pub type Due = (TenantId, ConnectionId, Stream);

impl Store<Scheduler> {
    /// Claims streams that became due since they were last ticketed, oldest first.
    /// Any number of schedulers may call it at once, because no row is claimed twice.
    #[tracing::instrument(name = "db.claim_due_streams", level = "debug", skip_all)]
    pub async fn claim_due_streams(&self, limit: i32) -> Result<Vec<Due>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query_as!(
            DueRow,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM claim_due_streams($1)"#,
            limit,
        )
        .fetch_all(tx.session())
        .await?;
        tx.commit().await?;
        dues(rows)
    }

    /// Claims streams that are due and were ticketed before `before`, because their tickets may be lost.
    #[tracing::instrument(name = "db.claim_stale_tickets", level = "debug", skip_all)]
    pub async fn claim_stale_tickets(
        &self,
        limit: i32,
        before: DateTime<Utc>,
    ) -> Result<Vec<Due>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        // The function skips locked rows, so a slice at work does not delay the scheduler.
        let rows = sqlx::query_as!(
            DueRow,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM claim_stale_tickets($1, $2)"#,
            limit,
            before,
        )
        .fetch_all(tx.session())
        .await?;
        tx.commit().await?;
        dues(rows)
    }

    /// Due streams after `after` in the order of their keys, ticketed or not. `None` begins at the first. Claims
    /// nothing.
    #[tracing::instrument(name = "db.due_streams_after", level = "debug", skip_all)]
    pub async fn due_streams_after(
        &self,
        after: Option<Due>,
        limit: i32,
    ) -> Result<Vec<Due>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        // The nil ids come before every real one.
        let (tenant, connection, stream) = after.map_or(
            (Uuid::nil(), Uuid::nil(), ""),
            |(tenant, connection, stream)| (tenant.0, connection.0, stream.as_str()),
        );
        let rows = sqlx::query_as!(
            DueRow,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM due_streams_after($1, $2, $3, $4)"#,
            tenant,
            connection,
            stream,
            limit,
        )
        .fetch_all(tx.session())
        .await?;
        dues(rows)
    }

    /// Postgres' clock.
    #[tracing::instrument(name = "db.now", level = "debug", skip_all)]
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
            .fetch_one(tx.session())
            .await?)
    }
}

/// What every function across tenants returns of a stream.
pub(in crate::store) struct DueRow {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) connection_id: Uuid,
    pub(in crate::store) stream: String,
}

/// The streams of these rows.
///
/// # Errors
/// When a stream has a name that this build does not know.
pub(in crate::store) fn dues(rows: Vec<DueRow>) -> Result<Vec<Due>, StoreError> {
    let due = |row: DueRow| {
        let stream = row.stream.parse().map_err(|_| StoreError::Inconsistent {
            table: "streams",
            what: row.stream,
        })?;
        Ok((
            TenantId(row.tenant_id),
            ConnectionId(row.connection_id),
            stream,
        ))
    };
    rows.into_iter().map(due).collect()
}
