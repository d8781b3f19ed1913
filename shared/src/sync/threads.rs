//! Threads: one call per conversation, and most of the cost of a sync. Newest changes first.
//!
//! A slice requests a batch of threads. If a large thread is still being sent when all others have answered, the slice
//! continues with the backlog for as long as a slice may take, so that a tenant's threads do not wait for the slowest.

use std::time::{Duration, Instant};

use super::{
    SliceError, SliceOutcome,
    calls::Calls,
    slice::SliceContext,
    thread_answer::ThreadRead,
    thread_backlog::Backlog,
    thread_batch::Batch,
    thread_doubt::{ThreadDoubt, another_is_served},
    thread_store::{end, note_served, outage, store},
};
use crate::{
    intercom::{Endpoint, Error},
    store::PendingThread,
};

/// The batch is stored when no answer has come for this long. A slow thread then delays no other thread's parts, and
/// a worker that dies of it does not lose them.
const STORE_AFTER: Duration = Duration::from_millis(250);
/// A thread that has not answered after this is slow. It alone does not end a slice.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// No new call starts after this. The slice ends when the calls in flight have finished.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(30);

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
        if matches!(fetch.stop, Some(Stop::Closed)) {
            break;
        }
    }
    fetch.end().await
}

type Answered = (PendingThread, Result<ThreadRead, Error>);

/// The calls of one slice.
struct Fetch<'a> {
    cx: &'a SliceContext<'a>,
    backlog: Backlog,
    in_flight: Calls<Answered>,
    batch: Batch,
    /// Whether Intercom answered for any thread.
    answered: bool,
    doubt: ThreadDoubt,
    stop: Option<Stop>,
    started_at: Instant,
    last_request: Instant,
}

/// Why no new call may start.
enum Stop {
    /// The rate budget is spent until then.
    Until(Instant),
    /// Intercom may refuse every thread.
    Refused,
    /// The slice may make no further call, and its calls in flight are dropped.
    Closed,
}

impl<'a> Fetch<'a> {
    async fn begin(cx: &'a SliceContext<'a>) -> Result<Self, SliceError> {
        let mut backlog = Backlog::default();
        backlog.refill(cx).await?;
        Ok(Self {
            cx,
            backlog,
            in_flight: Calls::default(),
            batch: Batch::default(),
            answered: false,
            doubt: ThreadDoubt::default(),
            stop: None,
            started_at: Instant::now(),
            last_request: Instant::now(),
        })
    }

    /// A stopping process finishes its calls in flight, and the rest stays pending.
    fn may_request(&self) -> bool {
        self.stop.is_none()
            && self.started_at.elapsed() < MAX_REQUEST_TIME
            && !self.cx.is_stopping()
    }

    /// Starts calls up to the allowed concurrency.
    fn request(&mut self) {
        // Looked at once per round and not per call, because it asks the clock.
        let may_request = self.may_request();
        while may_request && self.in_flight.len() < self.cx.config().conversation_concurrency {
            let Some(thread) = self.backlog.take() else {
                break;
            };
            let workspace = self.cx.workspace.clone();
            self.in_flight.start(async move {
                let id = &thread.source_id;
                let answer = workspace.read(&Endpoint::Conversation { id }).await;
                let read = answer.map(|answer| ThreadRead::of(answer, id));
                (thread, read)
            });
            self.last_request = Instant::now();
        }
    }

    async fn receive(
        &mut self,
        thread: PendingThread,
        answer: Result<ThreadRead, Error>,
    ) -> Result<(), SliceError> {
        match answer {
            // The calls in flight are still stored.
            Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                // The thread was not read, so it must not lose its turn or an attempt.
                self.backlog.give_back(thread);
                self.stop = Some(Stop::Until(until));
            }
            Err(Error::Closed) => self.stop = Some(Stop::Closed),
            answer => {
                if let Err(error) = &answer {
                    self.doubt.note(error);
                }
                self.batch.add(thread, answer);
            }
        }
        if !self.batch.fetched.is_empty() {
            self.doubt.note_served();
        }
        // A thread that is served later shows that the others may be, too.
        match self.stop {
            None if self.doubt.is_of_all() => self.stop = Some(Stop::Refused),
            Some(Stop::Refused) if !self.doubt.is_of_all() => self.stop = None,
            _ => {}
        }
        self.answered |= self.batch.has_answers();
        if self.batch.is_full() {
            // While Postgres writes, Intercom answers.
            self.request();
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

    /// Whether Intercom answers for no thread. One new thread alone may be the cause itself, unless others wait for
    /// their turn or the last slice failed too.
    fn is_outage(&self) -> bool {
        let is_alone = self.backlog.is_empty() && self.cx.state.attempts == 0;
        let fewest = if is_alone { 2 } else { 1 };
        !self.answered && self.batch.new_unanswered() >= fewest
    }

    async fn end(mut self) -> Result<SliceOutcome, SliceError> {
        let is_outage = self.is_outage();
        // Calls in flight are dropped here, and their threads stay pending.
        drop(self.in_flight);
        let cx = self.cx;
        if is_outage {
            return outage(cx, self.batch).await;
        }
        // No outage, so the failure counts as an attempt of its thread.
        self.batch.give_up_unanswered();
        store(cx, self.batch).await?;
        match self.stop {
            Some(Stop::Closed) => return Err(Error::Closed.into()),
            Some(Stop::Until(until)) => return Ok(SliceOutcome::snooze_until(until)),
            _ => {}
        }
        let mut served = self.doubt.is_served();
        if let Some(refusal) = self.doubt.into_refusal(cx.state.blocked) {
            if !another_is_served(cx).await? {
                return Err(refusal.into());
            }
            note_served(cx).await?;
            served = true;
        }
        end(cx, served).await
    }
}
