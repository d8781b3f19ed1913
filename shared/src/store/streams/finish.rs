//! How a slice ends for its stream: the walk ends, fails, idles or is blocked.
//!
//! Every method is part of a transaction that compares the fence. See `fence.rs`.

use chrono::{DateTime, Utc};

use crate::{
    domain::{Mode, Stream},
    store::{ConnectionError, SliceKey, StoreError, Tx, roles::Worker},
};

/// How soon the next walk begins after one that saw fewer objects than there are.
const CATCH_UP_SECONDS: f64 = 15.0;

/// The result of a walk that has ended.
#[derive(Debug)]
pub struct WalkEnd {
    /// How much it fetched.
    pub mode: Mode,
    /// By Postgres' clock. It does not serve runs that were requested later.
    pub begun_at: DateTime<Utc>,
    /// Every change up to here is stored.
    pub watermark: Option<DateTime<Utc>>,
    /// A change before the watermark that the next search has to show again.
    pub overlap_probe: Option<DateTime<Utc>>,
    /// True if it saw every object, and not only changed ones.
    pub full: bool,
    /// Objects that Intercom counts and the walk did not show. `None` if Intercom does not count.
    pub missing: Option<i64>,
    /// Seconds until the next walk. With `None` the stream is not due until something else makes it due.
    pub next_in_seconds: Option<f64>,
}

/// What a failed attempt leaves of the walk under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorAfterFailure {
    /// The next slice continues from the cursor.
    Keep,
    /// The cursor is kept, but every page is fetched again, because a scroll cannot be resumed.
    Refetch,
    /// The walk starts over.
    Discard,
}

impl Tx<Worker> {
    /// Ends a walk. Nothing else may write to the stream after it in this transaction, except what follows from the
    /// walk. Returns when the next walk is due, if it is.
    #[tracing::instrument(name = "db.end_walk", level = "debug", skip_all)]
    pub async fn end_walk(
        &mut self,
        key: SliceKey,
        end: &WalkEnd,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant().0;
        // First, because the runs that still wait decide the mode and the time of the next walk.
        let next_mode = self.serve_runs(key, end).await?;
        // The missing objects may have been created while the walk was under way, so the next one follows soon.
        let next_in_seconds = match end.missing {
            Some(1..) if end.full => end
                .next_in_seconds
                .map(|seconds| seconds.min(CATCH_UP_SECONDS)),
            _ => end.next_in_seconds,
        };
        // A poll leaves the mode as it is, because an audit may have asked for a full walk meanwhile.
        let keeps_mode = end.mode == Mode::Incremental
            && matches!(key.stream, Stream::Contacts | Stream::Conversations);
        // `greatest`, because a walk that began before another one ended must not move the watermark back.
        let due_at = sqlx::query_scalar!(
            "UPDATE streams SET
                cursor = NULL, attempts = 0, restarts = 0, last_error = NULL, last_ok_at = now(), ticketed_at = NULL,
                watermark = greatest(watermark, $4), overlap_probe = $9,
                walked_at = CASE WHEN $5 THEN now() ELSE walked_at END,
                mode = CASE WHEN $6::text IS NOT NULL THEN $6 WHEN $10 THEN mode ELSE 'incremental' END,
                expected = CASE WHEN $5 THEN held + $7 ELSE expected END,
                blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL,
                refused_code = NULL, refused_since = NULL, refusals = 0, blocked_times = 0,
                due_at = CASE WHEN $6 IS NOT NULL OR $10 AND mode <> 'incremental' THEN now() ELSE now() + make_interval(secs => $8) END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3
             RETURNING due_at",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            end.watermark,
            end.full,
            next_mode,
            end.missing,
            next_in_seconds,
            end.overlap_probe,
            keeps_mode,
        )
        .fetch_optional(self.session())
        .await?
        .flatten();
        self.resolve_dead_letter(key).await?;
        Ok(due_at)
    }

    /// Ends a poll that changed nothing, in one statement that compares the fence as well. False if it is not so simple:
    /// a run waits for the stream, a dead letter is open, a full walk was asked for, or the slice is no longer ours.
    #[tracing::instrument(name = "db.end_quiet_poll", level = "debug", skip_all)]
    pub async fn end_quiet_poll(
        &mut self,
        key: SliceKey,
        end: &WalkEnd,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let ended = sqlx::query!(
            "UPDATE streams SET
                cursor = NULL, attempts = 0, restarts = 0, last_error = NULL, last_ok_at = now(), ticketed_at = NULL,
                watermark = greatest(watermark, $5), overlap_probe = $6,
                blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL,
                refused_code = NULL, refused_since = NULL, refusals = 0, blocked_times = 0,
                due_at = now() + make_interval(secs => $7)
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND fence = $4 AND mode = 'incremental'
               AND NOT EXISTS (SELECT FROM sync_runs r WHERE r.tenant_id = $1 AND r.connection_id = $2
                                  AND r.finished_at IS NULL AND $3 = ANY (r.pending))
               AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.tenant_id = $1 AND d.connection_id = $2
                                  AND d.stream = $3 AND d.resolved_at IS NULL)",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
            end.watermark,
            end.overlap_probe,
            end.next_in_seconds,
        )
        .execute(self.session())
        .await?;
        Ok(ended.rows_affected() > 0)
    }

    /// Lets the stream wait for its next walk, which is due then. If a run was requested meanwhile, it is due now.
    #[tracing::instrument(name = "db.wait_until", level = "debug", skip_all)]
    pub async fn wait_until(
        &mut self,
        key: SliceKey,
        due_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET ticketed_at = NULL,
                    due_at = CASE WHEN EXISTS (
                        SELECT FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL
                           AND $3 = ANY (pending)) THEN least(now(), $4) ELSE $4 END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            due_at,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Counts a failed attempt of the stream and sets the time of the next one.
    #[tracing::instrument(name = "db.fail_stream", level = "debug", skip_all)]
    pub async fn fail_stream(
        &mut self,
        key: SliceKey,
        error: &str,
        seconds: f64,
        cursor: CursorAfterFailure,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // `ticketed_at` stays, because the slice's verdict keeps the ticket in Redis.
        sqlx::query!(
            "UPDATE streams SET attempts = attempts + 1, last_error = $4, due_at = now() + make_interval(secs => $5),
                    failed_at = now(), failing_since = CASE WHEN attempts > 0 THEN failing_since ELSE now() END,
                    restarts = restarts + CASE WHEN $6 THEN 1 ELSE 0 END,
                    cursor = CASE WHEN $7 THEN NULL ELSE cursor END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            error,
            seconds,
            cursor != CursorAfterFailure::Keep,
            cursor == CursorAfterFailure::Discard,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Lets the stream wait although its walk has not ended. With `None` it waits until something makes it due.
    #[tracing::instrument(name = "db.idle_stream", level = "debug", skip_all)]
    pub async fn idle_stream(
        &mut self,
        key: SliceKey,
        seconds: Option<f64>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET due_at = now() + make_interval(secs => $4), ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Marks a stream that cannot continue now, with a sentence and the customer's next step. It is tried again later.
    #[tracing::instrument(name = "db.block_stream", level = "debug", skip_all)]
    pub async fn block_stream(
        &mut self,
        key: SliceKey,
        why: &ConnectionError,
        again_in_seconds: f64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // A block is Intercom's decision and no failure of ours, so the attempts are forgotten. The next look at the
        // reference data is a new one, or the lists that were read before the block would stay as they are.
        sqlx::query!(
            "UPDATE streams SET blocked_code = $4, blocked_message = $5, blocked_action = $6,
                    cursor = CASE WHEN stream = 'reference' THEN NULL ELSE cursor END,
                    blocked_until = now() + make_interval(secs => $7), due_at = now() + make_interval(secs => $7),
                    ticketed_at = NULL, attempts = 0, last_error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            why.code,
            why.message,
            why.action,
            again_in_seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
