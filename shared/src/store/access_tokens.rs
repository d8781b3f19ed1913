//! Sealed access tokens. Only workers and the OAuth path may read them, and only as sealed bytes.

use super::{
    Store, StoreError, Tx,
    roles::{Api, Oauth, Worker},
};
use crate::domain::{ConnectionId, Region, TenantId};

impl Tx<Oauth> {
    /// Stores a connection's sealed token in place of any older one.
    #[tracing::instrument(name = "db.put_access_token", level = "debug", skip_all)]
    pub async fn put_access_token(
        &mut self,
        connection: ConnectionId,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO connection_secrets (tenant_id, connection_id, purpose, sealed)
             VALUES ($1, $2, 'access_token', $3)
             ON CONFLICT (tenant_id, connection_id, purpose) DO UPDATE SET sealed = EXCLUDED.sealed, sealed_at = now()",
            tenant,
            connection.0,
            sealed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Store<Worker> {
    /// A connection's sealed token, and the region where it is valid.
    #[tracing::instrument(name = "db.sealed_token", level = "debug", skip_all)]
    pub async fn sealed_token(
        &self,
        tenant: TenantId,
        id: ConnectionId,
    ) -> Result<Option<(Region, Vec<u8>)>, StoreError> {
        // A transaction for one read, because row-level security needs the tenant in one.
        let mut tx = self.begin(tenant).await?;
        let tenant = tx.tenant().0;
        let row = sqlx::query!(
            r#"SELECT c.region AS "region!", k.sealed FROM connections c
             JOIN connection_secrets k ON k.tenant_id = c.tenant_id AND k.connection_id = c.id
             WHERE c.tenant_id = $1 AND c.id = $2 AND k.purpose = 'access_token'"#,
            tenant,
            id.0,
        )
        .fetch_optional(tx.session())
        .await?;
        row.map(|row| {
            let region = row.region.parse().map_err(|_| StoreError::Inconsistent {
                table: "connections",
                what: row.region.clone(),
            })?;
            Ok((region, row.sealed))
        })
        .transpose()
    }
}

impl Tx<Api> {
    pub(super) async fn delete_tokens(
        &mut self,
        connection: ConnectionId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM connection_secrets WHERE tenant_id = $1 AND connection_id = $2",
            tenant,
            connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
