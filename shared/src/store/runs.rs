//! Runs: what was requested (the first sync, a resync), and how each stream serves it.
//!
//! A run lists its streams as pending. The end of a stream's walk takes that stream out, and the last one ends the run.

use super::{
    ConnectionState, SliceKey, StoreError, Tx, WalkEnd,
    reads::Run,
    roles::{Api, Oauth, Worker},
};
use crate::domain::{ConnectionId, Mode, RunId, Stream};

/// The result of a request for a run.
#[derive(Clone, Debug)]
pub enum RunRequest {
    /// A new run, whose streams are due now.
    Queued(Run),
    /// An equal run (mode and streams) has not finished yet.
    AlreadyActive(Run),
    /// The connection does not sync.
    NotActive(ConnectionState),
}

impl Tx<Api> {
    /// Requests a run over `streams`. `None` for an unknown or foreign connection.
    #[tracing::instrument(name = "db.request_run", level = "debug", skip_all)]
    pub async fn request_run(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        streams: &[Stream],
    ) -> Result<Option<RunRequest>, StoreError> {
        // The lock makes two equal requests one run, and keeps a disconnect waiting until we commit.
        self.lock_streams(connection).await?;
        let Some(found) = self.connection(connection).await? else {
            return Ok(None);
        };
        if found.state != ConnectionState::Active {
            return Ok(Some(RunRequest::NotActive(found.state)));
        }
        let names: Vec<String> = streams.iter().map(ToString::to_string).collect();
        if let Some(run) = self.equal_open_run(connection, mode, &names).await? {
            // The request is repeated because nothing happened, so a failed stream does not wait any longer.
            self.retry_streams_now(connection, &names).await?;
            let run = self.run(connection, run).await?;
            return Ok(run.map(RunRequest::AlreadyActive));
        }
        let run = self.queue_run(connection, mode, &names).await?;
        self.make_streams_due(connection, &names, mode).await?;
        let run = self.run(connection, run).await?;
        Ok(run.map(RunRequest::Queued))
    }

    async fn equal_open_run(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        streams: &[String],
    ) -> Result<Option<RunId>, StoreError> {
        let tenant = self.tenant().0;
        // Both containments: the same set of streams, whatever their order.
        Ok(sqlx::query_scalar!(
            "SELECT id FROM sync_runs
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL
               AND mode = $3 AND streams @> $4 AND streams <@ $4
             ORDER BY requested_at LIMIT 1",
            tenant,
            connection.0,
            mode.as_str(),
            streams,
        )
        .fetch_optional(self.session())
        .await?
        .map(RunId))
    }

    async fn queue_run(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        streams: &[String],
    ) -> Result<RunId, StoreError> {
        let tenant = self.tenant().0;
        let id = RunId::new();
        sqlx::query!(
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status)
             VALUES ($1, $2, $3, $4, $5, $5, 'queued')",
            tenant,
            id.0,
            connection.0,
            mode.as_str(),
            streams,
        )
        .execute(self.session())
        .await?;
        Ok(id)
    }

    /// Cancels every open run of a connection that ends.
    pub(super) async fn cancel_runs(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // `pending` is emptied, so that no walk of a later life of the connection can end the run a second time.
        sqlx::query!(
            "UPDATE sync_runs SET status = 'cancelled', pending = '{}', finished_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Oauth> {
    /// Queues the run of a new or reconnected workspace, unless an open run of the same kind covers it.
    pub(super) async fn queue_first_run(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        streams: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status)
             SELECT $1, $2, $3, $4, $5, $5, 'queued'
             WHERE NOT EXISTS (SELECT FROM sync_runs
                               WHERE tenant_id = $1 AND connection_id = $3 AND finished_at IS NULL
                                 AND mode = $4 AND streams @> $5 AND streams <@ $5)",
            tenant,
            RunId::new().0,
            connection.0,
            mode.as_str(),
            streams,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Worker> {
    /// Marks queued runs of this stream as running, when the first walk for them begins.
    #[tracing::instrument(name = "db.start_runs", level = "debug", skip_all)]
    pub async fn start_runs(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE sync_runs SET status = 'running', started_at = now()
             WHERE tenant_id = $1 AND connection_id = $2 AND status = 'queued' AND $3 = ANY (pending)",
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Ends this stream's part of every run that the walk serves. Returns the mode of the strongest run that still
    /// waits for the stream.
    ///
    /// A run's threads end after its conversations, because only then is every stub known.
    pub(super) async fn serve_runs(
        &mut self,
        key: SliceKey,
        end: &WalkEnd,
    ) -> Result<Option<String>, StoreError> {
        let tenant = self.tenant().0;
        // A walk serves a run that was requested before it began, and that asks for no more than it did.
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
            tenant,
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
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// Takes a blocked or dead stream out of its runs, which end as `partial` at best. Blocked conversations take the
    /// threads with them, because nothing brings their stubs.
    #[tracing::instrument(name = "db.drop_from_runs", level = "debug", skip_all)]
    pub async fn drop_from_runs(
        &mut self,
        key: SliceKey,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // Computed from the row that is updated, and not from a copy of it: another stream may end its part at this
        // moment, and its change must not be undone.
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
            tenant,
            key.connection.0,
            key.stream.as_str(),
            code,
            message,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Fails every open run of a connection that cannot continue.
    pub(super) async fn fail_runs(
        &mut self,
        connection: ConnectionId,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE sync_runs SET status = 'failed', finished_at = now(), pending = '{}', error_code = $3, error_message = $4
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL",
            tenant,
            connection.0,
            code,
            message,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
