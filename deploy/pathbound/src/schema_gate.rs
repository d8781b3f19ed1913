//! Slices and ticks begin only on a schema that fits the build.

use std::time::Duration;

use shared::{
    shutdown::Shutdown,
    store::{NotReady, Store, roles::DbRole},
};

/// Between two looks at the schema, while a rollout migrates it.
const INTERVAL: Duration = Duration::from_secs(2);

/// Returns when the schema is that of this build or a newer one, or at the shutdown. `beat` is called with each look.
///
/// It waits and does not fail, because `pathbound migrate` may run at this moment, and a slice that fails on an old
/// schema would count as an attempt of a healthy tenant.
pub(crate) async fn until_open<R: DbRole>(store: Store<R>, shutdown: Shutdown, beat: impl Fn()) {
    let mut reported = String::new();
    loop {
        beat();
        match store.readiness().await {
            Err(reason @ (NotReady::OldSchema { .. } | NotReady::Role { .. })) => {
                let reason = reason.to_string();
                if reason != reported {
                    tracing::warn!(%reason, "waiting for the schema");
                    reported = reason;
                }
            }
            // Every transaction waits on its own for a server that is away.
            Ok(()) | Err(_) => return,
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
