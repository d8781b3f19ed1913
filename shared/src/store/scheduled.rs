//! What becomes due from a time on, for operators.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Store, StoreError, roles::Operator};

/// A stream that becomes due. Its work is at no worker yet.
#[derive(Clone, Debug)]
pub struct ScheduledStream {
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub stream: String,
    pub due_at: DateTime<Utc>,
    /// The mode that the next walk has to have.
    pub mode: String,
    /// A walk has begun and goes on then.
    pub is_walking: bool,
    /// Attempts in a row that failed.
    pub attempts: i32,
    /// Of the last of them.
    pub last_error: Option<String>,
    /// Why Intercom refuses it.
    pub blocked_code: Option<String>,
    /// It was never read to its end.
    pub is_first: bool,
    /// Its connection syncs. One that stands still asks now and then whether its token works again.
    pub is_active: bool,
    /// A pause of its tenant, its class or the fleet is in force.
    pub is_paused: bool,
}

/// The last stream of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulePosition {
    pub due_at: DateTime<Utc>,
    pub tenant: Uuid,
    pub connection: Uuid,
    pub stream: String,
}

impl SchedulePosition {
    /// Before the first stream that becomes due at this time.
    #[must_use]
    pub const fn from(at: DateTime<Utc>) -> Self {
        Self {
            due_at: at,
            tenant: Uuid::nil(),
            connection: Uuid::nil(),
            stream: String::new(),
        }
    }
}

impl Store<Operator> {
    /// Streams by the time at which they become due, soonest first, behind a position.
    #[tracing::instrument(name = "db.streams_due_from", level = "debug", skip_all)]
    pub async fn streams_due_from(
        &self,
        after: &SchedulePosition,
        limit: i32,
    ) -> Result<Vec<ScheduledStream>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            ScheduledStream,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!", due_at AS "due_at!",
                      mode AS "mode!", is_walking AS "is_walking!", attempts AS "attempts!", last_error, blocked_code,
                      is_first AS "is_first!", is_active AS "is_active!", is_paused AS "is_paused!"
               FROM streams_due_from($1, $2, $3, $4, $5)"#,
            after.due_at,
            after.tenant,
            after.connection,
            after.stream,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }
}
