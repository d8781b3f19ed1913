//! What operators see and do across tenants: dead letters and pauses, through reviewed functions only.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Store, StoreError,
    roles::{Operator, ReadsPauses},
};
use crate::domain::{ConnectionId, Stream, TenantId};

/// Which dead letters are meant. No condition: all that are open.
#[derive(Clone, Debug, Default)]
pub struct DeadFilter {
    pub id: Option<Uuid>,
    pub tenant: Option<TenantId>,
    pub stream: Option<Stream>,
    /// Part of the cause, upper or lower case.
    pub cause: Option<String>,
}

/// Work that was given up, with its cause. Its stream still tries again now and then.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub stream: String,
    pub cause: String,
    pub attempts: i32,
    pub died_at: DateTime<Utc>,
    /// When the stream tries again by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// Something that is not worked on for now: the fleet, a class or a tenant, by its text.
#[derive(Clone, Debug, Serialize)]
pub struct Pause {
    pub scope: String,
    pub reason: Option<String>,
    pub paused_at: DateTime<Utc>,
}

impl Store<Operator> {
    /// Open dead letters, oldest first, after the one with id `after`.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn dead_letters(
        &self,
        filter: &DeadFilter,
        after: Option<Uuid>,
        most: i32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(sqlx::query_as!(
            DeadLetter,
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", connection_id AS "connection_id!", stream AS "stream!",
                      cause AS "cause!", attempts AS "attempts!", died_at AS "died_at!", next_attempt_at
               FROM find_dead_letters($1, $2, $3, $4, $5, $6)"#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
            after,
            most,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// How many open dead letters the filter means: what a dry run shows.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn count_dead_letters(&self, filter: &DeadFilter) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT count_dead_letters($1, $2, $3, $4) AS "count!""#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Makes the streams of at most `most` dead letters due now, with their attempts forgotten. The letters
    /// stay open until their streams succeed. Returns the streams, to be ticketed.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn retry_dead_letters(
        &self,
        filter: &DeadFilter,
        most: i32,
    ) -> Result<Vec<(TenantId, ConnectionId, Stream)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM retry_dead_letters($1, $2, $3, $4, $5)"#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
            most,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let stream = row.stream.parse().map_err(|_| StoreError::Inconsistent {
                    table: "streams",
                    what: row.stream,
                })?;
                Ok((
                    TenantId(row.tenant_id),
                    ConnectionId(row.connection_id),
                    stream,
                ))
            })
            .collect()
    }

    /// Closes at most `most` dead letters and forgets the walks that died; the streams go on with their next
    /// regular ones. Returns how many.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn drop_dead_letters(
        &self,
        filter: &DeadFilter,
        most: i32,
    ) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT drop_dead_letters($1, $2, $3, $4, $5) AS "dropped!""#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
            most,
        )
        .fetch_one(&self.pool)
        .await?)
    }
}

impl<R: ReadsPauses> Store<R> {
    /// What is paused.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(sqlx::query_as!(
            Pause,
            "SELECT scope, reason, paused_at FROM pauses ORDER BY paused_at"
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Store<Operator> {
    /// Notes that a scope is paused. The first reason stays.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn pause(&self, scope: &str, reason: Option<&str>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO pauses (scope, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            scope,
            reason
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that a scope is no longer paused.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn resume(&self, scope: &str) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM pauses WHERE scope = $1", scope)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
