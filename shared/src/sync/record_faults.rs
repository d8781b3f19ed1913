//! Which failures may be one record's, and which say nothing of any record.

use super::slice::SliceContext;
use crate::intercom::{Error, Refusal};

/// This many server errors in a row on one page may come from one record. A 404 counts at once, because it is not
/// transient.
pub(super) const KEEPS_FAILING: i32 = 3;

/// Whether a record in the page may be the cause of the failure.
pub(super) fn may_be_a_record(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_)) || error.refusal() == Some(&Refusal::NotFound)
}

/// Whether the same page has failed often enough to look for a record.
pub(super) fn keeps_failing(cx: &SliceContext<'_>, error: &Error) -> bool {
    cx.state.attempts >= KEEPS_FAILING || error.refusal() == Some(&Refusal::NotFound)
}

/// Whether no call of the slice can be made now, so that the failure is none of the record that was asked for.
pub(super) const fn stops_all(error: &Error) -> bool {
    matches!(
        error,
        Error::Exhausted { .. } | Error::Throttled { .. } | Error::Closed
    )
}
