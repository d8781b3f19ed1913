//! The fence of a slice, and the order in which streams are locked.
//!
//! Every claim, reconnect and disconnect raises `streams.fence`. A transaction that finds another fence than its
//! slice's own writes nothing.

use crate::{
    domain::{ConnectionId, Stream},
    store::{
        SliceKey, Store, StoreError, Tx,
        roles::{Api, LocksStreams, Worker},
    },
};

impl Store<Worker> {
    /// Whether the slice still holds its stream. Takes no lock, so every write has to compare the fence again.
    #[tracing::instrument(name = "db.is_ours", level = "debug", skip_all)]
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
    /// The stream's row is locked and its fence compared first. A worker that lost its lease, or whose connection was
    /// disconnected or reconnected meanwhile, therefore writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the slice is no longer ours.
    #[tracing::instrument(name = "db.begin_fenced", level = "debug", skip_all)]
    pub async fn begin_fenced(&self, key: SliceKey) -> Result<Tx<Worker>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }

    /// The same for a change of the whole connection: every stream is locked first, in their one order. Two slices
    /// that both find the token dead then do not deadlock.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the slice is no longer ours.
    #[tracing::instrument(name = "db.begin_fenced_connection", level = "debug", skip_all)]
    pub async fn begin_fenced_connection(&self, key: SliceKey) -> Result<Tx<Worker>, StoreError> {
        let mut tx = self.begin(key.tenant).await?;
        // Before our own stream's lock, which the next call takes again for free.
        tx.lock_streams(key.connection).await?;
        tx.check_fence(key).await?;
        Ok(tx)
    }
}

impl Tx<Worker> {
    /// Locks the slice's stream and compares the fence. [`Store::begin_fenced`] does it first. A transaction that was
    /// begun without it has to do it before the commit.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the slice is no longer ours.
    #[tracing::instrument(name = "db.check_fence", level = "debug", skip_all)]
    pub async fn check_fence(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // The lock lasts until the commit, so no claim, reconnect or disconnect can raise the fence in between.
        let ours = sqlx::query_scalar!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND fence = $4 FOR UPDATE",
            tenant,
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

    /// Locks another stream that this transaction may make due. See [`Tx::make_due`] for the order.
    #[tracing::instrument(name = "db.lock_stream", level = "debug", skip_all)]
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

    pub(super) async fn fence(&mut self, key: SliceKey) -> Result<Option<i64>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_optional(self.session())
        .await?)
    }
}

impl Tx<Api> {
    /// Keeps every slice from writing contacts of the tenant.
    pub(in crate::store) async fn lock_contact_streams(&mut self) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND stream = 'contacts' ORDER BY connection_id FOR UPDATE",
            tenant,
        )
        .fetch_all(self.session())
        .await?;
        Ok(())
    }

    /// Keeps slices from writing stubs of a connection.
    pub(in crate::store) async fn lock_conversation_stream(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT fence FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'conversations' FOR UPDATE",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(())
    }
}

impl<R: LocksStreams> Tx<R> {
    /// Locks a connection's streams. Every change of a whole connection does this first. A slice also locks its stream
    /// before the connection, so the two cannot deadlock.
    pub(in crate::store) async fn lock_streams(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // The order of the data, because a slice holds its own stream when it makes the one behind it due.
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
