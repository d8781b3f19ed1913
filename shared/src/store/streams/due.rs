//! What makes a stream due, or stops it, apart from the end of its own slice.

use crate::{
    domain::{ConnectionId, Mode, Stream},
    store::{
        SliceKey, StoreError, Tx,
        roles::{Api, Oauth, Worker},
    },
};

impl Tx<Worker> {
    /// Makes another stream of the connection due now, because its backlog grows in this transaction. Threads are made
    /// due by the commit.
    #[tracing::instrument(name = "db.make_due", level = "debug", skip_all)]
    pub async fn make_due(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<(), StoreError> {
        if stream == Stream::Threads {
            self.note_threads_due(connection);
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET due_at = least(due_at, now())
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND blocked_code IS NULL",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes a stream due for a walk of at least this mode, and counts so many objects as missing. False if a walk is
    /// under way or the stream is blocked.
    #[tracing::instrument(name = "db.widen", level = "debug", skip_all)]
    pub async fn widen(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        mode: Mode,
        missing: i64,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // `cursor IS NULL`, because a walk under way keeps its own mode, and its counts are not final.
        let widened = sqlx::query!(
            "UPDATE streams SET mode = CASE WHEN mode = 'reconcile' THEN mode ELSE $4 END, due_at = least(due_at, now()),
                    expected = greatest(expected, held + $5)
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND cursor IS NULL AND blocked_code IS NULL",
            tenant,
            connection.0,
            stream.as_str(),
            mode.as_str(),
            missing,
        )
        .execute(self.session())
        .await?;
        Ok(widened.rows_affected() > 0)
    }

    /// Stops every stream of a connection with a dead token, except `reference`, which asks now and then whether the
    /// token works again.
    pub(in crate::store) async fn suspend_streams(
        &mut self,
        key: SliceKey,
        probe_in_seconds: f64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // The fences of the others rise, because their slices under way would make their streams due again. Our own
        // fence stays, because this transaction still has to commit under it.
        sqlx::query!(
            "UPDATE streams SET due_at = CASE WHEN stream = 'reference' THEN now() + make_interval(secs => $3) END,
                    attempts = 0, last_error = NULL, refused_code = NULL, refused_since = NULL, refusals = 0,
                    fence = fence + CASE WHEN stream = $4 THEN 0 ELSE 1 END
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            key.connection.0,
            probe_in_seconds,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes every stream of a connection due now, because its token works again.
    pub(in crate::store) async fn resume_streams(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Oauth> {
    /// Makes every stream of a new or reconnected workspace due now, and queues a run over all of them. Nothing that
    /// began under the old token can write after it.
    #[tracing::instrument(name = "db.mark_all_due", level = "debug", skip_all)]
    pub async fn mark_all_due(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let streams: Vec<String> = Stream::ALL.iter().map(ToString::to_string).collect();
        // A reconnected workspace keeps its watermarks, so a stream that was walked before fetches only changes. The
        // block is lifted, because a new token may have the scope that was missing.
        let modes = sqlx::query_scalar!(
            "INSERT INTO streams AS s (tenant_id, connection_id, stream, due_at, mode)
             SELECT $1, $2, name, now(), 'full' FROM unnest($3::text[]) AS name
             ON CONFLICT (tenant_id, connection_id, stream) DO UPDATE
             SET fence = s.fence + 1, due_at = now(), ticketed_at = NULL, attempts = 0, last_error = NULL,
                 refused_code = NULL, refused_since = NULL, refusals = 0, blocked_times = 0,
                 mode = CASE WHEN s.last_ok_at IS NULL AND s.mode = 'incremental' THEN 'full' ELSE s.mode END,
                 blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             RETURNING s.mode",
            tenant,
            connection.0,
            &streams,
        )
        .fetch_all(self.session())
        .await?;
        // The weakest mode of all streams: a run that asks a stream for more than it will do never ends.
        let is_incremental = modes.iter().any(|mode| mode == Mode::Incremental.as_str());
        let mode = if is_incremental {
            Mode::Incremental
        } else {
            Mode::Full
        };
        self.queue_first_run(connection, mode, &streams).await
    }
}

impl Tx<Api> {
    /// Makes streams due now for a requested run of this mode.
    pub(in crate::store) async fn make_streams_due(
        &mut self,
        connection: ConnectionId,
        streams: &[String],
        mode: Mode,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // The stronger of the two modes wins, or a run that asked for more would never be served.
        sqlx::query!(
            "UPDATE streams
             SET due_at = now(), ticketed_at = NULL,
                 mode = CASE WHEN 'reconcile' IN (mode, $4) THEN 'reconcile' WHEN 'full' IN (mode, $4) THEN 'full'
                             ELSE 'incremental' END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = ANY($3)",
            tenant,
            connection.0,
            streams,
            mode.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes those of the streams due now that wait for their next attempt.
    pub(in crate::store) async fn retry_streams_now(
        &mut self,
        connection: ConnectionId,
        streams: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET due_at = least(due_at, now()), ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = ANY($3) AND attempts > 0",
            tenant,
            connection.0,
            streams,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Stops every stream of a connection that ends, and fences out its slices under way.
    pub(in crate::store) async fn stop_streams(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET fence = fence + 1, due_at = NULL, ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Forgets every walk of a connection whose objects will be deleted. The fences stay, because they shut out slices
    /// that began under an older one.
    pub(in crate::store) async fn reset_streams(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET mode = 'full', cursor = NULL, watermark = NULL, overlap_probe = NULL, walked_at = NULL, attempts = 0,
                    last_error = NULL, last_ok_at = NULL, held = 0, expected = NULL, pending = 0, failing = 0, complete = 0,
                    truncated = 0, gone = 0, blocked = 0, missing_parts = 0, refused_code = NULL,
                    refused_since = NULL, refusals = 0, blocked_times = 0, progress_at = NULL, blocked_code = NULL,
                    blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
