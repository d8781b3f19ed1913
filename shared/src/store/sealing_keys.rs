//! Which key of the ring sealed what, and which tokens another key than the first one sealed.

use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    roles::{Oauth, Operator},
};
use crate::domain::{ConnectionId, TenantId};

/// What one key has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKey {
    /// As the blobs name it. A damaged blob may name anything.
    pub kid: String,
    /// Access tokens.
    pub tokens: i64,
    /// Stored answers to calls with an idempotency key. They are kept for a day.
    pub answers: i64,
}

impl Store<Operator> {
    /// Every key that has sealed something that is stored, by its id.
    #[tracing::instrument(name = "db.sealing_keys", level = "debug", skip_all)]
    pub async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        Ok(sqlx::query_as!(
            SealingKey,
            r#"SELECT kid AS "kid!", tokens AS "tokens!", answers AS "answers!" FROM sealing_keys()"#,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// Connections whose token another key than this one sealed, in a fixed order, after the given one.
    #[tracing::instrument(name = "db.tokens_of_other_keys", level = "debug", skip_all)]
    pub async fn tokens_of_other_keys(
        &self,
        kid: &str,
        after: Option<(TenantId, ConnectionId)>,
        limit: i32,
    ) -> Result<Vec<(TenantId, ConnectionId)>, StoreError> {
        let (tenant, connection) = after.map_or((Uuid::nil(), Uuid::nil()), |(t, c)| (t.0, c.0));
        let mut tx = self.begin_for_all().await?;
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!"
               FROM tokens_of_other_keys($1, $2, $3, $4)"#,
            kid,
            tenant,
            connection,
            limit,
        )
        .fetch_all(tx.session())
        .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| (TenantId(row.tenant_id), ConnectionId(row.connection_id)))
            .collect())
    }
}

impl Tx<Oauth> {
    /// A connection's sealed token, which nobody else replaces until this transaction ends. `None` if the connection has
    /// none, as after its end.
    #[tracing::instrument(name = "db.lock_access_token", level = "debug", skip_all)]
    pub async fn lock_access_token(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT sealed FROM connection_secrets
             WHERE tenant_id = $1 AND connection_id = $2 AND purpose = 'access_token' FOR UPDATE",
            tenant,
            connection.0,
        )
        .fetch_optional(self.session())
        .await?)
    }
}
