//! A failed attempt: how many there were, its cause in words, and the wait until the next one.

use std::time::Duration;

use super::{SliceError, SliceOutcome};
use crate::{domain::Verdict, store::StoreError};

/// Characters of a failure's cause that Postgres keeps.
const MAX_CAUSE_CHARS: usize = 1000;
/// Longer waits end the ticket, because Postgres remembers the due time.
const MAX_SNOOZE: Duration = Duration::from_secs(30);

/// What a failure leads to, once it is stored.
pub(super) type Consequence = Result<SliceOutcome, StoreError>;

/// How often the stream has failed: in a row, and by starting over since its last walk ended.
#[derive(Clone, Copy)]
pub(super) struct Tries {
    pub(super) attempts: i32,
    pub(super) restarts: i32,
    /// Whether the connection's token is believed to work.
    pub(super) active: bool,
}

/// The end of a slice whose stream is due again after so long.
pub(super) fn retry_after(wait: Duration) -> SliceOutcome {
    // A parked ticket would delay a resync that makes the stream due meanwhile.
    let verdict = if wait > MAX_SNOOZE {
        Verdict::Done
    } else {
        Verdict::Snooze(wait)
    };
    SliceOutcome::from(verdict).labelled("retry")
}

/// The error and its causes, in one line. The stored cause is what operators read.
pub(super) fn describe(error: &SliceError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    // Postgres refuses NUL in text.
    text.replace('\0', "\u{fffd}")
        .chars()
        .take(MAX_CAUSE_CHARS)
        .collect()
}
