//! Set aside: records that exist and that Intercom does not give. They are rows of the quarantine without bytes.
//!
//! Their neighbours are stored and their stream goes on. Each is asked for again on a timer of its own, and keeps the
//! copy incomplete until it is read or gone.

use std::time::Duration;

use super::{StoreError, Tx, quarantine::stream_of, roles::Worker, tx::Quarantined};
use crate::domain::ConnectionId;

/// How a record that was set aside is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// By its id.
    Record,
    /// The rest of a contact's companies.
    List,
    /// By the next full walk, because its id is unknown.
    Walk,
}

impl Retry {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::List => "list",
            Self::Walk => "walk",
        }
    }
}

/// A record that Intercom does not give.
#[derive(Clone, Debug)]
pub struct SetAside {
    pub source_id: String,
    pub retry: Retry,
    pub reason: String,
    /// What has been read so far, from which the next try continues.
    pub progress: Option<serde_json::Value>,
    /// Intercom refused nothing. The time was up, so the next try comes at once.
    pub is_unfinished: bool,
}

impl SetAside {
    /// A record of which nothing was read.
    pub fn unread(source_id: impl Into<String>, retry: Retry, reason: String) -> Self {
        Self {
            source_id: source_id.into(),
            retry,
            reason,
            progress: None,
            is_unfinished: false,
        }
    }
}

/// A record whose next try is due.
#[derive(Clone, Debug)]
pub struct DueRetry {
    pub source_id: String,
    pub progress: Option<serde_json::Value>,
}

impl Tx<Worker> {
    /// Sets records aside, each until its next try. `wait` is the time until then, after so many tries. Returns how many
    /// of them were in quarantine with their bytes before, which no longer count as unreadable.
    #[tracing::instrument(name = "db.set_aside", level = "debug", skip_all)]
    pub async fn set_aside(
        &mut self,
        connection: ConnectionId,
        kind: &'static str,
        records: &[SetAside],
        wait: impl Fn(u32) -> Duration + Send,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let mut no_longer_counted = 0;
        let kept_out = self
            .kept_out_objects(
                connection,
                records.iter().map(|record| (kind, &*record.source_id)),
            )
            .await?;
        // One at a time, because a page hardly ever has two.
        for record in records {
            if kept_out.contains(&record.source_id) {
                continue;
            }
            let tries = self.tries_of(connection, kind, &record.source_id).await?;
            let tries = tries + i32::from(!record.is_unfinished);
            let seconds = if record.is_unfinished {
                0.0
            } else {
                wait(tries.unsigned_abs()).as_secs_f64()
            };
            let was_counted = sqlx::query_scalar!(
                r#"WITH counted AS (
                    SELECT FROM quarantine
                    WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = $4
                      AND resolved_at IS NULL AND retry IS NULL
                 )
                 INSERT INTO quarantine AS q
                    (tenant_id, connection_id, kind, source_id, reason, raw, retry, tries, next_try_at, progress)
                 VALUES ($1, $2, $3, $4, $5, '', $6, $7, now() + make_interval(secs => $8), $9)
                 ON CONFLICT (tenant_id, connection_id, kind, source_id) DO UPDATE SET
                    reason = excluded.reason, raw = '', masked_reason = NULL, masked_raw = NULL, retry = excluded.retry, tries = excluded.tries,
                    next_try_at = excluded.next_try_at, progress = excluded.progress, seen = q.seen + 1,
                    last_seen_at = now(), resolved_at = NULL
                 RETURNING EXISTS (SELECT FROM counted) AS "counted!""#,
                tenant,
                connection.0,
                kind,
                record.source_id,
                record.reason,
                record.retry.as_str(),
                tries,
                seconds,
                record.progress,
            )
            .fetch_one(self.session())
            .await?;
            no_longer_counted += i64::from(was_counted);
            self.count_quarantined(Quarantined {
                stream: stream_of(kind),
                reason: "not_received",
            });
            tracing::warn!(kind, source_id = %record.source_id, tries, "set a record aside");
        }
        Ok(no_longer_counted)
    }

    /// How often a record that is set aside was asked for.
    async fn tries_of(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        source_id: &str,
    ) -> Result<i32, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT tries FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = $4
               AND resolved_at IS NULL AND retry IS NOT NULL",
            tenant,
            connection.0,
            kind,
            source_id,
        )
        .fetch_optional(self.session())
        .await?
        .unwrap_or_default())
    }

    /// Records of a kind whose next try is due, longest first.
    #[tracing::instrument(name = "db.due_questions", level = "debug", skip_all)]
    pub async fn due_questions(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        retry: Retry,
        limit: i64,
    ) -> Result<Vec<DueRetry>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            DueRetry,
            "SELECT source_id, progress FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND retry = $4
               AND resolved_at IS NULL AND next_try_at <= now()
             ORDER BY next_try_at, source_id LIMIT $5",
            tenant,
            connection.0,
            kind,
            retry.as_str(),
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Whether a record that is set aside waits for its next try. `None` if it is not set aside.
    #[tracing::instrument(name = "db.is_resting", level = "debug", skip_all)]
    pub async fn is_resting(
        &mut self,
        connection: ConnectionId,
        kind: &str,
        source_id: &str,
    ) -> Result<Option<bool>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT next_try_at > now() AS "rests!" FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND source_id = $4
                 AND resolved_at IS NULL AND retry IS NOT NULL"#,
            tenant,
            connection.0,
            kind,
            source_id,
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// Seconds until the next try of a kind, at least zero. `None` if nothing of the kind is set aside.
    #[tracing::instrument(name = "db.next_retry_in", level = "debug", skip_all)]
    pub async fn next_retry_in(
        &mut self,
        connection: ConnectionId,
        kind: &str,
    ) -> Result<Option<f64>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT extract(epoch FROM min(greatest(next_try_at, now()) - now()))::float8 FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND resolved_at IS NULL AND retry IS NOT NULL",
            tenant,
            connection.0,
            kind,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Makes every record of a connection that is set aside due now. Returns how many there are.
    #[tracing::instrument(name = "db.retry_now", level = "debug", skip_all)]
    pub async fn retry_now(
        &mut self,
        connection: ConnectionId,
        kind: &str,
    ) -> Result<u64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query!(
            "UPDATE quarantine SET next_try_at = least(next_try_at, now())
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND resolved_at IS NULL AND retry IS NOT NULL",
            tenant,
            connection.0,
            kind,
        )
        .execute(self.session())
        .await?
        .rows_affected())
    }
}
