//! The indexer: derives search documents behind the commits, beside the jobs.
//!
//! Every worker has one, and none of them is a leader. A slice of a tenant is claimed by a row lock, so a worker that dies
//! leaves it to the next one. Tenants take turns, so that the first sync of a large one keeps no other waiting.

use std::{sync::Arc, time::Duration};

use shared::{
    backoff::Backoff,
    domain::TenantId,
    search::{self, IndexedSlice},
    shutdown::Shutdown,
    store::{ApiStore, StoreError},
    telemetry::{Repeats, RepeatsOf},
};

/// Tenants of one look at the list.
const TENANTS: i32 = 50;
/// Between two looks, if there was nothing to do. It grows while Postgres is away.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Indexer {
    store: ApiStore,
    unlisted: Arc<Repeats>,
    unindexed: Arc<RepeatsOf<TenantId>>,
}

impl Indexer {
    pub(crate) fn new(store: ApiStore) -> Self {
        Self {
            store,
            unlisted: Arc::default(),
            unindexed: Arc::default(),
        }
    }

    /// Indexes until `shutdown`. A slice under way is given up, and another worker does it again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        shutdown.run_until_cancelled(self.rounds()).await;
    }

    async fn rounds(&self) {
        let pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).with_half_jitter();
        let mut failures = 0;
        loop {
            match self.round().await {
                Ok(did_any) => {
                    failures = 0;
                    shared::log_end!(self.unlisted.ended(), "looks for changes to index again");
                    if did_any {
                        continue;
                    }
                }
                Err(error) => {
                    failures += 1;
                    let error = &error as &dyn std::error::Error;
                    shared::log_failure!(
                        self.unlisted.failed(error),
                        warn,
                        { error },
                        "could not look for changes to index"
                    );
                }
            }
            tokio::time::sleep(pause.delay(failures.max(1))).await;
        }
    }

    /// Indexes a slice of each tenant that waits. Returns whether any was indexed.
    async fn round(&self) -> Result<bool, StoreError> {
        let mut did_any = false;
        for tenant in self.store.tenants_to_index(TENANTS).await? {
            let indexed = search::index_slice(&self.store, tenant).await;
            if indexed.is_ok() {
                let ended = self.unindexed.ended(tenant);
                shared::log_end!(ended, { %tenant }, "indexes a tenant's changes again");
            }
            match indexed {
                Ok(Some(IndexedSlice { changes, until, .. })) => {
                    did_any |= changes > 0;
                    metrics::counter!("pathbound_search_indexed_total").increment(changes as u64);
                    let age = (chrono::Utc::now() - until).to_std().unwrap_or_default();
                    if changes > 0 {
                        metrics::gauge!("pathbound_search_delay_seconds").set(age.as_secs_f64());
                    }
                }
                // Another worker is at it.
                Ok(None) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    shared::log_failure!(self.unindexed.failed(tenant, error), warn, { %tenant, error }, "could not index a tenant's changes, and will try again");
                }
            }
        }
        Ok(did_any)
    }
}
