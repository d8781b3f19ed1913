//! What an answer to a search for stubs means: a page that lands, a step of a bisection, or a setback.
//!
//! The walk moves only in memory here. It is stored with the batch that the answer's stubs join.

use std::time::Instant;

use super::{
    SliceError,
    conversation_bisect::{narrow, probed},
    conversation_page::{Asked, ConversationPage, Read},
    conversation_store::StubBatch,
    conversation_walk::{ConversationWalk, NotByCreation, WalkedBy},
    course::Course,
    record_faults::{keeps_failing, may_be_a_record},
    slice::SliceContext,
};
use crate::intercom::{Error, Refusal};

/// Why an answer is no page of the walk.
#[derive(Debug)]
pub(super) enum Setback {
    /// The range's page failed. The next slice asks for it again.
    Failed(SliceError),
    /// The rate budget is spent until then, so nothing was asked.
    Spent(Instant),
    /// Intercom does not search or sort by `created_at`.
    NotByCreation,
}

impl From<SliceError> for Setback {
    fn from(error: SliceError) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes in an answer.
///
/// # Errors
/// See [`Setback`].
pub(super) fn take_in(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    batch: &mut StubBatch,
    asked: Asked,
    answer: Result<Read, Error>,
) -> Result<(), Setback> {
    match answer {
        Ok(Ok(page)) if asked.is_probe => {
            batch.note_step(None);
            batch.note_step(probed(course, asked.range, &page)?);
            Ok(())
        }
        Ok(Ok(page)) => land(course, batch, asked, page),
        Ok(Err(error)) => Err(error.into()),
        Err(Error::Exhausted { until } | Error::Throttled { until }) => Err(Setback::Spent(until)),
        Err(error) => refused(cx, course, batch, asked, error),
    }
}

fn land(
    course: &mut Course<ConversationWalk>,
    batch: &mut StubBatch,
    asked: Asked,
    page: ConversationPage,
) -> Result<(), Setback> {
    let Some(range) = course.ranges.at(asked.range) else {
        return Ok(());
    };
    if range.chain.leads_to_itself(page.next.as_deref()) {
        return resume_by_time(course, batch, asked);
    }
    match course.land(asked.range, &page) {
        Ok(()) => {
            course.note_page();
            batch.add(page);
            Ok(())
        }
        Err(NotByCreation) => Err(Setback::NotByCreation),
    }
}

/// A call that Intercom did not serve.
fn refused(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    batch: &mut StubBatch,
    asked: Asked,
    error: Error,
) -> Result<(), Setback> {
    let is_alone = course.ranges.open().len() == 1;
    let Some(range) = course.ranges.at(asked.range) else {
        return Ok(());
    };
    match error {
        Error::TooLarge(_) if !asked.is_probe && range.chain.page_size.shrink() => {
            // A smaller page may no longer hold the failing record, so a bisection begins again.
            range.bisect = None;
            batch.note_step(None);
            Ok(())
        }
        error if error.refusal() == Some(&Refusal::BadRequest) && !asked.is_probe => {
            if range.chain.after.is_some() {
                range.chain.page_size.refused();
                return resume_by_time(course, batch, asked);
            }
            if course.by == WalkedBy::CreatedAt {
                return Err(Setback::NotByCreation);
            }
            Err(error.into())
        }
        error if may_be_a_record(&error) => {
            if range.bisect.is_some() || range.keeps_failing() || keeps_failing(cx, &error) {
                batch.note_step(None);
                return if narrow(course, asked.range) {
                    Ok(())
                } else {
                    Err(stuck(course, asked, error.into()))
                };
            }
            if !is_alone {
                // The progress of the other ranges forgets the attempts of the stream.
                range.attempts += 1;
                batch.note_step(None);
            }
            Err(error.into())
        }
        error => Err(error.into()),
    }
}

fn resume_by_time(
    course: &mut Course<ConversationWalk>,
    batch: &mut StubBatch,
    asked: Asked,
) -> Result<(), Setback> {
    if course.resume_by_time(asked.range) {
        batch.note_progress();
        return Ok(());
    }
    let error = SliceError::StartOver("intercom no longer knows the cursor");
    Err(stuck(course, asked, error))
}

/// A range that cannot go on. If that is because its pages are not sorted by `created_at`, it can by `updated_at`.
fn stuck(walk: &ConversationWalk, asked: Asked, error: SliceError) -> Setback {
    if walk.by == WalkedBy::CreatedAt && walk.ranges.is_unsorted(asked.range) {
        Setback::NotByCreation
    } else {
        Setback::Failed(error)
    }
}
