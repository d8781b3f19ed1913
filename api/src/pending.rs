//! Work that a request asks for and that may outlive it: purges and erasures.
//!
//! It is recorded in Postgres as pending, so any API process can continue what a restart interrupted.

use std::time::Duration;

use shared::{
    domain::TenantId,
    shutdown::Shutdown,
    store::{ApiStore, StoreError},
    telemetry::Repeats,
};

/// How long a request waits for its work. Most of it ends well within this time, and the answer then comes after the last
/// row.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a process looks for interrupted work.
const ROUND_INTERVAL: Duration = Duration::from_secs(30);

/// One kind of pending work, known by its id.
pub(crate) trait PendingWork: Sized + Send + 'static {
    /// What the log says if the list of it could not be read.
    const UNREAD: &'static str;
    /// What it says once the list can be read again.
    const READ_AGAIN: &'static str;

    /// What is pending in all tenants, the oldest first.
    fn pending(
        store: &ApiStore,
    ) -> impl Future<Output = Result<Vec<(TenantId, Self)>, StoreError>> + Send;

    /// Carries it out, in short transactions. What failed stays pending.
    fn run(self, store: &ApiStore, tenant: TenantId) -> impl Future<Output = ()> + Send;
}

/// Starts work that outlives the request, and waits for its end for a while.
pub(crate) async fn start<W: PendingWork>(store: &ApiStore, tenant: TenantId, work: W) {
    let store = store.clone();
    let running = tokio::spawn(async move { work.run(&store, tenant).await });
    // What takes longer goes on alone. What the request is about is committed by now.
    let _ = tokio::time::timeout(PATIENCE, running).await;
}

/// Carries out pending work until `shutdown`.
pub(crate) async fn rounds<W: PendingWork>(store: ApiStore, shutdown: Shutdown) {
    let failures = Repeats::new();
    while shutdown
        .run_until_cancelled(tokio::time::sleep(ROUND_INTERVAL))
        .await
        .is_some()
    {
        // It works in short transactions, so it may be dropped between any two of them.
        if shutdown
            .run_until_cancelled(round::<W>(&store, &failures))
            .await
            .is_none()
        {
            return;
        }
    }
}

async fn round<W: PendingWork>(store: &ApiStore, failures: &Repeats) {
    match W::pending(store).await {
        Ok(pending) => {
            shared::log_end!(failures.ended(), "{}", W::READ_AGAIN);
            for (tenant, work) in pending {
                work.run(store, tenant).await;
            }
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            shared::log_failure!(failures.failed(error), warn, { error }, "{}", W::UNREAD);
        }
    }
}
