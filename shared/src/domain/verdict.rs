//! What happens to a ticket after its slice.

use std::time::Duration;

/// The end of a slice, as the queue sees it. Only a crash costs an attempt, none of these does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is due now. Postgres knows when the stream is due again.
    Done,
    /// More is due now. The ticket goes to the end of its tenant's turn.
    Requeue,
    /// Nothing is due before this much time has passed. The ticket is parked and takes no slot.
    Snooze(Duration),
    /// The slice did not begin. The ticket goes to the front, as if it had never been leased.
    Release,
}

impl Verdict {
    /// The word of the queue's scripts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Requeue => "requeue",
            Self::Snooze(_) => "snooze",
            Self::Release => "release",
        }
    }
}
