//! Erasures: what an erased person has left is removed after the erasure was answered.

use shared::{
    domain::TenantId,
    store::{ApiStore, StoreError},
};
use uuid::Uuid;

use crate::pending::PendingWork;

/// What is left of an erasure.
pub(crate) struct Erasing(pub(crate) Uuid);

impl PendingWork for Erasing {
    const UNREAD: &'static str = "the pending erasures could not be read";
    const READ_AGAIN: &'static str = "the pending erasures are read again";

    async fn pending(store: &ApiStore) -> Result<Vec<(TenantId, Self)>, StoreError> {
        let pending = store.pending_erasures().await?.into_iter();
        Ok(pending.map(|(tenant, id)| (tenant, Self(id))).collect())
    }

    async fn run(self, store: &ApiStore, tenant: TenantId) {
        let erasure = self.0;
        match store.erase(tenant, erasure).await {
            Ok(()) => tracing::info!(%tenant, %erasure, "erased"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%tenant, %erasure, error, "an erasure was interrupted and will be continued");
            }
        }
    }
}
