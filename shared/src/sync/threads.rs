//! Threads: one call per conversation, and most of the cost of a sync. Newest changes first.
//!
//! A slice requests a batch of threads. If a large thread is still being sent when all others have answered, the slice
//! continues with the backlog for as long as a slice may take, so that a tenant's threads do not wait for the slowest.

use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{
    SliceError, SliceOutcome,
    slice::SliceContext,
    thread_backlog::Backlog,
    thread_batch::{Batch, UnreadThread},
};
use crate::{
    domain::{
        Mode, Stream, Verdict,
        records::Poison,
        thread_fate::{ThreadAttempt, ThreadFate},
    },
    intercom::{Endpoint, Error, MemoryPermit, Response},
    store::{FailedThread, PendingThread, ProofDelta, WalkEnd},
};

/// The batch is stored when no answer has come for this long. A slow thread then delays no other thread's parts, and
/// a worker that dies of it does not lose them.
const STORE_AFTER: Duration = Duration::from_millis(250);
/// A thread that has not answered after this is slow. It alone does not end a slice.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// No new call starts after this. The slice ends when the calls in flight have finished.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(30);
/// A shorter wait keeps the ticket, which is cheaper than the scheduler's next tick.
const MAX_SNOOZE_SECONDS: f64 = 30.0;

/// Works one slice: a batch of threads.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "threads", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut fetch = Fetch::begin(cx).await?;
    loop {
        fetch.request();
        match tokio::time::timeout(STORE_AFTER, fetch.in_flight.next()).await {
            Ok(Some((thread, answer))) => fetch.receive(thread, answer).await?,
            Ok(None) => break,
            Err(_) => fetch.after_silence().await?,
        }
        if matches!(fetch.stop, Some(Stop::Error(_))) {
            break;
        }
    }
    fetch.end().await
}

type Call<'a> = BoxFuture<'a, (PendingThread, Result<(Response, MemoryPermit), Error>)>;

/// The calls of one slice.
struct Fetch<'a> {
    cx: &'a SliceContext<'a>,
    backlog: Backlog,
    in_flight: FuturesUnordered<Call<'a>>,
    batch: Batch,
    /// Whether Intercom answered for any thread.
    answered: bool,
    stop: Option<Stop>,
    started_at: Instant,
    last_request: Instant,
}

/// Why no new call may start.
enum Stop {
    /// The rate budget is spent until then.
    Until(Instant),
    /// An error that concerns every thread.
    Error(Error),
}

impl<'a> Fetch<'a> {
    async fn begin(cx: &'a SliceContext<'a>) -> Result<Self, SliceError> {
        let mut backlog = Backlog::default();
        backlog.refill(cx).await?;
        Ok(Self {
            cx,
            backlog,
            in_flight: FuturesUnordered::new(),
            batch: Batch::default(),
            answered: false,
            stop: None,
            started_at: Instant::now(),
            last_request: Instant::now(),
        })
    }

    /// A stopping process finishes its calls in flight, and the rest stays pending.
    fn may_request(&self) -> bool {
        self.stop.is_none()
            && self.started_at.elapsed() < MAX_REQUEST_TIME
            && !self.cx.ctx.stopping.is_cancelled()
    }

    /// Starts calls up to the allowed concurrency.
    fn request(&mut self) {
        // Looked at once per round and not per call, because it asks the clock.
        let may_request = self.may_request();
        while may_request && self.in_flight.len() < self.cx.config().conversation_concurrency {
            let Some(thread) = self.backlog.take() else {
                break;
            };
            let cx = self.cx;
            let call = async move {
                let id = &thread.source_id;
                let answer = cx
                    .workspace
                    .read_with_permit(&Endpoint::Conversation { id })
                    .await;
                (thread, answer)
            };
            self.in_flight.push(call.boxed());
            self.last_request = Instant::now();
        }
    }

    async fn receive(
        &mut self,
        thread: PendingThread,
        answer: Result<(Response, MemoryPermit), Error>,
    ) -> Result<(), SliceError> {
        match answer {
            // The calls in flight are still stored.
            Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                // The thread was not read, so it must not lose its turn or an attempt.
                self.backlog.give_back(thread);
                self.stop = Some(Stop::Until(until));
            }
            answer => {
                if let Err(error) = self.batch.add(thread, answer) {
                    self.stop = Some(Stop::Error(error));
                }
            }
        }
        self.answered |= self.batch.has_answers();
        if self.batch.is_full() {
            store(self.cx, self.batch.take_answered()).await?;
        }
        Ok(())
    }

    /// No answer came for a moment: stores the answers so far, and continues with the backlog beside slow threads.
    async fn after_silence(&mut self) -> Result<(), SliceError> {
        store(self.cx, self.batch.take_answered()).await?;
        if matches!(self.stop, Some(Stop::Until(until)) if until <= Instant::now()) {
            self.stop = None;
        }
        // If some calls failed and none was answered, it may be an outage, and more calls would fail as well.
        let is_outage = !self.answered && !self.batch.unanswered.is_empty();
        let is_slow = self.last_request.elapsed() >= SLOW_AFTER;
        if self.may_request() && !is_outage && is_slow && self.backlog.is_empty() {
            self.backlog.refill(self.cx).await?;
        }
        Ok(())
    }

    async fn end(mut self) -> Result<SliceOutcome, SliceError> {
        // Calls in flight are dropped here, and their threads stay pending.
        drop(self.in_flight);
        let failed = matches!(self.stop, Some(Stop::Error(_)));
        if !failed && !self.answered && !self.batch.unanswered.is_empty() {
            return outage(self.cx, &self.batch.unanswered).await;
        }
        // No outage: Intercom answered for other threads or refused them all. The failure counts as an attempt.
        self.batch.give_up_unanswered();
        store(self.cx, self.batch).await?;
        match self.stop {
            Some(Stop::Error(error)) => Err(error.into()),
            Some(Stop::Until(until)) => Ok(SliceOutcome::snooze_until(until)),
            None => end(self.cx).await,
        }
    }
}

/// Intercom answered for no thread. Only the first thread's attempts are counted, so that a thread that never works is
/// given up in the end, and an outage blocks next to nothing.
async fn outage(
    cx: &SliceContext<'_>,
    unanswered: &[(PendingThread, String)],
) -> Result<SliceOutcome, SliceError> {
    let Some((thread, error)) = unanswered.first() else {
        return Ok(Verdict::Requeue.into());
    };
    let mut tx = cx.begin_unfenced().await?;
    let failed = FailedThread {
        conversation_id: thread.conversation_id,
        attempt: ThreadAttempt::Failed,
        error,
    };
    tx.fail_threads(cx.key.connection, &[failed]).await?;
    tx.check_fence(cx.key).await?;
    tx.commit().await?;
    Err(Error::Unavailable(format!("none of {} threads: {error}", unanswered.len())).into())
}

async fn store(cx: &SliceContext<'_>, batch: Batch) -> Result<(), SliceError> {
    if !batch.has_answers() {
        return Ok(());
    }
    let key = cx.key;
    let whole: Vec<String> = batch
        .fetched
        .iter()
        .filter(|fetched| fetched.poisoned == 0)
        .map(|fetched| fetched.thread.conversation.source_id.clone())
        .collect();
    store_failures(cx, &batch.failed).await?;
    // The stream's row is locked and its fence compared last, because a page of stubs also locks it last, to make it
    // due. Locked first, it would make each of the two wait for as long as the other writes.
    let mut tx = cx.begin_unfenced().await?;
    let written = tx.write_threads(key.connection, batch.fetched).await?;
    tx.quarantine(key.connection, &batch.poisons).await?;
    // After the new poisons, so that a part that is still unreadable stays in quarantine.
    tx.resolve_quarantined_parts(key.connection, &whole).await?;
    tx.check_fence(key).await?;
    let delta = ProofDelta {
        inserted: written.inserted,
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
    let fates = tx.fail_threads(connection, &failed).await?;
    // A thread that is tried again needs no bytes, because its next answer may be good.
    let poisons: Vec<Poison> = failures
        .iter()
        .zip(fates)
        .filter(|(_, fate)| *fate == Some(ThreadFate::Blocked))
        .filter_map(|(failure, _)| failure.poison.clone())
        .collect();
    tx.quarantine(connection, &poisons).await?;
    tx.check_fence(cx.key).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends the slice by what is left of the backlog. The stream's row is locked first, so a stub that is written
/// meanwhile is either counted here, or makes the stream due afterwards.
async fn end(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let backlog = tx.thread_backlog(key.connection).await?;
    let next = backlog.next_in_seconds;
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
    if backlog.failing {
        // A failing thread keeps the walk open, so that the runs that wait for it do not end.
        tx.idle_stream(key, next).await?;
    } else {
        let walk = WalkEnd {
            mode: Mode::Full,
            begun_at: cx.state.now,
            watermark: None,
            overlap_probe: None,
            full: false,
            missing: None,
            next_in_seconds: next,
        };
        tx.end_walk(key, &walk).await?;
    }
    tx.commit().await?;
    Ok(verdict.into())
}
