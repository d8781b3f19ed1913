//! Carries out pending erasures: right after the request that asked, and by rounds for those that were interrupted.

use std::time::Duration;

use shared::{domain::TenantId, shutdown::Shutdown, store::ApiStore};
use uuid::Uuid;

/// How long a POST waits for its erasure. Most end well within this time, and the answer then comes after the last row.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a process looks for interrupted erasures.
const ROUND_INTERVAL: Duration = Duration::from_secs(30);

/// Starts an erasure that outlives the request, and waits for its end for a while.
pub(crate) async fn start(store: &ApiStore, tenant: TenantId, erasure: Uuid) {
    let store = store.clone();
    let work = tokio::spawn(async move { run(&store, tenant, erasure).await });
    // One that takes longer goes on alone. The contact is gone by now.
    let _ = tokio::time::timeout(PATIENCE, work).await;
}

/// Runs pending erasures until `shutdown`.
pub(crate) async fn rounds(store: ApiStore, shutdown: Shutdown) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(ROUND_INTERVAL))
        .await
        .is_some()
    {
        // It works in short transactions, so it may be dropped between any two of them.
        if shutdown.run_until_cancelled(round(&store)).await.is_none() {
            return;
        }
    }
}

async fn round(store: &ApiStore) {
    match store.pending_erasures().await {
        Ok(pending) => {
            for (tenant, erasure) in pending {
                run(store, tenant, erasure).await;
            }
        }
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the pending erasures could not be read"
        ),
    }
}

async fn run(store: &ApiStore, tenant: TenantId, erasure: Uuid) {
    match store.erase(tenant, erasure).await {
        Ok(()) => tracing::info!(%tenant, %erasure, "erased"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%tenant, %erasure, error, "an erasure was interrupted and will be continued");
        }
    }
}
