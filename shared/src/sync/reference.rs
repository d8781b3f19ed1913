//! Reference data on its slow timer: the names behind ids, deleted conversations, and whether the token still works.

use super::{
    SliceError, SliceOutcome, audit, deleted_conversations::mark_deleted,
    reference_lists::read_lists, reference_walk::ReferenceWalk, slice::SliceContext,
};
use crate::{
    domain::{Mode, Stream, Verdict},
    intercom::{Endpoint, Version},
    store::WalkEnd,
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
    // The order matters: the lists tell whether the token works, and the audit is the most costly. Each part goes on if
    // an earlier one failed.
    let mut walk = open_walk(cx).await?;
    let mut trouble = read_lists(cx, &mut walk).await?;
    let deletions = mark_deleted(cx, &mut walk).await;
    trouble.of_part("the list of deleted conversations", deletions)?;
    let audited = audit(cx, &mut walk).await;
    also_due.extend(
        trouble
            .of_part("the audit's sample", audited)?
            .unwrap_or_default(),
    );
    if walk.interrupted {
        // What was read is saved. A part that failed is asked for again with the rest.
        return Ok(SliceOutcome::from(Verdict::Requeue).with_due(also_due));
    }
    let outcome = SliceOutcome::from(Verdict::Done).with_due(also_due);
    match trouble.into_error(&walk) {
        None => {
            end(cx, walk).await?;
            Ok(outcome)
        }
        Some(error) => {
            // The next slice asks only for what failed.
            walk.stuck = true;
            cx.save_cursor_only(&walk).await?;
            Err(error)
        }
    }
}

async fn open_walk(cx: &SliceContext<'_>) -> Result<ReferenceWalk, SliceError> {
    if let Some(walk) = cx.saved_walk::<ReferenceWalk>()
        && !is_outdated(cx, &walk)
    {
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
        stuck: false,
        interrupted: false,
    })
}

/// Whether a part of the walk has failed for so long that the other parts are due again.
fn is_outdated(cx: &SliceContext<'_>, walk: &ReferenceWalk) -> bool {
    let age = (cx.state.now - walk.begun_at).to_std().unwrap_or_default();
    walk.stuck && age >= cx.config().intervals.reference
}

/// Runs the daily [`audit`]. Returns the streams that it made due.
async fn audit(cx: &SliceContext<'_>, walk: &mut ReferenceWalk) -> Result<Vec<Stream>, SliceError> {
    let key = cx.key;
    if walk.stops_here(cx) {
        return Ok(Vec::new());
    }
    if walk.audit.is_none() {
        walk.audit = audit::begin(cx).await?;
    }
    loop {
        let Some(progress) = &mut walk.audit else {
            return Ok(Vec::new());
        };
        let Some(mut tx) = audit::read_thread(cx, progress).await? else {
            return audit::end(cx, progress).await;
        };
        tx.save_cursor_only(key, walk).await?;
        tx.commit().await?;
        if walk.stops_here(cx) {
            return Ok(Vec::new());
        }
    }
}

async fn end(cx: &SliceContext<'_>, walk: ReferenceWalk) -> Result<(), SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
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
            next_in_seconds: SliceContext::every(cx.config().intervals.reference),
        },
    )
    .await?;
    tx.commit().await?;
    Ok(())
}
