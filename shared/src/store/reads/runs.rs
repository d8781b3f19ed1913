//! Runs: what was requested, and how it ended.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Position;
use crate::{
    domain::{ConnectionId, RunId},
    store::{StoreError, Tx, roles::ReadsStatus},
};

/// One requested run.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: RunId,
    pub mode: String,
    pub streams: Vec<String>,
    /// `queued`, `running`, `succeeded`, `partial`, `failed` or `cancelled`.
    pub status: String,
    pub requested_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counters: Value,
    pub error: Option<RunError>,
}

/// Why a run did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    pub code: String,
    pub message: Option<String>,
}

struct RunRow {
    id: Uuid,
    mode: String,
    streams: Vec<String>,
    status: String,
    requested_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    counters: Value,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl From<RunRow> for Run {
    fn from(row: RunRow) -> Self {
        Self {
            id: RunId(row.id),
            mode: row.mode,
            streams: row.streams,
            status: row.status,
            requested_at: row.requested_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            counters: row.counters,
            error: row.error_code.map(|code| RunError {
                code,
                message: row.error_message,
            }),
        }
    }
}

impl<R: ReadsStatus> Tx<R> {
    /// One run of a connection. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.run", level = "debug", skip_all)]
    pub async fn run(
        &mut self,
        connection: ConnectionId,
        id: RunId,
    ) -> Result<Option<Run>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            RunRow,
            "SELECT id, mode, streams, status, requested_at, started_at, finished_at, counters, error_code, error_message
             FROM sync_runs WHERE tenant_id = $1 AND connection_id = $2 AND id = $3",
            tenant,
            connection.0,
            id.0,
        )
        .fetch_optional(self.session())
        .await?
        .map(Run::from))
    }

    /// The runs of a connection, newest first.
    #[tracing::instrument(name = "db.runs", level = "debug", skip_all)]
    pub async fn runs(
        &mut self,
        connection: ConnectionId,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Run>, StoreError> {
        let tenant = self.tenant().0;
        // Run ids grow with time, so of two runs in one moment the newer one comes first.
        let rows = sqlx::query_as!(
            RunRow,
            "SELECT id, mode, streams, status, requested_at, started_at, finished_at, counters, error_code, error_message
             FROM sync_runs
             WHERE tenant_id = $1 AND connection_id = $2 AND (requested_at, id) < ($3, $4)
             ORDER BY requested_at DESC, id DESC LIMIT $5",
            tenant,
            connection.0,
            before.at,
            before.id,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows.into_iter().map(Run::from).collect())
    }
}
