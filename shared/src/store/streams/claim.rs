//! How a worker takes over a stream for one slice.

use chrono::{DateTime, Utc};

use crate::{
    domain::{ConnectionId, Mode, Region, Stream, TenantId},
    store::{Store, StoreError, roles::Worker},
};

/// A slice's work and its fence: what a lease is to the store.
#[derive(Clone, Copy, Debug)]
pub struct SliceKey {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub stream: Stream,
    pub fence: i64,
}

/// The result of claiming a stream.
#[derive(Debug)]
pub enum StreamClaim {
    /// The slice may work until a lease with a higher fence claims the stream.
    Acquired(Box<ClaimedStream>),
    /// The stream is not due, or no longer exists.
    NotDue,
    /// A lease with this fence, which is not below ours, has begun work already.
    Stale { fence: i64 },
}

/// A stream and its connection at the time of the claim.
#[derive(Debug)]
pub struct ClaimedStream {
    pub mode: Mode,
    /// The walk under way, as the stream's job serialised it.
    pub cursor: Option<serde_json::Value>,
    pub watermark: Option<DateTime<Utc>>,
    /// A change before the watermark that a search by seconds has to show again.
    pub overlap_probe: Option<DateTime<Utc>>,
    /// When the last full walk ended.
    pub walked_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    /// How often the walk started over since the last one ended.
    pub restarts: i32,
    pub held: i64,
    pub expected: Option<i64>,
    /// The last full walk did not show an object that is stored, so the next one comes sooner.
    pub absent: bool,
    /// Objects are stored that the last full walks did not show.
    pub has_absences: bool,
    /// Objects of the stream are in quarantine, or set aside.
    pub has_quarantine: bool,
    /// A record is set aside that only a full walk can read, and its next try is due.
    pub is_walk_retry_due: bool,
    /// A requested run waits for the stream.
    pub has_open_run: bool,
    /// How many workers in a row died after they had taken the stream over. One too many if the first of them had not.
    pub crashes: u32,
    pub blocked: bool,
    pub connected_at: DateTime<Utc>,
    /// By Postgres' clock. A walk that begins now does not serve runs that are requested later.
    pub now: DateTime<Utc>,
    pub region: Region,
    pub workspace_id: String,
    pub api_version: String,
    pub active: bool,
    pub sealed_token: Vec<u8>,
}

impl Store<Worker> {
    /// Takes over a stream for one slice, and raises its fence. `crashes` is the number of workers in a row that died with
    /// the slice leased, whether they had taken it over or not.
    #[tracing::instrument(name = "db.claim_stream", level = "debug", skip_all)]
    pub async fn claim_stream(
        &self,
        key: SliceKey,
        crashes: u32,
    ) -> Result<StreamClaim, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        let tenant = tx.tenant().0;
        // One statement reads everything that a slice needs. Its `fence < $4` makes the claim atomic, because of two
        // workers with the same ticket the second one waits for the row and then no longer matches.
        let row = sqlx::query!(
            r#"UPDATE streams s SET fence = $4, begun = CASE WHEN $6 THEN s.begun + 1 ELSE 1 END
               FROM connections c, connection_secrets k
               WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3
                 AND s.fence < $4 AND s.due_at <= now()
                 AND c.tenant_id = $1 AND c.id = $2 AND c.state <> 'disconnected'
                 AND k.tenant_id = $1 AND k.connection_id = $2 AND k.purpose = 'access_token'
               RETURNING s.begun, s.mode, s.cursor, s.watermark, s.overlap_probe, s.walked_at, s.attempts, s.restarts, s.held, s.expected,
                         EXISTS (SELECT FROM absences a WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3 AND a.walks = 1) AS "absent!",
                         EXISTS (SELECT FROM absences a WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3) AS "has_absences!",
                         EXISTS (SELECT FROM quarantine q WHERE q.tenant_id = $1 AND q.connection_id = $2 AND q.kind = $5
                                    AND q.resolved_at IS NULL) AS "has_quarantine!",
                         EXISTS (SELECT FROM quarantine q WHERE q.tenant_id = $1 AND q.connection_id = $2 AND q.kind = $5
                                    AND q.retry = 'walk' AND q.resolved_at IS NULL AND q.next_try_at <= now()) AS "walk_retry!",
                         EXISTS (SELECT FROM sync_runs r WHERE r.tenant_id = $1 AND r.connection_id = $2
                                    AND r.finished_at IS NULL AND $3 = ANY (r.pending)) AS "has_run!",
                         s.blocked_code IS NOT NULL AS "blocked!", now() AS "now!",
                         c.connected_at, c.region AS "region!", c.workspace_id, c.api_version AS "api_version!", c.state = 'active' AS "active!", k.sealed"#,
            tenant,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
            key.stream.noun(),
            crashes > 0,
        )
        .fetch_optional(tx.session())
        .await?;
        let Some(row) = row else {
            // No row matched: the fence tells a stale lease from a stream that is simply not due.
            let fence = tx.fence(key).await?;
            return Ok(match fence {
                Some(fence) if fence >= key.fence => StreamClaim::Stale { fence },
                _ => StreamClaim::NotDue,
            });
        };
        tx.commit().await?;
        let inconsistent = |what: &str| StoreError::Inconsistent {
            table: "streams",
            what: what.to_owned(),
        };
        Ok(StreamClaim::Acquired(Box::new(ClaimedStream {
            mode: row.mode.parse().map_err(|_| inconsistent(&row.mode))?,
            cursor: row.cursor,
            watermark: row.watermark,
            overlap_probe: row.overlap_probe,
            walked_at: row.walked_at,
            attempts: row.attempts,
            restarts: row.restarts,
            held: row.held,
            expected: row.expected,
            absent: row.absent,
            has_absences: row.has_absences,
            has_quarantine: row.has_quarantine,
            is_walk_retry_due: row.walk_retry,
            has_open_run: row.has_run,
            // This slice has begun as well.
            crashes: crashes.min((row.begun - 1).unsigned_abs()),
            blocked: row.blocked,
            connected_at: row.connected_at,
            now: row.now,
            region: row.region.parse().map_err(|_| inconsistent(&row.region))?,
            workspace_id: row.workspace_id,
            api_version: row.api_version,
            active: row.active,
            sealed_token: row.sealed,
        })))
    }

    /// Failed attempts and restarts of a stream. `None` if the lease is no longer ours.
    #[tracing::instrument(name = "db.tries", level = "debug", skip_all)]
    pub async fn tries(&self, key: SliceKey) -> Result<Option<(i32, i32)>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        let tenant = tx.tenant().0;
        let row = sqlx::query!(
            "SELECT attempts, restarts FROM streams
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND fence = $4",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
        )
        .fetch_optional(tx.session())
        .await?;
        Ok(row.map(|row| (row.attempts, row.restarts)))
    }
}
