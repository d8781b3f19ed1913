//! Finds the conversation that makes its search page fail, sets its second aside, and steps over it.

use chrono::{DateTime, TimeDelta};

use super::{
    SliceError, SliceOutcome,
    bisect::{Bisect, Found},
    conversation_walk::ConversationWalk,
    course::Course,
    record_faults::may_be_a_record,
    set_aside::set_aside,
    slice::SliceContext,
};
use crate::{
    domain::Verdict,
    intercom::{Endpoint, Error, Search, wire::Page},
    store::{ProofDelta, Retry, SetAside},
};

/// Narrows the search after a failed page: to fewer records, or to an earlier time once the next record is the one.
///
/// # Errors
/// The page's own error, when no record can be its cause.
pub(super) async fn narrow(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    error: Error,
) -> Result<SliceOutcome, SliceError> {
    let walk: &mut ConversationWalk = course;
    // No record newer than this was left out. The day covers the difference between Intercom's clock and ours.
    let newest = || {
        walk.before
            .unwrap_or(walk.pages.begun_at + TimeDelta::days(1))
    };
    let reached = walk.reached.unwrap_or_else(newest).timestamp();
    // The first failure begins with the page's own size, because a bisection halves it.
    let found = walk.bisect.take().map_or_else(
        || Found::NotYet(Bisect::begin(walk.pages.page_size.records())),
        |bisect| bisect.failed(reached),
    );
    // No record is to blame if the pages are not sorted, or if every search down to the oldest record fails.
    let is_hopeless = |next: &Bisect| {
        next.probe()
            .is_some_and(|before| !walk.sorted || before <= walk.after_time().timestamp())
    };
    walk.bisect = match found {
        Found::NotYet(next) if !is_hopeless(&next) => Some(next),
        _ => None,
    };
    let goes_on = walk.bisect.is_some();
    cx.save_cursor_only(course).await?;
    if goes_on {
        Ok(Verdict::Requeue.into())
    } else {
        Err(error.into())
    }
}

/// Searches one record older than `before`, to find the second of the failing one.
pub(super) async fn probe(
    cx: &SliceContext<'_>,
    course: &mut Course<ConversationWalk>,
    before: i64,
) -> Result<SliceOutcome, SliceError> {
    let search = Search {
        before: DateTime::from_timestamp(before, 0),
        starting_after: None,
        per_page: 1,
        ..course.search()
    };
    let read = Endpoint::ConversationsSearch { search: &search };
    let answer = match cx.workspace.read(&read).await {
        Err(error) if may_be_a_record(&error) => return narrow(cx, course, error).await,
        answer => answer?,
    };
    let is_empty = Page::split(&answer.body)?.items.is_empty();
    let found = course.bisect.take().map_or(Found::Nothing, Bisect::worked);
    let mut tx = cx.begin().await?;
    match found {
        Found::NotYet(bisect) => {
            course.bisect = Some(bisect);
            tx.save_cursor_only(cx.key, course).await?;
        }
        Found::Nothing => tx.save_cursor_only(cx.key, course).await?,
        // If no record at all was readable, the search itself is broken, and quarantine would hide that.
        Found::At(_) if is_empty && course.pages.seen == 0 => {
            tx.save_cursor_only(cx.key, course).await?;
            tx.commit().await?;
            return Err(
                Error::Unavailable("every search that is not empty fails".to_owned()).into(),
            );
        }
        Found::At(second) => {
            let unread = [unread(course, second)];
            let healed = set_aside(&mut tx, cx, "conversation", &unread).await?;
            course.pages.poisoned += 1;
            // The walk resumes behind the failing second, without a cursor that leads into it.
            course.before = DateTime::from_timestamp(second, 0);
            course.pages.after = None;
            let delta = ProofDelta {
                healed,
                ..ProofDelta::default()
            };
            tx.save_cursor(cx.key, course, delta).await?;
        }
    }
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// The second that is set aside. Its conversation's id is unknown, because no search that holds it works.
fn unread(walk: &ConversationWalk, second: i64) -> SetAside {
    let until = walk.reached.map_or_else(
        || "now".to_owned(),
        |reached| reached.timestamp().to_string(),
    );
    let reason = format!(
        "intercom's search fails for changes from {second} to {until}, so they were not read"
    );
    SetAside::unread(format!("updated_at:{second}"), Retry::Walk, reason)
}
