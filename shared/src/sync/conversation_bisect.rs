//! Finds the conversation that makes its search page fail, sets its second aside, and steps over it.

use super::{
    SliceError,
    bisect::{Bisect, Found},
    conversation_page::ConversationPage,
    conversation_walk::ConversationWalk,
    walk_range::Range,
    walk_ranges::RangeEnd,
};
use crate::{
    intercom::Error,
    store::{Retry, SetAside},
};

/// Narrows the search after a failed page: to fewer records, or to an earlier time once the next record is the one.
/// False when no record can be the cause.
pub(super) fn narrow(walk: &mut ConversationWalk, end: RangeEnd) -> bool {
    let (newest, oldest) = (walk.newest(), walk.after_time().timestamp());
    let Some(range) = walk.ranges.at(end) else {
        return false;
    };
    // No record newer than this was left out.
    let reached = range.reached.or(range.until).unwrap_or(newest);
    // The first failure begins with the page's own size, because a bisection halves it.
    let found = range.bisect.take().map_or_else(
        || Found::NotYet(Bisect::begin(range.chain.page_size.records())),
        |bisect| bisect.failed(reached),
    );
    range.bisect = match found {
        Found::NotYet(next) if !is_hopeless(&next, range, oldest) => Some(next),
        _ => None,
    };
    if range.bisect.is_none() {
        range.attempts = 0;
    }
    range.bisect.is_some()
}

/// No record is to blame if the pages are not sorted, or if every search down to the oldest record fails.
fn is_hopeless(next: &Bisect, range: &Range, oldest: i64) -> bool {
    let Some(before) = next.probe() else {
        return false;
    };
    let is_all = match (range.from, next) {
        // A search that could show nothing has failed.
        (Some(from), Bisect::Below { failing, .. }) => *failing <= from,
        (Some(_), _) => false,
        (None, _) => before <= oldest,
    };
    range.is_unsorted || is_all
}

/// Takes in the answer to a search for one older record. Returns the second to set aside, once it is found.
///
/// # Errors
/// If no record at all was readable. The search itself is then broken, and quarantine would hide that.
pub(super) fn probed(
    walk: &mut ConversationWalk,
    end: RangeEnd,
    page: &ConversationPage,
) -> Result<Option<SetAside>, SliceError> {
    let (by, seen) = (walk.by, walk.pages.seen);
    let Some(range) = walk.ranges.at(end) else {
        return Ok(None);
    };
    let found = range.bisect.take().map_or(Found::Nothing, Bisect::worked);
    let second = match found {
        Found::At(second) => second,
        Found::NotYet(bisect) => {
            range.bisect = Some(bisect);
            return Ok(None);
        }
        Found::Nothing => return Ok(None),
    };
    if page.is_empty() && seen == 0 {
        return Err(Error::Unavailable("every search that is not empty fails".to_owned()).into());
    }
    let unread = unread(by.field(), second, range.reached);
    // One conversation is known to be there. Others of the second are missing by Intercom's count.
    walk.pages.seen += 1;
    walk.pages.poisoned += 1;
    // The walk resumes behind the failing second, without a cursor that leads into it.
    walk.ranges.step_over(end, second);
    Ok(Some(unread))
}

/// The second that is set aside. Its conversation's id is unknown, because no search that holds it works.
fn unread(field: &str, second: i64, reached: Option<i64>) -> SetAside {
    let until = reached.map_or_else(|| "now".to_owned(), |reached| reached.to_string());
    let reason = format!(
        "intercom's search fails for conversations with a {field} from {second} to {until}, so they were not read"
    );
    SetAside::unread(format!("{field}:{second}"), Retry::Walk, reason)
}
