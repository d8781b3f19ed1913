//! Finds the conversation that makes its search page fail, quarantines its second, and steps over it.

use chrono::{DateTime, TimeDelta};

use super::{
    SliceError, SliceOutcome,
    bisect::{Bisect, Found},
    conversation_walk::ConversationWalk,
    slice::SliceContext,
};
use crate::{
    domain::{Verdict, records::Poison},
    intercom::{Endpoint, Error, Refusal, Search, wire::Page},
    store::ProofDelta,
};

/// This many server errors in a row on one page may come from one record. A 404 counts at once, because it is not
/// transient.
const ATTEMPTS: i32 = 3;

/// Whether a record in the page may be the cause of the failure.
pub(super) fn may_be_a_record(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_)) || error.refusal() == Some(&Refusal::NotFound)
}

/// Whether the same page has failed often enough to look for a record.
pub(super) fn keeps_failing(cx: &SliceContext<'_>, error: &Error) -> bool {
    cx.state.attempts >= ATTEMPTS || error.refusal() == Some(&Refusal::NotFound)
}

/// Narrows the search after a failed page: to fewer records, or to an earlier time once the next record is the one.
///
/// # Errors
/// The page's own error, when no record can be its cause.
pub(super) async fn narrow(
    cx: &SliceContext<'_>,
    mut walk: ConversationWalk,
    error: Error,
) -> Result<SliceOutcome, SliceError> {
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
    cx.save_cursor_only(&walk).await?;
    if walk.bisect.is_some() {
        Ok(Verdict::Requeue.into())
    } else {
        Err(error.into())
    }
}

/// Searches one record older than `before`, to find the second of the failing one.
pub(super) async fn probe(
    cx: &SliceContext<'_>,
    mut walk: ConversationWalk,
    before: i64,
) -> Result<SliceOutcome, SliceError> {
    let search = Search {
        before: DateTime::from_timestamp(before, 0),
        starting_after: None,
        per_page: 1,
        ..walk.search()
    };
    let read = Endpoint::ConversationsSearch { search: &search };
    let answer = match cx.workspace.read(&read).await {
        Err(error) if may_be_a_record(&error) => return narrow(cx, walk, error).await,
        answer => answer?,
    };
    let is_empty = Page::split(&answer.body)?.items.is_empty();
    let found = walk.bisect.take().map_or(Found::Nothing, Bisect::worked);
    let mut tx = cx.begin().await?;
    match found {
        Found::NotYet(bisect) => {
            walk.bisect = Some(bisect);
            tx.save_cursor_only(cx.key, &walk).await?;
        }
        Found::Nothing => tx.save_cursor_only(cx.key, &walk).await?,
        // If no record at all was readable, the search itself is broken, and quarantine would hide that.
        Found::At(_) if is_empty && walk.pages.seen == 0 => {
            tx.save_cursor_only(cx.key, &walk).await?;
            tx.commit().await?;
            return Err(
                Error::Unavailable("every search that is not empty fails".to_owned()).into(),
            );
        }
        Found::At(second) => {
            let poison = unreadable(&walk, second);
            let quarantined = tx.quarantine(cx.key.connection, &[poison]).await?;
            walk.pages.poisoned += 1;
            // The walk resumes behind the failing second, without a cursor that leads into it.
            walk.before = DateTime::from_timestamp(second, 0);
            walk.pages.after = None;
            let delta = ProofDelta {
                quarantined,
                ..ProofDelta::default()
            };
            tx.save_cursor(cx.key, &walk, delta).await?;
        }
    }
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// The quarantined second. Its conversation's id is unknown, because no search that holds it works.
fn unreadable(walk: &ConversationWalk, second: i64) -> Poison {
    let until = walk.reached.map_or_else(
        || "now".to_owned(),
        |reached| reached.timestamp().to_string(),
    );
    Poison {
        kind: "conversation",
        source_id: format!("updated_at:{second}"),
        reason: format!(
            "intercom's search fails for changes from {second} to {until}, so they were not read"
        ),
        raw: Vec::new(),
    }
}
