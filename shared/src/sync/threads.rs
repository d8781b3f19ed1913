//! Threads: one call per conversation is the floor, and this stream's whole cost. Newest changes first.

use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use futures::{StreamExt, stream};

use super::{Progress, SliceError, Sliced, slice::Slice};
use crate::{
    domain::{Mode, Stream, records::Poison},
    intercom::{Answer, Error, Read, Refusal, wire},
    store::{FetchedThread, PendingThread, Tally, ThreadFate, WalkEnd},
};

/// A thread fetched this soon after its own change is fetched again: times are in whole seconds, and a
/// second change in the same second would otherwise never be seen.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);
/// A thread that fails this often is blocked until its conversation changes.
const ATTEMPTS: i32 = 5;
/// Parts are stored once this many bytes have come, so that a slice of giants stays small in memory.
const BATCH_BYTES: usize = 4 << 20;

/// What has been fetched and not yet stored.
#[derive(Default)]
struct Batch {
    fetched: Vec<FetchedThread>,
    poisons: Vec<Poison>,
    fates: Vec<(PendingThread, ThreadFate, String)>,
    /// Intercom did not answer for these: their fault only where it answered for others.
    unanswered: Vec<(PendingThread, String)>,
    bytes: usize,
}

pub(super) async fn slice(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    let pending = tx.pending_threads(slice.key.connection, slice.ctx.config.threads_per_slice as i64).await?;
    tx.commit().await?;

    let mut answers = stream::iter(pending)
        .map(|thread| async move {
            let answer = slice.workspace.read(&Read::Conversation { id: &thread.source_id }).await;
            (thread, answer)
        })
        .buffer_unordered(slice.ctx.config.thread_concurrency);
    let (mut batch, mut stop, mut answered) = (Batch::default(), None, false);
    while let Some((thread, answer)) = answers.next().await {
        match sort_in(&mut batch, thread, answer) {
            Ok(()) => {}
            // The others under way are still stored; what was not begun stays pending.
            Err(Error::Exhausted { until } | Error::Throttled { until }) => stop = Some(Stop::Wait(until)),
            Err(error) => stop = Some(Stop::Error(error)),
        }
        answered |= !batch.fetched.is_empty() || !batch.fates.is_empty();
        if batch.bytes >= BATCH_BYTES {
            let unanswered = std::mem::take(&mut batch.unanswered);
            store(slice, std::mem::replace(&mut batch, Batch { unanswered, ..Batch::default() })).await?;
        }
        if matches!(stop, Some(Stop::Error(_))) {
            break;
        }
    }
    drop(answers);
    if !answered && stop.is_none() && !batch.unanswered.is_empty() {
        return outage(slice, &batch.unanswered).await;
    }
    let unanswered = std::mem::take(&mut batch.unanswered);
    batch.fates.extend(unanswered.into_iter().map(|(thread, error)| {
        let fate = later(&thread);
        (thread, fate, error)
    }));
    store(slice, batch).await?;
    match stop {
        Some(Stop::Error(error)) => Err(error.into()),
        Some(Stop::Wait(until)) => Ok(Progress::Wait(until).into()),
        None => end(slice).await,
    }
}

/// Intercom answered for none: the stream waits, and no thread's attempts are counted but the first one's,
/// so that a thread that never works is given up in the end and an outage blocks next to nothing.
async fn outage(slice: &Slice<'_>, unanswered: &[(PendingThread, String)]) -> Result<Sliced, SliceError> {
    let Some((thread, error)) = unanswered.first() else { return Ok(Progress::More.into()) };
    let mut tx = slice.ctx.store.begin(slice.key.tenant).await?;
    tx.mark_thread(slice.key.connection, thread.conversation_id, later(thread), error).await?;
    tx.check_fence(slice.key).await?;
    tx.commit().await?;
    Err(Error::Unavailable(format!("none of {} threads: {error}", unanswered.len())).into())
}

enum Stop {
    Wait(SystemTime),
    Error(Error),
}

/// One answer: a thread, a reason that concerns this thread alone, or one that concerns them all (an error).
fn sort_in(batch: &mut Batch, thread: PendingThread, answer: Result<Answer, Error>) -> Result<(), Error> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let fate = match &error {
                Error::Refused { refusal: Refusal::NotFound, .. } => ThreadFate::Gone,
                Error::BadId(_) | Error::Refused { refusal: Refusal::BadRequest, .. } => ThreadFate::Blocked,
                Error::Unavailable(_) => {
                    batch.unanswered.push((thread, error.to_string()));
                    return Ok(());
                }
                _ => return Err(error),
            };
            batch.fates.push((thread, fate, error.to_string()));
            return Ok(());
        }
    };
    batch.bytes += answer.body.len();
    match wire::read_thread(&answer.body) {
        Ok((wire::Read::Good(read), poisons)) => {
            let too_fresh = answer.at - read.conversation.updated_at < SETTLED_AFTER;
            batch.fetched.push(FetchedThread { thread: read, too_fresh, poisoned: poisons.len() as i32 });
            batch.poisons.extend(poisons);
        }
        Ok((wire::Read::Bad(poison), _)) => {
            let reason = poison.reason.clone();
            // As a part of its conversation: the stub may be held, and a good stub proves nothing of the thread.
            batch.poisons.push(Poison { kind: "part", source_id: format!("{}/thread", thread.source_id), ..poison });
            batch.fates.push((thread, ThreadFate::Blocked, reason));
        }
        Err(error) => {
            let fate = later(&thread);
            batch.fates.push((thread, fate, error.to_string()));
        }
    }
    Ok(())
}

/// One thread's trouble does not hold up the others: it waits longer each time, then it is blocked.
fn later(thread: &PendingThread) -> ThreadFate {
    if thread.attempts + 1 >= ATTEMPTS {
        ThreadFate::Blocked
    } else {
        ThreadFate::Again(f64::from(2 << thread.attempts.clamp(0, 8)))
    }
}

async fn store(slice: &Slice<'_>, batch: Batch) -> Result<(), SliceError> {
    if batch.fetched.is_empty() && batch.fates.is_empty() {
        return Ok(());
    }
    let key = slice.key;
    let whole: Vec<String> = batch
        .fetched
        .iter()
        .filter(|fetched| fetched.poisoned == 0)
        .map(|fetched| fetched.thread.conversation.source_id.clone())
        .collect();
    // One by one: a page of stubs locks the same rows, conversations before threads.
    for (thread, fate, error) in &batch.fates {
        let mut tx = slice.ctx.store.begin(key.tenant).await?;
        tx.mark_thread(key.connection, thread.conversation_id, *fate, error).await?;
        tx.check_fence(key).await?;
        tx.commit().await?;
    }
    // The stream is locked and its fence compared last, as a page of stubs locks it last to make it due:
    // locked first, each would keep the other waiting for as long as it writes.
    let mut tx = slice.ctx.store.begin(key.tenant).await?;
    let written = tx.write_threads(key.connection, batch.fetched).await?;
    tx.quarantine(key.connection, &batch.poisons).await?;
    tx.resolve_quarantined_parts(key.connection, &whole).await?;
    tx.check_fence(key).await?;
    tx.save_cursor(key, &serde_json::Value::Null, Tally { inserted: written.inserted, ..Tally::default() }).await?;
    tx.commit().await?;
    written.count(Stream::Threads);
    Ok(())
}

/// The backlog is asked after the stream's row was locked, so a stub written meanwhile is either seen here
/// or makes the stream due after us.
async fn end(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let key = slice.key;
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    let backlog = tx.thread_backlog(key.connection).await?;
    let progress = match backlog.next_in_seconds {
        Some(seconds) if seconds <= 0.0 => Progress::More,
        next => {
            if backlog.failing {
                tx.rest_stream(key, next).await?;
            } else {
                let walk = WalkEnd {
                    mode: Mode::Full,
                    begun_at: slice.state.now,
                    watermark: None,
                    full: false,
                    missing: None,
                    next_in_seconds: next,
                };
                tx.end_walk(key, &walk).await?;
            }
            match next {
                // Soon enough to keep the ticket: cheaper than the scheduler's next look.
                Some(seconds) if seconds < 30.0 => {
                    Progress::Wait(SystemTime::now() + Duration::from_secs_f64(seconds + 0.01))
                }
                _ => Progress::Done,
            }
        }
    };
    tx.commit().await?;
    Ok(progress.into())
}
