//! Slices: how a worker takes over a stream, and the guard that every write of a slice passes.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Store, StoreError, TenantTx};
use crate::domain::{ConnectionId, Mode, Region, Stream, TenantId};

/// Which work, under which fence: what a lease is to the store.
#[derive(Clone, Copy, Debug)]
pub struct SliceKey {
    pub tenant: TenantId,
    pub connection: ConnectionId,
    pub stream: Stream,
    pub fence: i64,
}

/// What a stream is at, when a slice of it begins.
#[derive(Debug)]
pub struct StreamState {
    pub mode: Mode,
    /// The walk under way, in the stream's own words.
    pub cursor: Option<serde_json::Value>,
    pub watermark: Option<DateTime<Utc>>,
    /// When the last full walk ended.
    pub walked_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    /// How often the walk started over since the last one ended.
    pub restarts: i32,
    pub held: i64,
    pub expected: Option<i64>,
    pub blocked: bool,
    pub connected_at: DateTime<Utc>,
    /// By Postgres' clock: runs requested after this are not served by a walk begun now.
    pub now: DateTime<Utc>,
    pub region: Region,
    pub workspace_id: String,
    pub api_version: String,
    pub active: bool,
    pub sealed_token: Vec<u8>,
}

/// What a slice changed in the proof: rows that are held, and objects known to be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// New to us: held from now on, and known to exist.
    pub inserted: usize,
    /// Put into quarantine: known to exist, and not held as it is now.
    pub quarantined: i64,
    /// Out of quarantine.
    pub healed: i64,
}

/// What a failed attempt leaves of the walk under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The cursor stands: the next slice goes on from it.
    GoesOn,
    /// What the cursor says is kept, but everything is asked for again: a scroll cannot be resumed.
    AsksAgain,
    /// The cursor is worth nothing.
    StartsOver,
}

/// What came of taking over a stream.
#[derive(Debug)]
pub enum Begun {
    /// Ours, as long as nobody comes with a higher fence.
    Yes(Box<StreamState>),
    /// The stream owes nothing now, or no longer exists.
    NothingOwed,
    /// A lease with this fence, not below ours, has begun work already.
    Stale { fence: i64 },
}

impl Store {
    /// Takes over a stream for one slice.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn begin_slice(&self, key: SliceKey) -> Result<Begun, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        let row = sqlx::query!(
            r#"UPDATE streams s SET fence = $4
               FROM connections c, connection_secrets k
               WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3
                 AND s.fence < $4 AND s.due_at <= now()
                 AND c.tenant_id = $1 AND c.id = $2 AND c.state <> 'disconnected'
                 AND k.tenant_id = $1 AND k.connection_id = $2 AND k.purpose = 'access_token'
               RETURNING s.mode, s.cursor, s.watermark, s.walked_at, s.attempts, s.restarts, s.held, s.expected,
                         s.blocked_code IS NOT NULL AS "blocked!", now() AS "now!",
                         c.connected_at, c.region, c.workspace_id, c.api_version, c.state = 'active' AS "active!", k.sealed"#,
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
        )
        .fetch_optional(tx.session())
        .await?;
        let Some(row) = row else {
            let fence = tx.fence(key).await?;
            return Ok(match fence {
                Some(fence) if fence >= key.fence => Begun::Stale { fence },
                _ => Begun::NothingOwed,
            });
        };
        tx.commit().await?;
        let inconsistent = |what: &str| StoreError::Inconsistent { table: "streams", what: what.to_owned() };
        Ok(Begun::Yes(Box::new(StreamState {
            mode: row.mode.parse().map_err(|_| inconsistent(&row.mode))?,
            cursor: row.cursor,
            watermark: row.watermark,
            walked_at: row.walked_at,
            attempts: row.attempts,
            restarts: row.restarts,
            held: row.held,
            expected: row.expected,
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

    /// Failed attempts and restarts of a stream; `None` when the lease is no longer ours.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn tries(&self, key: SliceKey) -> Result<Option<(i32, i32)>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        let row = sqlx::query!(
            "SELECT attempts, restarts FROM streams
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND fence = $4",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
        )
        .fetch_optional(tx.session())
        .await?;
        Ok(row.map(|row| (row.attempts, row.restarts)))
    }

    /// A transaction for this slice's writes.
    ///
    /// The stream's row is locked and its fence compared first, so a worker that lost its lease, or
    /// whose connection was disconnected or reconnected meanwhile (both raise the fence), writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the slice is no longer ours.
    pub async fn begin_fenced(&self, key: SliceKey) -> Result<TenantTx, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }

    /// The same for what changes the connection as a whole: every stream is locked first, in their one
    /// order, so that two slices that both find the token dead do not wait for each other in a ring.
    ///
    /// # Errors
    /// When the slice is no longer ours.
    pub async fn begin_fenced_whole(&self, key: SliceKey) -> Result<TenantTx, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        tx.lock_streams(key.connection).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }
}

impl TenantTx {
    /// Locks the slice's stream and compares the fence: nothing is committed that was written under an older one.
    /// [`Store::begin_fenced`] does it first; who does not must do it before the commit.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the slice is no longer ours.
    pub async fn check_fence(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let ours = sqlx::query_scalar!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND fence = $4 FOR UPDATE",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            key.fence,
        )
        .fetch_optional(self.session())
        .await?;
        if ours.is_none() {
            metrics::counter!("pathbound_fenced_writes_total").increment(1);
            return Err(StoreError::Fenced);
        }
        Ok(())
    }

    /// Locks a connection's streams: the first thing that everything does which changes a connection as
    /// a whole. A slice locks its stream first too and the connection later, so neither waits in a ring.
    /// The order is that of the data, in which a slice makes the stream behind it due.
    pub(super) async fn lock_streams(&mut self, connection: ConnectionId) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let order: Vec<String> = Stream::ALL.iter().map(ToString::to_string).collect();
        sqlx::query!(
            "SELECT stream FROM streams WHERE tenant_id = $1 AND connection_id = $2
             ORDER BY array_position($3::text[], stream) FOR UPDATE",
            tenant,
            connection.0,
            &order,
        )
        .fetch_all(self.session())
        .await?;
        Ok(())
    }

    /// Locks another stream that this transaction may make due: see [`TenantTx::make_due`] for the order.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn lock_stream(&mut self, connection: ConnectionId, stream: Stream) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 FOR UPDATE",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?;
        Ok(())
    }

    async fn fence(&mut self, key: SliceKey) -> Result<Option<i64>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// Saves where the walk is, with what was written: both or neither.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn save_cursor(
        &mut self,
        key: SliceKey,
        cursor: &impl serde::Serialize,
        tally: Tally,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET cursor = nullif($4, 'null'::jsonb), held = held + $5, expected = expected + $5 + $6,
                    attempts = 0, last_error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
            tally.inserted as i64,
            tally.quarantined - tally.healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Saves where the walk is without calling it progress: the attempts stay counted.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn save_place(&mut self, key: SliceKey, cursor: &impl serde::Serialize) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET cursor = $4 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Counts a failed attempt of the stream and says when to try again.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn fail_stream(
        &mut self,
        key: SliceKey,
        error: &str,
        seconds: f64,
        walk: Failed,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET attempts = attempts + 1, last_error = $4, due_at = now() + make_interval(secs => $5),
                    restarts = restarts + CASE WHEN $6 THEN 1 ELSE 0 END,
                    cursor = CASE WHEN $7 THEN NULL ELSE cursor END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            error,
            seconds,
            walk != Failed::GoesOn,
            walk == Failed::StartsOver,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Nothing to do until then (`None`: until somebody makes it due); the walk has not ended.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn rest_stream(&mut self, key: SliceKey, seconds: Option<f64>) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET due_at = now() + make_interval(secs => $4), ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Puts a stream that is being given up among the dead letters; one open letter per stream.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_dead_letter(&mut self, key: SliceKey, cause: &str, attempts: i32) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, connection_id, stream) WHERE resolved_at IS NULL
             DO UPDATE SET cause = excluded.cause, attempts = excluded.attempts, died_at = now()",
            key.tenant.0,
            Uuid::now_v7(),
            key.connection.0,
            key.stream.as_str(),
            cause,
            attempts,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Marks a stream as one that cannot go on now, with a sentence and the next step; it looks again later.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn block_stream(
        &mut self,
        key: SliceKey,
        why: &super::ConnectionError,
        again_in_seconds: f64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET blocked_code = $4, blocked_message = $5, blocked_action = $6,
                    blocked_until = now() + make_interval(secs => $7), due_at = now() + make_interval(secs => $7),
                    attempts = 0, last_error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
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

    /// The token is dead: the connection waits for the customer, and its streams owe nothing, except
    /// the one that looks now and then whether the token works again.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn require_reauth(
        &mut self,
        key: SliceKey,
        state: &str,
        why: &super::ConnectionError,
        probe_in_seconds: f64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE connections SET state = $3, error_code = $4, error_message = $5, error_action = $6
             WHERE tenant_id = $1 AND id = $2",
            key.tenant.0,
            key.connection.0,
            state,
            why.code,
            why.message,
            why.action,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE streams SET due_at = CASE WHEN stream = 'reference' THEN now() + make_interval(secs => $3) END,
                    attempts = 0, last_error = NULL,
                    -- Slices of the others that are under way would make their streams due again.
                    fence = fence + CASE WHEN stream = $4 THEN 0 ELSE 1 END
             WHERE tenant_id = $1 AND connection_id = $2",
            key.tenant.0,
            key.connection.0,
            probe_in_seconds,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE sync_runs SET status = 'failed', finished_at = now(), pending = '{}', error_code = $3, error_message = $4
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL",
            key.tenant.0,
            key.connection.0,
            why.code,
            why.message,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The token works again: everything is due.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn revive_connection(&mut self, key: SliceKey) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE connections SET state = 'active', error_code = NULL, error_message = NULL, error_action = NULL
             WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'",
            key.tenant.0,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE tenant_id = $1 AND connection_id = $2",
            key.tenant.0,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes another stream of the connection due now: its backlog is being added to.
    ///
    /// Called last where that stream's slices write the same rows and lock their stream last too (threads). The row
    /// is written even when it is due already: that waits for a slice that is about to find its backlog empty, and
    /// undoes the "owes nothing" it then wrote.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn make_due(&mut self, connection: ConnectionId, stream: Stream) -> Result<(), StoreError> {
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
}
