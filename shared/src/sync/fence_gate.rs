//! Whether a slice is still ours: nobody calls Intercom for a connection that has ended.
//!
//! What is written is fenced by itself; a call is not, and a slice may make hundreds. So the fence is looked at
//! before a call, when it was not for [`FENCE_RECHECK_INTERVAL`]: between two commits, and while a permit was waited for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{
    intercom::Gate,
    store::{SliceKey, WorkerStore},
};

/// A call may begin for so long after a disconnect, by a slice that was under way. Whoever promises that none will
/// waits for longer than this first.
pub const FENCE_RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The gate before the calls of a slice that has just begun.
pub(super) fn gate(store: &WorkerStore, key: SliceKey) -> Gate {
    let store = store.clone();
    // `None`: it is not ours any more.
    let seen = Arc::new(Mutex::new(Some(Instant::now())));
    Gate::new(move || {
        let (store, seen) = (store.clone(), Arc::clone(&seen));
        Box::pin(async move {
            // One looks, and who comes meanwhile waits for what it sees.
            let mut seen = seen.lock().await;
            if seen.is_some_and(|at| at.elapsed() >= FENCE_RECHECK_INTERVAL) {
                let now = Instant::now();
                match store.is_ours(key).await {
                    Ok(ours) => *seen = ours.then_some(now),
                    // The store has an error of its own for whoever writes; until then nothing is known to have ended.
                    Err(error) => {
                        tracing::warn!(%error, "could not look whether the slice is still ours");
                    }
                }
            }
            seen.is_some()
        })
    })
}
