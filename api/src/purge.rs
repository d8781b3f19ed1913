//! Purges: what a connection brought is deleted after its end was answered. They are owed in Postgres,
//! so one that a restart interrupts is taken up again by any API process.

use std::time::Duration;

use shared::{
    domain::{ConnectionId, TenantId},
    shutdown::Shutdown,
    store::ApiStore,
};

/// How long a DELETE waits for its purge: most end well within, and the answer then finds them done.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often interrupted purges are looked for.
const ROUND: Duration = Duration::from_secs(30);

/// Begins a purge that outlives the request, and waits for its end for a while.
pub(crate) async fn begin(store: &ApiStore, tenant: TenantId, connection: ConnectionId) {
    let store = store.clone();
    let purge = tokio::spawn(async move { run(&store, tenant, connection).await });
    // Still running after that is fine: the end of the connection is committed, the rest is owed.
    let _ = tokio::time::timeout(PATIENCE, purge).await;
}

/// Takes up owed purges until `shutdown`.
pub(crate) async fn rounds(store: ApiStore, shutdown: Shutdown) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(ROUND))
        .await
        .is_some()
    {
        match store.pending_purges().await {
            Ok(owed) => {
                for (tenant, connection) in owed {
                    if shutdown
                        .run_until_cancelled(run(&store, tenant, connection))
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "owed purges could not be read"
            ),
        }
    }
}

async fn run(store: &ApiStore, tenant: TenantId, connection: ConnectionId) {
    match store.purge(tenant, connection).await {
        Ok(()) => tracing::info!(%tenant, %connection, "purged"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%tenant, %connection, error, "a purge was interrupted: it is taken up again");
        }
    }
}
