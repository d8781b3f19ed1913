//! What follows from the end of a large first walk for Postgres' statistics.

use super::slice::SliceContext;

/// Has Postgres analyze the tables that the walk has filled, if it was the stream's first one and has shown enough
/// objects. It is called after the commit, so that it holds no lock of the stream, and once for each walk. Nothing
/// depends on it, so a failure is only logged.
pub(super) async fn analyze_after(cx: &SliceContext<'_>, shown: i64) {
    let is_first = cx.state.walked_at.is_none();
    if !is_first || shown < i64::from(cx.config().analyze_threshold) {
        return;
    }
    let store = &cx.ctx.store;
    match store.analyze_filled(cx.key.tenant, cx.key.stream).await {
        Ok(()) => tracing::info!(shown, "analyzed the tables that a first walk has filled"),
        Err(error) => {
            tracing::warn!(%error, "could not analyze the tables that a first walk has filled");
        }
    }
}
