//! Dead letters: streams that failed too often, each with its cause. One is open per stream at most.
//!
//! A worker writes a letter, and the stream's next success resolves it. Operators list, retry and drop letters across
//! tenants, through reviewed functions of the schema.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{
    ActionOrigin, ActionSubject, Due, OperatorActionKind, SliceKey, Store, StoreError, Tx,
    roles::{Api, Operator, Worker},
    streams::{DueRow, dues},
};
use crate::domain::{ConnectionId, Stream, TenantId};

/// As much of a filter's cause as is kept, in characters.
const SHOWN_CAUSE: usize = 100;

/// Which dead letters are meant. Without a condition: all open ones.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    pub id: Option<Uuid>,
    pub tenant: Option<TenantId>,
    pub stream: Option<Stream>,
    /// Part of the cause, in upper or lower case. With `=` in front, the whole cause as it is.
    pub cause: Option<String>,
}

impl DeadLetterFilter {
    /// The filter in words, for the list of what operators have done.
    pub(super) fn subject(&self) -> ActionSubject {
        let conditions = [
            self.id.map(|id| format!("dead letter {id}")),
            self.stream.map(|stream| format!("stream {stream}")),
            self.cause.as_ref().map(|cause| {
                let cause = cause.strip_prefix('=').unwrap_or(cause);
                let short: String = cause.chars().take(SHOWN_CAUSE).collect();
                format!("cause {short:?}")
            }),
        ];
        let words: Vec<String> = conditions.into_iter().flatten().collect();
        let text = match (words.is_empty(), self.tenant) {
            (false, _) => words.join(", "),
            (true, Some(_)) => "all dead letters of the tenant".to_owned(),
            (true, None) => "all dead letters".to_owned(),
        };
        ActionSubject {
            tenant: self.tenant,
            text,
            reason: None,
        }
    }
}

/// An open dead letter. Its stream is still retried now and then.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub stream: String,
    pub cause: String,
    pub attempts: i32,
    pub died_at: DateTime<Utc>,
    /// When the stream is retried by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// Open dead letters with one cause.
#[derive(Clone, Debug)]
pub struct DeadLetterCause {
    pub cause: String,
    pub letters: i64,
    /// Tenants that have such letters.
    pub tenants: i64,
    pub first_died_at: DateTime<Utc>,
    pub last_died_at: DateTime<Utc>,
}

impl Store<Operator> {
    /// Open dead letters, oldest first, after the one with id `after`.
    #[tracing::instrument(name = "db.dead_letters", level = "debug", skip_all)]
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<Uuid>,
        limit: i32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut tx = self.inspect_all().await?;
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
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// Open dead letters by their cause, the most frequent first, among the oldest so many.
    #[tracing::instrument(name = "db.dead_letter_causes", level = "debug", skip_all)]
    pub async fn dead_letter_causes(
        &self,
        letters: i32,
        limit: i32,
    ) -> Result<Vec<DeadLetterCause>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            DeadLetterCause,
            r#"SELECT cause AS "cause!", letters AS "letters!", tenants AS "tenants!", first_died_at AS "first_died_at!",
                      last_died_at AS "last_died_at!"
               FROM dead_letter_causes($1, $2)"#,
            letters,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// How many open dead letters the filter means. A dry run shows this number.
    #[tracing::instrument(name = "db.count_dead_letters", level = "debug", skip_all)]
    pub async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<i64, StoreError> {
        // A retry and a drop count first, and an outage of many tenants leaves more letters than a second counts.
        let mut tx = self.begin_for_all().await?;
        Ok(sqlx::query_scalar!(
            r#"SELECT count_dead_letters($1, $2, $3, $4) AS "count!""#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
        )
        .fetch_one(tx.session())
        .await?)
    }

    /// Makes the streams of at most `limit` dead letters due now, and forgets their attempts. The letters stay open
    /// until their streams succeed. Returns the streams, for which the caller pushes tickets.
    #[tracing::instrument(name = "db.retry_dead_letters", level = "debug", skip_all)]
    pub async fn retry_dead_letters(
        &self,
        origin: &ActionOrigin,
        filter: &DeadLetterFilter,
        limit: i32,
    ) -> Result<Vec<Due>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query_as!(
            DueRow,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM retry_dead_letters($1, $2, $3, $4, $5)"#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
            limit,
        )
        .fetch_all(tx.session())
        .await?;
        let kind = OperatorActionKind::DeadLettersRetried;
        tx.add_operator_action(origin, kind, &filter.subject(), rows.len() as i64)
            .await?;
        tx.commit().await?;
        dues(rows)
    }

    /// Closes at most `limit` dead letters and discards the walks that failed. The streams continue with their next
    /// regular walks. Returns how many letters were closed.
    #[tracing::instrument(name = "db.drop_dead_letters", level = "debug", skip_all)]
    pub async fn drop_dead_letters(
        &self,
        origin: &ActionOrigin,
        filter: &DeadLetterFilter,
        limit: i32,
    ) -> Result<i64, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let dropped = sqlx::query_scalar!(
            r#"SELECT drop_dead_letters($1, $2, $3, $4, $5) AS "dropped!""#,
            filter.id,
            filter.tenant.map(|tenant| tenant.0),
            filter.stream.map(Stream::as_str),
            filter.cause.as_deref(),
            limit,
        )
        .fetch_one(tx.session())
        .await?;
        let kind = OperatorActionKind::DeadLettersDropped;
        tx.add_operator_action(origin, kind, &filter.subject(), dropped)
            .await?;
        tx.commit().await?;
        Ok(dropped)
    }
}

impl Tx<Worker> {
    /// Writes the dead letter of a stream that is given up, or updates its open one. Returns whether it is a new one.
    #[tracing::instrument(name = "db.write_dead_letter", level = "debug", skip_all)]
    pub async fn write_dead_letter(
        &mut self,
        key: SliceKey,
        cause: &str,
        attempts: i32,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // One open letter per stream: a repeated failure updates it, and operators see its last cause.
        // Version 7 ids grow with time, so the list in the order of ids is the list by age.
        let id = Uuid::now_v7();
        let written = sqlx::query_scalar!(
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, connection_id, stream) WHERE resolved_at IS NULL
             DO UPDATE SET cause = excluded.cause, attempts = excluded.attempts, died_at = now()
             RETURNING id",
            tenant,
            id,
            key.connection.0,
            key.stream.as_str(),
            cause,
            attempts,
        )
        .fetch_one(self.session())
        .await?;
        Ok(written == id)
    }

    /// Resolves the stream's open dead letter, because a walk has ended.
    pub(super) async fn resolve_dead_letter(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE dead_letters SET resolved_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND resolved_at IS NULL",
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Api> {
    /// Closes the open dead letters of a connection that ends, because nothing of an ended connection is due.
    pub(super) async fn close_dead_letters(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE dead_letters SET resolved_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND resolved_at IS NULL",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
