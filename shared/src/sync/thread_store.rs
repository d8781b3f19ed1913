//! Stores what a slice of threads has fetched, and ends the slice.

use std::time::Duration;

use super::{
    SliceError, SliceOutcome, block_messages,
    slice::SliceContext,
    thread_batch::{Batch, UnreadThread},
};
use crate::{
    domain::{
        Mode, Stream, Verdict,
        records::Poison,
        thread_fate::{ThreadFailure, ThreadFate},
    },
    intercom::Error,
    store::{FailedThread, ProofDelta, WalkEnd},
};

/// A shorter wait keeps the ticket, which is cheaper than the scheduler's next tick.
const MAX_SNOOZE_SECONDS: f64 = 30.0;
/// A run does not wait for threads whose next attempt is further away. That is so after about ten minutes of trouble.
const MAX_RUN_WAIT_SECONDS: f64 = 360.0;

pub(super) async fn store(cx: &SliceContext<'_>, batch: Batch) -> Result<(), SliceError> {
    if !batch.has_answers() {
        return Ok(());
    }
    let key = cx.key;
    let whole: Vec<String> = batch
        .fetched
        .iter()
        .filter(|fetched| fetched.poisoned == 0)
        .map(|fetched| fetched.conversation.source_id.clone())
        .collect();
    store_failures(cx, &batch.failed).await?;
    if batch.fetched.is_empty() {
        // Failures are no progress.
        return Ok(());
    }
    // The stream's row is locked and its fence compared last, because a page of stubs also locks it last, to make it
    // due. Locked first, it would make each of the two wait for as long as the other writes.
    let mut tx = cx.begin_unfenced().await?;
    let written = tx.write_threads(key.connection, batch.fetched).await?;
    tx.quarantine(key.connection, &batch.poisons).await?;
    // After the new poisons, so that a part that is still unreadable stays in quarantine.
    tx.resolve_quarantined_parts(key.connection, &whole).await?;
    tx.check_fence(key).await?;
    let delta = ProofDelta {
        alive: written.alive,
        ..ProofDelta::default()
    };
    tx.save_cursor(key, &serde_json::Value::Null, delta).await?;
    tx.commit().await?;
    written.count(Stream::Threads);
    Ok(())
}

/// Stores the threads that could not be fetched, and the bytes of those that are blocked now.
async fn store_failures(
    cx: &SliceContext<'_>,
    failures: &[UnreadThread],
) -> Result<(), SliceError> {
    if failures.is_empty() {
        return Ok(());
    }
    let connection = cx.key.connection;
    let failed: Vec<FailedThread<'_>> = failures.iter().map(UnreadThread::as_failed).collect();
    let mut tx = cx.begin_unfenced().await?;
    let patience = cx.config().doubt.thread;
    let fates = tx.fail_threads(connection, &failed, patience).await?;
    // A thread that is tried again needs no bytes, because its next answer may be good.
    let poisons: Vec<Poison> = failures
        .iter()
        .zip(fates)
        .filter(|(_, fate)| matches!(fate, Some(ThreadFate::Blocked { .. })))
        .filter_map(|(failure, _)| failure.poison.clone())
        .collect();
    tx.quarantine(connection, &poisons).await?;
    tx.check_fence(cx.key).await?;
    tx.commit().await?;
    Ok(())
}

/// Intercom answered for no thread. Of the new threads only the first counts an attempt, so that the next slice begins
/// with others, and an outage leaves next to nothing behind. Threads that failed before wait longer.
pub(super) async fn outage(
    cx: &SliceContext<'_>,
    batch: Batch,
) -> Result<SliceOutcome, SliceError> {
    let mut is_first = true;
    let failed: Vec<FailedThread<'_>> = batch
        .unanswered
        .iter()
        .filter(|(thread, _)| thread.has_failed || std::mem::take(&mut is_first))
        .map(|(thread, error)| FailedThread {
            conversation_id: thread.conversation_id,
            failure: ThreadFailure::Unanswered,
            error,
        })
        .collect();
    let mut tx = cx.begin_unfenced().await?;
    tx.fail_threads(cx.key.connection, &failed, cx.config().doubt.thread)
        .await?;
    tx.check_fence(cx.key).await?;
    tx.commit().await?;
    let error = batch.unanswered.first().map_or("", |(_, error)| error);
    Err(Error::Unavailable(format!(
        "none of {} threads: {error}",
        batch.unanswered.len()
    ))
    .into())
}

/// Intercom serves a thread that is stored, so it does not refuse the stream.
pub(super) async fn note_served(cx: &SliceContext<'_>) -> Result<(), SliceError> {
    let mut tx = cx.begin().await?;
    tx.save_cursor(cx.key, &serde_json::Value::Null, ProofDelta::default())
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Ends the slice by what is left of the backlog. The stream's row is locked first, so a stub that is written
/// meanwhile is either counted here, or makes the stream due afterwards.
pub(super) async fn end(cx: &SliceContext<'_>, served: bool) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let backlog = tx.thread_backlog(key).await?;
    let next = backlog.next();
    let verdict = match next {
        // The walk does not end while threads are due, because a run that waits for it would end
        // too early.
        Some(seconds) if seconds <= 0.0 => {
            tx.commit().await?;
            return Ok(Verdict::Requeue.into());
        }
        Some(seconds) if seconds < MAX_SNOOZE_SECONDS => {
            Verdict::Snooze(Duration::from_secs_f64(seconds + 0.01))
        }
        _ => Verdict::Done,
    };
    let runs_wait = backlog
        .next_in_seconds
        .is_some_and(|seconds| seconds <= MAX_RUN_WAIT_SECONDS);
    // Only a served thread ends a block, or the end of the backlog.
    let stays_blocked = cx.state.blocked && !served && next.is_some();
    if stays_blocked || backlog.failing > 0 && runs_wait {
        // A failing thread keeps the walk open, so that the runs that wait for it do not end.
        tx.idle_stream(key, next).await?;
    } else {
        if backlog.failing > 0 {
            let why = block_messages::waiting_threads(backlog.failing);
            tx.drop_from_runs(key, &why.code, &why.message).await?;
        }
        tx.end_walk(key, &walk_end(cx, next)).await?;
    }
    tx.commit().await?;
    Ok(verdict.into())
}

const fn walk_end(cx: &SliceContext<'_>, next_in_seconds: Option<f64>) -> WalkEnd {
    WalkEnd {
        mode: Mode::Full,
        begun_at: cx.state.now,
        watermark: None,
        overlap_probe: None,
        full: false,
        missing: None,
        next_in_seconds,
    }
}
