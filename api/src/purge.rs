//! Purges: the data of a connection is deleted after the end of the connection was answered.
//!
//! A pending purge is recorded in Postgres, so any API process can continue one that a restart
//! interrupted.

use std::time::Duration;

use shared::{
    domain::{ConnectionId, TenantId},
    shutdown::Shutdown,
    store::ApiStore,
};

/// How long a DELETE waits for its purge. Most purges end well within this time, and the answer then
/// comes after the last row.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a process looks for interrupted purges.
const ROUND_INTERVAL: Duration = Duration::from_secs(30);

/// Starts a purge that outlives the request, and waits for its end for a while.
pub(crate) async fn start(store: &ApiStore, tenant: TenantId, connection: ConnectionId) {
    let store = store.clone();
    let purge = tokio::spawn(async move { run(&store, tenant, connection).await });
    // A purge that takes longer goes on alone. The end of the connection is committed by now.
    let _ = tokio::time::timeout(PATIENCE, purge).await;
}

/// Runs pending purges until `shutdown`.
pub(crate) async fn rounds(store: ApiStore, shutdown: Shutdown) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(ROUND_INTERVAL))
        .await
        .is_some()
    {
        // A purge deletes in short transactions, so it may be dropped between any two of them.
        if shutdown.run_until_cancelled(round(&store)).await.is_none() {
            return;
        }
    }
}

async fn round(store: &ApiStore) {
    match store.pending_purges().await {
        Ok(pending) => {
            for (tenant, connection) in pending {
                run(store, tenant, connection).await;
            }
        }
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the pending purges could not be read"
        ),
    }
}

async fn run(store: &ApiStore, tenant: TenantId, connection: ConnectionId) {
    match store.purge(tenant, connection).await {
        Ok(()) => tracing::info!(%tenant, %connection, "purged"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%tenant, %connection, error, "a purge was interrupted and will be continued");
        }
    }
}
