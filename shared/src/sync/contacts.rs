//! Contacts: a full walk of the list, or a search for changes.
//!
//! Contact search counts in whole days up to version 2.16, and in seconds from 2.17 on. A search therefore begins well
//! before the watermark (see `overlap_probe.rs`), newest first, and stops at the first record older than the
//! watermark. It costs only the pages that changed. A record that changes during the walk is newer than the walk's
//! start, and the watermark never passes that start, so the next walk finds the record.
//!
//! Search never shows deleted, archived or merged contacts. A full walk notes which stored contacts were not shown.
//! Contacts that are absent from two full walks are asked for by id afterwards, in batches between two polls.
//!
//! If a page keeps failing, the walk goes around the failing contact: see `contact_culprit.rs`.

use std::time::Instant;

use super::{
    SliceError, SliceOutcome,
    calls::Calls,
    contact_culprit::{Way, is_suspected, narrow},
    contact_page::{Completed, ContactsAnswer, ContactsRead, complete, take_in},
    contact_questions::{self, Questions},
    contact_store::store,
    contact_walk::ContactWalk,
    course::Course,
    slice::SliceContext,
};
use crate::{
    domain::Verdict,
    intercom::{Error, Refusal},
};

/// Works one slice: pages of the walk, a page of a poll, or a batch of questions.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "contacts", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    if let Some(questions) = Questions::under_way(cx) {
        return contact_questions::ask(cx, questions).await;
    }
    let mut course = Course::open(cx).await?;
    let result = pages(cx, &mut course).await;
    course.settle(cx, result).await
}

/// A call that was served, and what it says.
type Answer = Result<Result<ContactsAnswer, Error>, Error>;

/// Reads pages one after the other. Each page of the list is fetched while the one before it is stored.
async fn pages(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
) -> Result<SliceOutcome, SliceError> {
    let begun_at = Instant::now();
    let mut calls: Calls<Answer> = Calls::default();
    calls.start(next_page(cx, course));
    while let Some(answer) = calls.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return refused(cx, course, error).await,
        };
        let (answer, mut page) = take_in(cx, course, answer?)?;
        // The lists of companies, the count and the next page may need it.
        answer.release_slot();
        let completed = complete(cx, course, &mut page).await?;
        // Last, so that no call of this page waits for memory that the next page holds.
        if may_read_ahead(cx, course, begun_at) {
            calls.start(next_page(cx, course));
        }
        let outcome = store(cx, course, page, completed).await?;
        // The records count in the response memory until they are stored.
        drop(answer);
        if calls.is_empty() {
            return Ok(outcome);
        }
    }
    Ok(Verdict::Requeue.into())
}

fn next_page(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
) -> impl Future<Output = Answer> + Send + use<> {
    let call = course
        .ask(cx.workspace.version())
        .fetch(cx.workspace.clone());
    async move { call.await.map(ContactsAnswer::read) }
}

/// The list has one chain of pages, so only the next page can be asked for. A search may end before its last page.
fn may_read_ahead(cx: &SliceContext<'_>, course: &Course<ContactWalk>, begun_at: Instant) -> bool {
    let worked = begun_at.elapsed();
    course.is_listed()
        && course.chain.after.is_some()
        && !cx.is_retry()
        && cx.may_read_on(worked)
        && !course.is_poll_due(cx, worked)
}

/// What follows from a call that Intercom did not serve.
async fn refused(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    error: Error,
) -> Result<SliceOutcome, SliceError> {
    match error {
        // The new size is saved before it is tried, so that a worker that dies of it does not begin
        // with the large page again.
        Error::TooLarge(_) if course.chain.page_size.shrink() => {
            course.suspects = None;
            cx.save_cursor_only(course).await?;
            Ok(Verdict::Requeue.into())
        }
        error if course.chain.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) => {
            if course.chain.page_size.refused() {
                return start_over(cx, course).await;
            }
            Err(SliceError::StartOver("intercom no longer knows the cursor"))
        }
        error if is_suspected(cx, course, &error) => match narrow(cx, course, error).await? {
            Way::On => Ok(Verdict::Requeue.into()),
            Way::Ends(unread, total) => {
                let page = ContactsRead {
                    ended: true,
                    ..ContactsRead::default()
                };
                let completed = Completed {
                    unread: vec![unread],
                    total,
                };
                store(cx, course, page, completed).await
            }
        },
        error => Err(error.into()),
    }
}

/// Begins the walk anew with the pages' new size. This is not a failure, which would lose the size.
async fn start_over(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
) -> Result<SliceOutcome, SliceError> {
    // The cursor belongs to the old page size, so every page is read again.
    let page_size = course.chain.page_size.clone();
    course.restart(cx);
    course.chain.page_size = page_size;
    let mut tx = cx.begin().await?;
    if !course.is_polling() {
        tx.begin_absence_scan(cx.key).await?;
    }
    tx.save_cursor_only(cx.key, course).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}
