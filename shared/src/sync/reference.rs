//! Reference data on its slow timer: the names behind ids, deleted conversations, and whether the token still works.

use super::{
    SliceError, SliceOutcome, audit, block_messages, deleted_conversations::mark_deleted,
    reference_lists::read_lists, reference_walk::ReferenceWalk, slice::SliceContext,
};
use crate::{
    domain::{Mode, Stream, Verdict},
    intercom::{Endpoint, Version, wire::ReferenceKind},
    store::{ProofDelta, WalkEnd},
};

/// Works one slice: every list, the deleted conversations, and the audit if it is due.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "reference", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut also_due = Vec::new();
    if !cx.state.active {
        // The connection waits for the customer. If the token works again, it becomes active by itself.
        cx.workspace.read(&Endpoint::Me).await?;
        // Every stream of the connection changes, so all are locked in their one order.
        let mut tx = cx.begin_connection().await?;
        tx.revive_connection(cx.key).await?;
        tx.commit().await?;
        also_due.extend(
            Stream::ALL
                .iter()
                .copied()
                .filter(|stream| *stream != Stream::Reference),
        );
    }
    // The order matters: the lists tell whether the token works, and the audit is the most costly.
    let mut walk = open_walk(cx).await?;
    read_lists(cx, &mut walk).await?;
    mark_deleted(cx, &mut walk).await?;
    also_due.extend(audit(cx, &mut walk).await?);
    end(cx, walk).await?;
    Ok(SliceOutcome::from(Verdict::Done).with_due(also_due))
}

async fn open_walk(cx: &SliceContext<'_>) -> Result<ReferenceWalk, SliceError> {
    if let Some(walk) = cx.saved_walk() {
        return Ok(walk);
    }
    let mut tx = cx.begin().await?;
    tx.start_runs(cx.key).await?;
    tx.commit().await?;
    Ok(ReferenceWalk {
        begun_at: cx.state.now,
        started_at: None,
        done: Vec::new(),
        refused: Vec::new(),
        page: Some(1),
        deletions: cx.workspace.version() >= Version::V2_16,
        audit: None,
    })
}

/// Runs the daily [`audit`]. Returns the streams that it made due.
async fn audit(cx: &SliceContext<'_>, walk: &mut ReferenceWalk) -> Result<Vec<Stream>, SliceError> {
    let key = cx.key;
    if walk.audit.is_none() {
        walk.audit = audit::begin(cx).await?;
    }
    loop {
        let Some(progress) = &mut walk.audit else {
            return Ok(Vec::new());
        };
        let Some(mut tx) = audit::read_thread(cx, progress).await? else {
            return audit::end(cx, progress.found).await;
        };
        tx.save_cursor(key, walk, ProofDelta::default()).await?;
        tx.commit().await?;
    }
}

async fn end(cx: &SliceContext<'_>, walk: ReferenceWalk) -> Result<(), SliceError> {
    let key = cx.key;
    let intervals = &cx.config().intervals;
    let mut refused = walk.refused;
    // The `conversations` stream reports a missing plan or scope of its own.
    refused.retain(|kind| *kind != ReferenceKind::ConversationAttribute);
    let mut tx = cx.begin().await?;
    if refused.is_empty() {
        // Every list was read, so an object that is no longer unreadable is either stored or gone.
        tx.forget_quarantine(key.connection, "reference", walk.begun_at)
            .await?;
        tx.end_walk(
            key,
            &WalkEnd {
                mode: cx.state.mode.max(Mode::Full),
                begun_at: walk.begun_at,
                // For the deleted conversations, the only list that is read by time.
                watermark: walk
                    .deletions
                    .then(|| cx.watermark(walk.started_at.unwrap_or(walk.begun_at))),
                overlap_probe: None,
                full: true,
                missing: None,
                next_in_seconds: SliceContext::every(intervals.reference),
            },
        )
        .await?;
    } else {
        let why = block_messages::missing_lists(&refused);
        tx.drop_from_runs(key, &why.code, &why.message).await?;
        tx.save_cursor(key, &serde_json::Value::Null, ProofDelta::default())
            .await?;
        tx.block_stream(key, &why, intervals.reference.as_secs_f64())
            .await?;
    }
    tx.commit().await?;
    Ok(())
}
