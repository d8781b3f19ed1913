//! One tenant as operators see it. No content of the tenant is read.

use chrono::{DateTime, Utc};

use super::{StoreError, Tx, roles::Operator};
use crate::domain::ConnectionId;

/// The work of one stream, as its row has it.
#[derive(Clone, Debug)]
pub struct StreamWork {
    pub stream: String,
    /// When it is due. `None` if it is not.
    pub due_at: Option<DateTime<Utc>>,
    /// When the scheduler last made its ticket.
    pub ticketed_at: Option<DateTime<Utc>>,
    /// The highest lease that began work here.
    pub fence: i64,
    /// Attempts in a row that failed.
    pub attempts: i32,
    /// How often its walk started over since one ended.
    pub restarts: i32,
    /// The mode that the next walk has to have.
    pub mode: String,
    pub last_ok_at: Option<DateTime<Utc>>,
    /// When it last stored an object.
    pub progress_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    /// When the first of these attempts failed, and the last. `None` if the last one did not fail.
    pub failing_since: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub blocked_code: Option<String>,
    pub blocked_until: Option<DateTime<Utc>>,
}

/// An object in quarantine, without its bytes.
#[derive(Clone, Debug)]
pub struct HeldObject {
    /// `contact`, `company`, `conversation`, `part` or `reference`.
    pub kind: String,
    pub source_id: String,
    pub last_seen_at: DateTime<Utc>,
    /// Intercom did not give it. An object without this could not be read.
    pub is_set_aside: bool,
    /// Why it was set aside.
    pub trouble: Option<String>,
    pub next_try_at: Option<DateTime<Utc>>,
    /// Why it could not be read, with what it quotes covered. `None` for an object from before version 46 of the schema.
    pub masked_reason: Option<String>,
    /// What was received, with its values covered.
    pub masked_raw: Option<String>,
}

impl Tx<Operator> {
    /// The tenant's name and when it was created. `None` for an unknown tenant.
    #[tracing::instrument(name = "db.tenant_name", level = "debug", skip_all)]
    pub async fn tenant_name(&mut self) -> Result<Option<(String, DateTime<Utc>)>, StoreError> {
        let tenant = self.tenant().0;
        let row = sqlx::query!("SELECT name, created_at FROM tenants WHERE id = $1", tenant)
            .fetch_optional(self.session())
            .await?;
        Ok(row.map(|row| (row.name, row.created_at)))
    }

    /// The work of the streams of a connection.
    #[tracing::instrument(name = "db.stream_work", level = "debug", skip_all)]
    pub async fn stream_work(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<StreamWork>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            StreamWork,
            "SELECT stream, due_at, ticketed_at, fence, attempts, restarts, mode, last_ok_at, progress_at, last_error,
                    CASE WHEN attempts > 0 THEN failing_since END AS failing_since,
                    CASE WHEN attempts > 0 THEN failed_at END AS failed_at, blocked_code, blocked_until
             FROM streams WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Objects of a connection that are in quarantine, `limit` at most.
    #[tracing::instrument(name = "db.held_objects", level = "debug", skip_all)]
    pub async fn held_objects(
        &mut self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<HeldObject>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            HeldObject,
            r#"SELECT kind, source_id, last_seen_at, retry IS NOT NULL AS "is_set_aside!", trouble, next_try_at,
                      masked_reason, masked_raw
               FROM quarantine WHERE tenant_id = $1 AND connection_id = $2 AND resolved_at IS NULL
               LIMIT $3"#,
            tenant,
            connection.0,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }
}
