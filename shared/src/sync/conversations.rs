//! Conversation stubs: everything by `created_at`, or the changes by `updated_at`, newest first.
//!
//! A full walk reads ranges of `created_at` side by side (`walk_ranges.rs`), because one page after the other would take
//! hours in a large workspace. `created_at` never changes, so a conversation stays in its range while the walk runs. One
//! that begins or changes meanwhile comes with a search for changes from before the walk's start. That search is one
//! chain of pages, because what changes moves. So is a full walk, if Intercom does not search or sort by `created_at`: it
//! then goes by `updated_at`.
//!
//! A range follows Intercom's own cursor, a keyset that survives a restart. If the cursor dies, the range goes on by time
//! (`walk_range.rs`).
//!
//! A full walk notes which stored conversations were not shown. Conversations that are absent from two full walks are
//! fetched by their threads.
//!
//! If a page keeps failing, the failing record is found, quarantined and stepped over: see `conversation_bisect.rs`.

use std::time::{Duration, Instant};

use super::{
    SliceError, SliceOutcome,
    bisect::Bisect,
    calls::Calls,
    conversation_answer::{Setback, take_in},
    conversation_page::{Asked, Read, fetch},
    conversation_store::{StubBatch, store},
    conversation_walk::{ConversationWalk, WalkedBy},
    course::Course,
    record_faults::may_be_a_record,
    slice::SliceContext,
    walk_ranges::RangeEnd,
};
use crate::{
    domain::{Class, Stream, Verdict},
    intercom::Error,
};

/// A call that has not been answered after this is slow. The other ranges go on beside it.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// They do not go on beside it after this, because the slice must end.
const MAX_SLOW_TIME: Duration = Duration::from_secs(30);

/// Works one slice: the next pages of the walk or of a poll, with steps of bisections among them.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "conversations", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut course = Course::open(cx).await?;
    let result = Reading::begin(cx, &mut course).work().await;
    course.settle(cx, result).await
}

/// The pages that a slice reads.
///
/// A page waits for no other one before it is stored, so it keeps its part of the response memory until then.
struct Reading<'a> {
    cx: &'a SliceContext<'a>,
    course: &'a mut Course<ConversationWalk>,
    calls: Calls<(Asked, Result<Read, Error>)>,
    in_flight: Vec<Asked>,
    /// Read and not stored.
    batch: StubBatch,
    /// Ranges whose page failed. The next slice asks for it again.
    failed: Vec<RangeEnd>,
    /// The first failure.
    failure: Option<SliceError>,
    stop: Option<Stop>,
    /// Whether any page was read.
    has_read: bool,
    threads_due: bool,
    begun_at: Instant,
}

/// Why no new call may start.
#[derive(Clone, Copy)]
enum Stop {
    /// The rate budget is spent until then.
    Until(Instant),
    /// A call failed, and the others would fail as well.
    Failed,
    /// Intercom does not search or sort by `created_at`.
    NotByCreation,
}

impl<'a> Reading<'a> {
    fn begin(cx: &'a SliceContext<'a>, course: &'a mut Course<ConversationWalk>) -> Self {
        Self {
            cx,
            course,
            calls: Calls::default(),
            in_flight: Vec::new(),
            batch: StubBatch::default(),
            failed: Vec::new(),
            failure: None,
            stop: None,
            has_read: false,
            threads_due: false,
            begun_at: Instant::now(),
        }
    }

    async fn work(mut self) -> Result<SliceOutcome, SliceError> {
        loop {
            self.request();
            let Some((asked, answer)) = self.calls.next().await else {
                return self.end().await;
            };
            self.receive(asked, answer)?;
            // What has come meanwhile is stored in the same transaction.
            while !self.batch.is_full()
                && let Some((asked, answer)) = self.calls.ready()
            {
                self.receive(asked, answer)?;
            }
            let batch = std::mem::take(&mut self.batch);
            self.has_read |= batch.has_pages();
            let stored = store(self.cx, self.course, batch).await?;
            self.threads_due |= stored.threads_due;
            if let Some(verdict) = stored.ended {
                return Ok(self.outcome(verdict));
            }
        }
    }

    /// Asks for the next page of each range that may have one. The ranges that have failed least come first.
    fn request(&mut self) {
        let max_calls = self.max_calls();
        let (in_flight, failed) = (&self.in_flight, &self.failed);
        let is_busy =
            |end| in_flight.iter().any(|asked| asked.range == end) || failed.contains(&end);
        self.course.divide(max_calls, is_busy);
        let mut idle: Vec<_> = (self.course.ranges.open().iter())
            .filter(|range| !is_busy(range.until))
            .map(|range| (range.attempts, range.until))
            .collect();
        idle.sort_unstable_by_key(|(attempts, _)| *attempts);
        idle.truncate(max_calls.saturating_sub(in_flight.len()));
        for (_, end) in idle {
            self.start(end);
        }
    }

    /// How many calls may be in flight.
    fn max_calls(&self) -> usize {
        let worked = self.begun_at.elapsed();
        // The slice waits for its slow calls in any case.
        let counted = if worked < MAX_SLOW_TIME && self.waits_for_slow_call() {
            Duration::ZERO
        } else {
            worked
        };
        let may_read_on = self.stop.is_none()
            && self.cx.may_read_on(counted)
            && !self.course.is_poll_due(self.cx, worked);
        if !may_read_on || (self.cx.is_retry() && self.has_read) {
            0
        } else if self.cx.is_retry() {
            1
        } else {
            self.cx.config().conversation_concurrency
        }
    }

    fn waits_for_slow_call(&self) -> bool {
        (self.in_flight.iter()).any(|asked| asked.at.elapsed() >= SLOW_AFTER)
    }

    fn start(&mut self, end: RangeEnd) {
        let walk: &ConversationWalk = self.course;
        let Some(range) = walk.ranges.open().iter().find(|range| range.until == end) else {
            return;
        };
        let probe = range.bisect.as_ref().and_then(Bisect::probe);
        let search = match probe {
            Some(before) => walk.probe(range, before),
            None => walk.search(range),
        };
        // One call at a time goes before the threads of all tenants. The others leave the neighbours' polls their part of
        // the budget.
        let is_first = !self
            .in_flight
            .iter()
            .any(|asked| asked.class == Class::Fresh);
        let asked = Asked {
            range: end,
            is_probe: probe.is_some(),
            class: if is_first {
                Class::Fresh
            } else {
                Class::Backfill
            },
            at: Instant::now(),
        };
        let workspace = self.cx.workspace.clone().in_class(asked.class);
        self.in_flight.push(asked);
        self.calls
            .start(async move { (asked, fetch(workspace, search).await) });
    }

    /// Takes in an answer.
    ///
    /// # Errors
    /// If the lease is lost, so that nothing that was read may be stored.
    fn receive(&mut self, asked: Asked, answer: Result<Read, Error>) -> Result<(), SliceError> {
        self.in_flight.retain(|other| other.range != asked.range);
        match take_in(self.cx, self.course, &mut self.batch, asked, answer) {
            Ok(()) => {}
            Err(Setback::Failed(SliceError::Intercom(Error::Closed))) => {
                return Err(Error::Closed.into());
            }
            Err(Setback::Failed(error)) => self.fail(asked, error),
            Err(Setback::Spent(until)) => {
                self.stop.get_or_insert(Stop::Until(until));
            }
            Err(Setback::NotByCreation) => self.stop = Some(Stop::NotByCreation),
        }
        Ok(())
    }

    /// The page of one range failed. The others go on if a record may be the cause.
    fn fail(&mut self, asked: Asked, error: SliceError) {
        let text = format!("a page of {:?}: {error}", asked.range);
        crate::log_failure!(self.cx.ctx.failures.stream_failed(self.cx.key, &text), warn, { range = ?asked.range, %error }, "a page of conversations failed");
        self.failed.push(asked.range);
        if !matches!(&error, SliceError::Intercom(error) if may_be_a_record(error)) {
            self.stop.get_or_insert(Stop::Failed);
        }
        self.failure.get_or_insert(error);
    }

    async fn end(self) -> Result<SliceOutcome, SliceError> {
        // A range that fails alone must not slow the others down, so it is no failed attempt while they go on.
        let others_go_on = self.has_read
            && self.failed.len() < self.course.ranges.open().len()
            && !matches!(self.stop, Some(Stop::Failed));
        let outcome = self.outcome(Verdict::Requeue);
        match (self.failure, self.stop) {
            (_, Some(Stop::NotByCreation)) => walk_by_change(self.cx, self.course).await,
            (Some(error), _) if !others_go_on => Err(error),
            (_, Some(Stop::Until(until))) => Ok(SliceOutcome {
                also_due: outcome.also_due,
                ..SliceOutcome::snooze_until(until).labelled("rate_limited")
            }),
            _ => Ok(outcome),
        }
    }

    fn outcome(&self, verdict: Verdict) -> SliceOutcome {
        let also_due = self.threads_due.then_some(Stream::Threads);
        SliceOutcome::from(verdict).with_due(also_due.into_iter().collect())
    }
}

/// Begins a full walk anew, by `updated_at` and in one range.
async fn walk_by_change(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
) -> Result<SliceOutcome, SliceError> {
    tracing::warn!(
        "intercom does not search or sort conversations by created_at, so they are walked by updated_at"
    );
    course.restart(cx);
    course.by = WalkedBy::UpdatedAt;
    let mut tx = cx.begin().await?;
    tx.begin_absence_scan(cx.key).await?;
    tx.save_cursor_only(cx.key, course).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}
