//! The end of a walk: watermark, proof, next due time, and the runs that waited for it.

use chrono::{DateTime, Utc};

use super::{SliceKey, StoreError, Tx, roles::Worker};
use crate::domain::Mode;

/// After a walk that saw fewer than there are: how soon the next one looks.
const CATCH_UP_SECONDS: f64 = 15.0;

/// What is known when a walk has ended.
#[derive(Debug)]
pub struct WalkEnd {
    /// How much it looked at.
    pub mode: Mode,
    /// By Postgres' clock; runs requested later are not served by it.
    pub begun_at: DateTime<Utc>,
    /// Every change up to here is held.
    pub watermark: Option<DateTime<Utc>>,
    /// A change before it that the next search has to show again.
    pub witness: Option<DateTime<Utc>>,
    /// True when it saw every object, not only changed ones.
    pub full: bool,
    /// Objects that Intercom counts and the walk did not show; `None` when Intercom does not count.
    pub missing: Option<i64>,
    /// Seconds until the next one; `None` owes nothing until somebody makes it due.
    pub next_in_seconds: Option<f64>,
}

impl Tx<Worker> {
    /// Closes a walk. Nothing else may write to the stream after it in this transaction.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn end_walk(&mut self, key: SliceKey, end: &WalkEnd) -> Result<(), StoreError> {
        let owed = self.serve_runs(key, end).await?;
        // What the walk was told to be missing may have come while it went on: soon asked again.
        let next_in_seconds = match end.missing {
            Some(1..) if end.full => end
                .next_in_seconds
                .map(|seconds| seconds.min(CATCH_UP_SECONDS)),
            _ => end.next_in_seconds,
        };
        sqlx::query!(
            "UPDATE streams SET
                cursor = NULL, attempts = 0, restarts = 0, last_error = NULL, last_ok_at = now(), ticketed_at = NULL,
                watermark = greatest(watermark, $4), witness = $9,
                walked_at = CASE WHEN $5 THEN now() ELSE walked_at END,
                mode = coalesce($6, 'incremental'),
                expected = CASE WHEN $5 THEN held + $7 ELSE expected END,
                blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL,
                due_at = CASE WHEN $6 IS NOT NULL THEN now() ELSE now() + make_interval(secs => $8) END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            end.watermark,
            end.full,
            owed,
            end.missing,
            next_in_seconds,
            end.witness,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE dead_letters SET resolved_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND resolved_at IS NULL",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// What is missing, by a count that Intercom gave just now.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn recount(&mut self, key: SliceKey, total: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET expected = held + greatest(0, $4 - (
                SELECT count(*) FROM alive WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3))
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            total,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Ends this stream's part of every run that the walk serves; returns the mode that those need which still wait.
    ///
    /// A run's threads end after its conversations: only then is every stub of it known.
    async fn serve_runs(
        &mut self,
        key: SliceKey,
        end: &WalkEnd,
    ) -> Result<Option<String>, StoreError> {
        sqlx::query!(
            "UPDATE sync_runs SET
                pending = array_remove(pending, $3),
                status = CASE WHEN array_remove(pending, $3) <> '{}' THEN status
                              WHEN error_code IS NULL THEN 'succeeded' ELSE 'partial' END,
                started_at = coalesce(started_at, $4),
                counters = counters || jsonb_build_object($3::text, (
                    SELECT jsonb_build_object('held', s.held, 'expected', s.expected) FROM streams s
                    WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3)),
                finished_at = CASE WHEN array_remove(pending, $3) = '{}' THEN now() END
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL AND $3 = ANY (pending)
               AND requested_at <= $4
               AND (mode = 'incremental' OR $5 = 'reconcile' OR (mode = 'full' AND $5 = 'full') OR $3 = 'threads')
               AND NOT ($3 = 'threads' AND 'conversations' = ANY (pending))",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            end.begun_at,
            end.mode.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(sqlx::query_scalar!(
            "SELECT mode FROM sync_runs
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL AND $3 = ANY (pending)
               AND NOT ($3 = 'threads' AND 'conversations' = ANY (pending))
             ORDER BY array_position(ARRAY['reconcile', 'full', 'incremental'], mode) LIMIT 1",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// Notes that a run has begun, when the first walk for it does.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn start_runs(&mut self, key: SliceKey) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE sync_runs SET status = 'running', started_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND status = 'queued' AND $3 = ANY (pending)",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// A run goes on without this stream, which is blocked (and without threads, where nobody brings their
    /// stubs): it can end as `partial` at best.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn drop_from_runs(
        &mut self,
        key: SliceKey,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        // Computed from the row that is updated, not from a copy of it: another stream may end its part at
        // this moment, and what it wrote must not be undone.
        sqlx::query!(
            "UPDATE sync_runs SET
                pending = array_remove(array_remove(pending, $3), CASE WHEN $3 = 'conversations' THEN 'threads' END),
                error_code = $4, error_message = $5,
                status = CASE WHEN pending <@ ARRAY[$3, CASE WHEN $3 = 'conversations' THEN 'threads' END]
                              THEN 'partial' ELSE 'running' END,
                started_at = coalesce(started_at, now()),
                finished_at = CASE WHEN pending <@ ARRAY[$3, CASE WHEN $3 = 'conversations' THEN 'threads' END]
                                   THEN now() END
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL AND $3 = ANY (pending)",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            code,
            message,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
