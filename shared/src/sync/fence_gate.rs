//! The gate before Intercom calls: a slice that lost its lease makes no more calls.
//!
//! Writes are fenced by their own transactions. Calls are not, and a slice may make hundreds. A call therefore
//! re-checks the fence first, if the last check is older than [`FENCE_RECHECK_INTERVAL`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;
use tracing::Instrument as _;

use super::{Context, SliceFailures};
use crate::{
    intercom::Gate,
    store::{SliceKey, WorkerStore},
};

/// A slice in flight may start a call up to this long after a disconnect. `disconnect` must therefore wait longer
/// than this before it reports success.
pub const FENCE_RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// When the last check found the slice in possession of its lease. `None` once it has lost it.
type CheckedAt = Arc<Mutex<Option<Instant>>>;

/// The gate before the calls of a slice that has just begun.
pub(super) fn gate(ctx: &Context, key: SliceKey) -> Gate {
    let (store, failures) = (ctx.store.clone(), Arc::clone(&ctx.failures));
    let checked_at: CheckedAt = Arc::new(Mutex::new(Some(Instant::now())));
    Gate::new(move || {
        let (store, checked_at) = (store.clone(), Arc::clone(&checked_at));
        let failures = Arc::clone(&failures);
        Box::pin(async move {
            // Another check under way holds the lock, and this call then shares it.
            if let Some(is_open) = checked_at.try_lock().ok().and_then(|at| known(*at)) {
                return is_open;
            }
            // A task of its own, because nothing polls the calls of a slice while the slice stores. A call that got a
            // session of the pool then would neither use it nor give it back, and the slice may wait for that session.
            let check = check(store, key, checked_at, failures).in_current_span();
            tokio::spawn(check).await.unwrap_or(false)
        })
    })
}

/// What the last check has found. `None` if it is too old.
fn known(checked_at: Option<Instant>) -> Option<bool> {
    match checked_at {
        None => Some(false),
        Some(at) => (at.elapsed() < FENCE_RECHECK_INTERVAL).then_some(true),
    }
}

async fn check(
    store: WorkerStore,
    key: SliceKey,
    checked_at: CheckedAt,
    failures: Arc<SliceFailures>,
) -> bool {
    // The lock is kept during the check, so that concurrent calls share one check.
    let mut checked_at = checked_at.lock().await;
    if known(*checked_at).is_none() {
        let now = Instant::now();
        match store.is_ours(key).await {
            Ok(ours) => *checked_at = ours.then_some(now),
            // Postgres being away ends no connection, and the slice's next write fails by itself.
            Err(error) => failures.postgres_failed(&error, "could not check the slice's fence"),
        }
    }
    checked_at.is_some()
}
