//! Finds the way around a contact that makes its page fail.
//!
//! A page that keeps failing is requested in smaller pages, until the next contact is the one. No cursor leads past it,
//! so it is approached from the other side. The list has no other side, and a search for everything takes its place.
//! The search is read from the newest change on up to the contact, and then from the oldest one on. What lies between
//! the two is the contact. It is set aside, and the walk ends.

use super::{
    SliceError,
    contact_route::Route,
    contact_walk::ContactWalk,
    course::Course,
    record_faults::{keeps_failing, may_be_a_record},
    slice::SliceContext,
};
use crate::{
    intercom::{Endpoint, Error, Order, Search, wire::Page},
    store::{Retry, SetAside},
};

/// Whether to look for a contact that makes the page fail.
pub(super) fn is_suspected(cx: &SliceContext<'_>, walk: &ContactWalk, error: &Error) -> bool {
    may_be_a_record(error) && (walk.suspects.is_some() || keeps_failing(cx, error))
}

/// How a walk goes on after a page that keeps failing.
pub(super) enum Way {
    /// In smaller pages, or from the other side.
    On,
    /// Both ways have come to the contact. It is set aside, and the walk ends. The count is Intercom's of all contacts.
    Ends(SetAside, Option<i64>),
}

/// Narrows a failed page down to one contact, and goes around it.
///
/// # Errors
/// The page's own error, when no contact can be its cause.
pub(super) async fn narrow(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    error: Error,
) -> Result<Way, SliceError> {
    let failed = match course.suspects {
        None => course.chain.page_size.records(),
        Some(suspects) => suspects.div_ceil(2),
    };
    if failed > 1 {
        course.suspects = Some(failed);
    } else if let Some(route) = other_side(course) {
        course.route = route;
        course.suspects = None;
        course.chain.after = None;
        if route == Route::NewestFirst {
            // The search counts the contacts anew.
            course.pages.seen = 0;
            course.pages.poisoned = 0;
        }
    } else {
        return give_up(cx, course, error).await;
    }
    cx.save_cursor_only(course).await?;
    Ok(Way::On)
}

/// The next way to the contacts behind the one that is at hand.
fn other_side(walk: &ContactWalk) -> Option<Route> {
    match walk.route {
        Route::Usual if walk.pages.is_full() => Some(Route::NewestFirst),
        // An order that is none has no other side.
        Route::Usual | Route::NewestFirst if !walk.is_unsorted => Some(Route::OldestFirst {
            until: walk.reached,
        }),
        _ => None,
    }
}

/// Both ways have come to the contact: sets it aside and ends the walk.
async fn give_up(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    error: Error,
) -> Result<Way, SliceError> {
    let Route::OldestFirst { until } = course.route else {
        return Err(error.into());
    };
    // If a contact that was read before cannot be read either, the search itself is broken, and no contact is to blame.
    let first = Search {
        per_page: 1,
        order: if until.is_some() {
            Order::Descending
        } else {
            Order::Ascending
        },
        ..course.search()
    };
    let read = Endpoint::ContactsSearch {
        search: &first,
        merge_history: false,
    };
    let total = Page::split(&cx.workspace.read(&read).await?.body)?.total_count;
    if course.pages.seen == 0 {
        return Err(error.into());
    }
    let until = until.map_or_else(|| "now".to_owned(), |until| until.timestamp().to_string());
    let reason = format!(
        "intercom's search fails for a contact that changed before {until}, so it was not read: {error}"
    );
    let unread = SetAside::unread(format!("updated_at:{until}"), Retry::Walk, reason);
    course.suspects = None;
    course.chain.after = None;
    let total = total.filter(|_| course.shows_all() && !course.is_polling());
    Ok(Way::Ends(unread, total))
}
