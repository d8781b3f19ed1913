//! Slices: how a worker takes over a stream, and the guard that every write of a slice passes.

use chrono::{DateTime, Utc};

use super::{
    Store, StoreError, Tx,
    roles::{LocksStreams, Worker},
};
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
    /// A change before the watermark that a search by seconds has to show again.
    pub witness: Option<DateTime<Utc>>,
    /// When the last full walk ended.
    pub walked_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    /// How often the walk started over since the last one ended.
    pub restarts: i32,
    pub held: i64,
    pub expected: Option<i64>,
    /// The last full walk did not show something that is held: a second look decides.
    pub absent: bool,
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

impl Store<Worker> {
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
               RETURNING s.mode, s.cursor, s.watermark, s.witness, s.walked_at, s.attempts, s.restarts, s.held, s.expected,
                         EXISTS (SELECT FROM absences a WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3 AND a.walks = 1) AS "absent!",
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
        let inconsistent = |what: &str| StoreError::Inconsistent {
            table: "streams",
            what: what.to_owned(),
        };
        Ok(Begun::Yes(Box::new(StreamState {
            mode: row.mode.parse().map_err(|_| inconsistent(&row.mode))?,
            cursor: row.cursor,
            watermark: row.watermark,
            witness: row.witness,
            walked_at: row.walked_at,
            attempts: row.attempts,
            restarts: row.restarts,
            held: row.held,
            expected: row.expected,
            absent: row.absent,
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

    /// Whether the slice is still ours: nobody has begun it anew, and its connection has not ended. Locks nothing;
    /// what is written has to compare the fence itself.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn is_ours(&self, key: SliceKey) -> Result<bool, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        let ours = tx.fence(key).await? == Some(key.fence);
        if !ours {
            metrics::counter!("pathbound_fenced_writes_total").increment(1);
        }
        Ok(ours)
    }

    /// A transaction for this slice's writes.
    ///
    /// The stream's row is locked and its fence compared first, so a worker that lost its lease, or
    /// whose connection was disconnected or reconnected meanwhile (both raise the fence), writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the slice is no longer ours.
    pub async fn begin_fenced(&self, key: SliceKey) -> Result<Tx<Worker>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }

    /// The same for what changes the connection as a whole: every stream is locked first, in their one
    /// order, so that two slices that both find the token dead do not wait for each other in a ring.
    ///
    /// # Errors
    /// When the slice is no longer ours.
    pub async fn begin_fenced_whole(&self, key: SliceKey) -> Result<Tx<Worker>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        tx.lock_streams(key.connection).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }
}

impl Tx<Worker> {
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
}

impl<R: LocksStreams> Tx<R> {
    /// Locks a connection's streams: the first thing that everything does which changes a connection as
    /// a whole. A slice locks its stream first too and the connection later, so neither waits in a ring.
    /// The order is that of the data, in which a slice makes the stream behind it due.
    pub(super) async fn lock_streams(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
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
}

impl Tx<Worker> {
    /// Locks another stream that this transaction may make due: see [`Tx::make_due`] for the order.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn lock_stream(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<(), StoreError> {
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
}
