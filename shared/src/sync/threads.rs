//! Threads: one call per conversation is the floor, and this stream's whole cost. Newest changes first.
//!
//! A slice asks for so many of them. Should a giant still be sent when all others have answered, it goes on with the
//! backlog for as long as a slice may, so that a tenant's threads do not wait for the slowest of them.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures::{StreamExt, stream::FuturesUnordered};
use uuid::Uuid;

use super::{SliceError, SliceOutcome, future_dated, slice::SliceContext};
use crate::{
    domain::{Mode, Stream, Verdict, records::Poison},
    intercom::{Endpoint, Error, MemoryPermit, Refusal, Response, wire},
    store::{FetchedThread, PendingThread, Tally, ThreadFate, WalkEnd},
};

/// A thread fetched this soon after its own change is fetched again: times are in whole seconds, and a
/// second change in the same second would otherwise never be seen.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);
/// How far ahead of Intercom's clock a change may be stamped by another of its servers. What claims to have changed
/// later than that does not settle soon, and is not waited for.
const AHEAD: TimeDelta = TimeDelta::seconds(60);
/// A thread that fails this often is blocked until its conversation changes.
const ATTEMPTS: i32 = 5;
/// Parts are stored once this many bytes have come, so that a slice of giants stays small in memory.
const BATCH_BYTES: usize = 4 << 20;
/// And once nobody has answered for this long: a giant that drips keeps no other thread's parts waiting, nor are
/// they fetched again should the worker die of it.
const PAUSE: Duration = Duration::from_millis(250);
/// Whoever has not answered after this is a giant, or drips: it alone does not end a slice.
const SLOW: Duration = Duration::from_secs(1);
/// Nobody is asked for after this: the slice ends with who is under way, and the tenant's turn with it.
const LONGEST: Duration = Duration::from_secs(30);

/// What has been fetched and not yet stored.
#[derive(Default)]
struct Batch {
    fetched: Vec<FetchedThread>,
    poisons: Vec<Poison>,
    /// What could not be stored as a thread, why, and the bytes of what is given up.
    fates: Vec<(PendingThread, ThreadFate, String, Option<Poison>)>,
    /// Intercom did not answer for these: their fault only where it answered for others.
    unanswered: Vec<(PendingThread, String)>,
    bytes: usize,
    /// What all of it takes of the room that answers have.
    places: Vec<MemoryPermit>,
}

impl Batch {
    /// Whether there is reason to store before more has come.
    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.places.iter().any(MemoryPermit::is_large)
    }

    /// What can be stored now.
    fn take_answered(&mut self) -> Self {
        let unanswered = std::mem::take(&mut self.unanswered);
        std::mem::replace(
            self,
            Self {
                unanswered,
                ..Self::default()
            },
        )
    }
}

/// What a slice asks for next.
#[derive(Default)]
struct Backlog {
    next: VecDeque<PendingThread>,
    /// Asked for in this slice. What was answered may still be on its way to the store, and stands among the pending.
    asked: HashSet<Uuid>,
}

impl Backlog {
    /// Reads more of what is owed, newest change first.
    async fn read_on(&mut self, cx: &SliceContext<'_>) -> Result<(), SliceError> {
        let most = cx.config().conversations_per_slice;
        let mut tx = cx.begin().await?;
        let pending = tx
            .pending_threads(cx.key.connection, (most + self.asked.len()) as i64)
            .await?;
        tx.commit().await?;
        let is_new = |thread: &PendingThread| !self.asked.contains(&thread.conversation_id);
        self.next
            .extend(pending.into_iter().filter(is_new).take(most));
        Ok(())
    }

    fn take(&mut self) -> Option<PendingThread> {
        let thread = self.next.pop_front()?;
        self.asked.insert(thread.conversation_id);
        Some(thread)
    }

    /// It got no answer because nobody may ask now.
    fn give_back(&mut self, thread: PendingThread) {
        self.asked.remove(&thread.conversation_id);
        self.next.push_front(thread);
    }
}

#[tracing::instrument(name = "threads", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let begun = Instant::now();
    let mut backlog = Backlog::default();
    backlog.read_on(cx).await?;
    let mut under_way = FuturesUnordered::new();
    let (mut batch, mut stop, mut answered) = (Batch::default(), None, false);
    let mut last_asked = begun;
    loop {
        // A process that is stopping finishes what is under way; the rest stays pending.
        let may_ask = begun.elapsed() < LONGEST && !cx.ctx.stopping.is_cancelled();
        while may_ask && stop.is_none() && under_way.len() < cx.config().conversation_concurrency {
            let Some(thread) = backlog.take() else { break };
            under_way.push(ask(cx, thread));
            last_asked = Instant::now();
        }
        let (thread, answer) = match tokio::time::timeout(PAUSE, under_way.next()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => break,
            Err(_) => {
                store(cx, batch.take_answered()).await?;
                if matches!(stop, Some(Stop::Wait(until)) if until <= Instant::now()) {
                    stop = None;
                }
                // Where nobody has answered, and some never will, it may be an outage: nobody else is asked.
                let is_outage = !answered && !batch.unanswered.is_empty();
                let goes_on =
                    may_ask && stop.is_none() && !is_outage && last_asked.elapsed() >= SLOW;
                if goes_on && backlog.next.is_empty() {
                    backlog.read_on(cx).await?;
                }
                continue;
            }
        };
        match answer {
            // The others under way are still stored; what was not begun stays pending.
            Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                backlog.give_back(thread);
                stop = Some(Stop::Wait(until));
            }
            answer => {
                if let Err(error) = sort_in(&mut batch, thread, answer) {
                    stop = Some(Stop::Error(error));
                }
            }
        }
        answered |= !batch.fetched.is_empty() || !batch.fates.is_empty();
        if batch.is_full() {
            store(cx, batch.take_answered()).await?;
        }
        if matches!(stop, Some(Stop::Error(_))) {
            break;
        }
    }
    drop(under_way);
    if !answered && !matches!(stop, Some(Stop::Error(_))) && !batch.unanswered.is_empty() {
        return outage(cx, &batch.unanswered).await;
    }
    let unanswered = std::mem::take(&mut batch.unanswered);
    batch
        .fates
        .extend(unanswered.into_iter().map(|(thread, error)| {
            let fate = later(&thread);
            (thread, fate, error, None)
        }));
    store(cx, batch).await?;
    match stop {
        Some(Stop::Error(error)) => Err(error.into()),
        Some(Stop::Wait(until)) => Ok(SliceOutcome::snooze_until(until)),
        None => end(cx).await,
    }
}

async fn ask(
    cx: &SliceContext<'_>,
    thread: PendingThread,
) -> (PendingThread, Result<(Response, MemoryPermit), Error>) {
    let answer = cx
        .workspace
        .read_with_permit(&Endpoint::Conversation {
            id: &thread.source_id,
        })
        .await;
    (thread, answer)
}

/// Intercom answered for none: the stream waits, and no thread's attempts are counted but the first one's,
/// so that a thread that never works is given up in the end and an outage blocks next to nothing.
async fn outage(
    cx: &SliceContext<'_>,
    unanswered: &[(PendingThread, String)],
) -> Result<SliceOutcome, SliceError> {
    let Some((thread, error)) = unanswered.first() else {
        return Ok(Verdict::Requeue.into());
    };
    let mut tx = cx.begin_unfenced().await?;
    tx.mark_thread(
        cx.key.connection,
        thread.conversation_id,
        later(thread),
        error,
    )
    .await?;
    tx.check_fence(cx.key).await?;
    tx.commit().await?;
    Err(Error::Unavailable(format!("none of {} threads: {error}", unanswered.len())).into())
}

enum Stop {
    Wait(Instant),
    Error(Error),
}

/// One answer: a thread, a reason that concerns this thread alone, or one that concerns them all (an error).
fn sort_in(
    batch: &mut Batch,
    thread: PendingThread,
    answer: Result<(Response, MemoryPermit), Error>,
) -> Result<(), Error> {
    let (answer, place) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let fate = match &error {
                Error::Refused {
                    refusal: Refusal::NotFound,
                    ..
                } => ThreadFate::Gone,
                // Another time would be no better, and each costs all of it.
                Error::BadId(_)
                | Error::TooLarge(_)
                | Error::Refused {
                    refusal: Refusal::BadRequest,
                    ..
                } => ThreadFate::Blocked,
                Error::Unavailable(_) => {
                    batch.unanswered.push((thread, error.to_string()));
                    return Ok(());
                }
                _ => return Err(error),
            };
            batch.fates.push((thread, fate, error.to_string(), None));
            return Ok(());
        }
    };
    batch.bytes += answer.body.len();
    batch.places.push(place);
    match wire::read_thread(&answer.body) {
        // Stored, it would leave the thread that was asked for owed, to be asked for again at once.
        Ok((Ok(read), _)) if read.conversation.source_id != thread.source_id => {
            unreadable(
                batch,
                thread,
                "the answer is another conversation".to_owned(),
                answer.body,
            );
        }
        Ok((Ok(read), _)) if future_dated::is_ahead(&read.conversation, answer.at) => {
            block(batch, thread, future_dated::poison(read.conversation));
        }
        Ok((Ok(mut read), mut poisons)) => {
            let (parts, ahead) = future_dated::set_aside(read.parts, answer.at);
            read.parts = parts;
            poisons.extend(ahead.into_iter().map(|poison| Poison {
                source_id: format!("{}/{}", thread.source_id, poison.source_id),
                ..poison
            }));
            let age = answer.at - read.conversation.updated_at;
            let too_fresh = -AHEAD < age && age < SETTLED_AFTER;
            batch.fetched.push(FetchedThread {
                thread: read,
                too_fresh,
                poisoned: poisons.len() as i32,
            });
            batch.poisons.extend(poisons);
        }
        Ok((Err(poison), _)) => block(batch, thread, poison),
        Err(error) => unreadable(batch, thread, error.to_string(), answer.body),
    }
    Ok(())
}

/// The thread cannot be read until its conversation changes.
fn block(batch: &mut Batch, thread: PendingThread, poison: Poison) {
    let reason = poison.reason.clone();
    // As a part of its conversation: the stub may be held, and a good stub proves nothing of the thread.
    let poison = Poison {
        kind: "part",
        source_id: format!("{}/thread", thread.source_id),
        ..poison
    };
    batch
        .fates
        .push((thread, ThreadFate::Blocked, reason, Some(poison)));
}

/// An answer that is not this thread may be one the next time. When it is given up, its bytes are kept.
fn unreadable(batch: &mut Batch, thread: PendingThread, reason: String, body: String) {
    let fate = later(&thread);
    if fate == ThreadFate::Blocked {
        return block(
            batch,
            thread,
            Poison {
                kind: "part",
                source_id: String::new(),
                reason,
                raw: body.into_bytes(),
            },
        );
    }
    batch.fates.push((thread, fate, reason, None));
}

/// One thread's trouble does not hold up the others: it waits longer each time, then it is blocked.
fn later(thread: &PendingThread) -> ThreadFate {
    if thread.attempts + 1 >= ATTEMPTS {
        ThreadFate::Blocked
    } else {
        ThreadFate::Again(f64::from(2 << thread.attempts.clamp(0, 8)))
    }
}

async fn store(cx: &SliceContext<'_>, batch: Batch) -> Result<(), SliceError> {
    if batch.fetched.is_empty() && batch.fates.is_empty() {
        return Ok(());
    }
    let key = cx.key;
    let whole: Vec<String> = batch
        .fetched
        .iter()
        .filter(|fetched| fetched.poisoned == 0)
        .map(|fetched| fetched.thread.conversation.source_id.clone())
        .collect();
    // One by one: a page of stubs locks the same rows, conversations before threads.
    for (thread, fate, error, poison) in &batch.fates {
        let mut tx = cx.begin_unfenced().await?;
        tx.quarantine(key.connection, poison.as_slice()).await?;
        tx.mark_thread(key.connection, thread.conversation_id, *fate, error)
            .await?;
        tx.check_fence(key).await?;
        tx.commit().await?;
    }
    // The stream is locked and its fence compared last, as a page of stubs locks it last to make it due:
    // locked first, each would keep the other waiting for as long as it writes.
    let mut tx = cx.begin_unfenced().await?;
    let written = tx.write_threads(key.connection, batch.fetched).await?;
    tx.quarantine(key.connection, &batch.poisons).await?;
    tx.resolve_quarantined_parts(key.connection, &whole).await?;
    tx.check_fence(key).await?;
    tx.save_cursor(
        key,
        &serde_json::Value::Null,
        Tally {
            inserted: written.inserted,
            ..Tally::default()
        },
    )
    .await?;
    tx.commit().await?;
    written.count(Stream::Threads);
    Ok(())
}

/// The backlog is asked after the stream's row was locked, so a stub written meanwhile is either seen here
/// or makes the stream due after us.
async fn end(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let backlog = tx.thread_backlog(key.connection).await?;
    let verdict = match backlog.next_in_seconds {
        Some(seconds) if seconds <= 0.0 => Verdict::Requeue,
        next => {
            if backlog.failing {
                tx.rest_stream(key, next).await?;
            } else {
                let walk = WalkEnd {
                    mode: Mode::Full,
                    begun_at: cx.state.now,
                    watermark: None,
                    witness: None,
                    full: false,
                    missing: None,
                    next_in_seconds: next,
                };
                tx.end_walk(key, &walk).await?;
            }
            match next {
                // Soon enough to keep the ticket: cheaper than the scheduler's next look.
                Some(seconds) if seconds < 30.0 => {
                    Verdict::Snooze(Duration::from_secs_f64(seconds + 0.01))
                }
                _ => Verdict::Done,
            }
        }
    };
    tx.commit().await?;
    Ok(verdict.into())
}
