//! Purges: the data of a connection is deleted after the end of the connection was answered.

use shared::{
    domain::{ConnectionId, TenantId},
    store::{ApiStore, StoreError},
};

use crate::pending::PendingWork;

/// The purge of a connection.
pub(crate) struct Purge(pub(crate) ConnectionId);

impl PendingWork for Purge {
    const UNREAD: &'static str = "the pending purges could not be read";
    const READ_AGAIN: &'static str = "the pending purges are read again";

    async fn pending(store: &ApiStore) -> Result<Vec<(TenantId, Self)>, StoreError> {
        let pending = store.pending_purges().await?.into_iter();
        Ok(pending.map(|(tenant, id)| (tenant, Self(id))).collect())
    }

    async fn run(self, store: &ApiStore, tenant: TenantId) {
        let connection = self.0;
        match store.purge(tenant, connection).await {
            Ok(()) => tracing::info!(%tenant, %connection, "purged"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%tenant, %connection, error, "a purge was interrupted and will be continued");
            }
        }
    }
}
