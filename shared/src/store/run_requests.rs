//! Asking for a run: what `POST /v1/connections/{id}/syncs` writes.

use super::{ConnectionState, StoreError, Tx, reads::Run, roles::Api};
use crate::domain::{ConnectionId, Mode, RunId, Stream};

/// What became of the request.
#[derive(Clone, Debug)]
pub enum RunRequest {
    /// A new run; its streams are due now.
    Queued(Run),
    /// An equal run (mode and streams) is not finished yet: this one.
    AlreadyActive(Run),
    /// The connection does not sync.
    NotActive(ConnectionState),
}

impl Tx<Api> {
    /// Asks for a run over `streams`. `None` for an unknown or foreign connection.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn request_run(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        streams: &[Stream],
    ) -> Result<Option<RunRequest>, StoreError> {
        let tenant = self.tenant().0;
        // Makes two equal requests at once one run, and holds a disconnect off until we commit.
        self.lock_streams(connection).await?;
        let Some(found) = self.connection(connection).await? else {
            return Ok(None);
        };
        if found.state != ConnectionState::Active {
            return Ok(Some(RunRequest::NotActive(found.state)));
        }

        let names: Vec<String> = streams.iter().map(ToString::to_string).collect();
        let equal = sqlx::query_scalar!(
            "SELECT id FROM sync_runs
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL
               AND mode = $3 AND streams @> $4 AND streams <@ $4
             ORDER BY requested_at LIMIT 1",
            tenant,
            connection.0,
            mode.as_str(),
            &names,
        )
        .fetch_optional(self.session())
        .await?;
        if let Some(run) = equal {
            // Somebody asks again: what waits for its next attempt tries now.
            sqlx::query!(
                "UPDATE streams SET due_at = least(due_at, now()), ticketed_at = NULL
                 WHERE tenant_id = $1 AND connection_id = $2 AND stream = ANY($3) AND attempts > 0",
                tenant,
                connection.0,
                &names,
            )
            .execute(self.session())
            .await?;
            return Ok(self
                .run(connection, RunId(run))
                .await?
                .map(RunRequest::AlreadyActive));
        }

        let id = RunId::new();
        sqlx::query!(
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status)
             VALUES ($1, $2, $3, $4, $5, $5, 'queued')",
            tenant,
            id.0,
            connection.0,
            mode.as_str(),
            &names,
        )
        .execute(self.session())
        .await?;
        // The strongest of what is owed stays owed, or a run that asked for more would never be served.
        sqlx::query!(
            "UPDATE streams
             SET due_at = now(), ticketed_at = NULL,
                 mode = CASE WHEN 'reconcile' IN (mode, $4) THEN 'reconcile' WHEN 'full' IN (mode, $4) THEN 'full'
                             ELSE 'incremental' END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = ANY($3)",
            tenant,
            connection.0,
            &names,
            mode.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(self.run(connection, id).await?.map(RunRequest::Queued))
    }
}
