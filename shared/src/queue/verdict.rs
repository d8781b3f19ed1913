//! What happens to a ticket after its slice.

use std::time::Duration;

/// The end of a slice, as the queue sees it. Waiting is not failing: it burns no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is owed now; Postgres knows when it will be again.
    Done,
    /// There is more: back to the end of the tenant's turn.
    More,
    /// Not before this much time has passed: parked, without a slot.
    Wait(Duration),
    /// Not begun: as if it had never been taken.
    Back,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::More => "more",
            Self::Wait(_) => "wait",
            Self::Back => "back",
        }
    }
}
