//! What becomes of a thread after an attempt to fetch it. Nothing else decides this, and the store only writes it down.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::records::PARTS_SHOWN;
use crate::backoff::Backoff;

/// A thread that is short of its count, although all of it was shown, is fetched this often before it is truncated.
/// Intercom keeps counts and parts in different stores, and the count may be ahead.
const MAX_SHORT_ANSWERS: i32 = 3;
/// 3, 6, 12 … seconds after an answer that stays behind its stub or short of its count.
const ANSWER_BACKOFF: Backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(3600));
/// The longest wait between two attempts of a thread that fails. It also bounds how late the end of its trouble shows.
const MAX_RETRY: Duration = Duration::from_secs(15 * 60);
/// Attempts that must agree before a lasting refusal is believed.
const MIN_REFUSALS: i32 = 5;
/// A blocked thread is tried again this often, because Intercom may serve it one day.
const BLOCKED_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// A thread before the attempt's result is stored, read under the lock of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadBefore {
    /// The version that the newest stub shows.
    pub newest_version: DateTime<Utc>,
    /// Attempts in a row that did not complete it.
    pub attempts: i32,
    /// Why the attempts so far failed, if they did.
    pub failing: Option<FailingThread>,
    pub is_blocked: bool,
    /// The time of the attempt, by Postgres' clock.
    pub now: DateTime<Utc>,
}

/// Why a thread cannot be fetched, and since when for this one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingThread {
    pub failure: ThreadFailure,
    pub since: DateTime<Utc>,
}

/// How long a thread is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPatience {
    /// The wait after the first failure. It doubles up to a quarter of an hour.
    pub first_retry: Duration,
    /// How long Intercom has to refuse a thread before that is believed.
    pub refusal: Duration,
    /// The time between the two answers that say that a conversation is deleted.
    pub deletion: Duration,
}

/// Why an attempt brought no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadFailure {
    /// Intercom says that there is no such conversation. It has said so of living ones too.
    Missing,
    /// Intercom refuses this conversation, for a reason of its own.
    Refused,
    /// No answer. That is an outage, however long it lasts.
    Unanswered,
    /// An answer that is not this thread.
    Garbled,
    /// The thread cannot be read. Another attempt would be no better, and each costs the whole answer.
    Unreadable,
}

/// What counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadAnswer {
    /// `updated_at` of the answer.
    pub version: DateTime<Utc>,
    /// Parts that Intercom counts. `None` if it does not.
    pub expected: Option<i32>,
    /// Whether the count may be of more parts than the answer shows.
    pub is_counted: bool,
    /// Parts that are stored now, with those of this answer.
    pub stored: i32,
    /// Parts in the answer, unreadable ones included.
    pub shown: i32,
    /// Unreadable parts in the answer.
    pub poisoned: i32,
    /// Fetched so soon after its own `version` that a second change in the same second may be missing.
    pub too_fresh: bool,
}

/// What becomes of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadFate {
    /// Every part that Intercom counts is stored.
    Complete,
    /// Intercom does not show every part that it counts.
    Truncated,
    /// Not readable until its conversation changes, or until a rare attempt after this time.
    Blocked { again: Option<Duration> },
    /// Deleted in Intercom.
    Gone,
    /// To be fetched again after this time.
    Pending(Duration),
}

/// A thread's fate, and its attempts from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadDecision {
    pub fate: ThreadFate,
    pub attempts: i32,
    /// Set after an attempt that failed.
    pub failing: Option<FailingThread>,
}

impl ThreadFailure {
    const NAMED: [(&str, Self); 5] = [
        ("missing", Self::Missing),
        ("refused", Self::Refused),
        ("unanswered", Self::Unanswered),
        ("garbled", Self::Garbled),
        ("unreadable", Self::Unreadable),
    ];

    /// As `threads.failure` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Garbled => "garbled",
            Self::Unreadable => "unreadable",
        }
    }

    /// The failure of this name. `None` for a name of a newer build, which counts as no failure so far.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, failure)| *failure)
    }

    /// Decides what becomes of a thread whose attempt failed.
    #[must_use]
    pub fn decide(self, before: ThreadBefore, patience: ThreadPatience) -> ThreadDecision {
        let repeated = before.failing.filter(|failing| failing.failure == self);
        let since = repeated.map_or(before.now, |failing| failing.since);
        // Attempts that were answered are counted for another reason.
        let attempts = 1 + before.failing.map_or(0, |_| before.attempts);
        let lasted = (before.now - since).to_std().unwrap_or_default();
        let fate = match self {
            Self::Unreadable => ThreadFate::Blocked { again: None },
            Self::Missing if repeated.is_some() && lasted >= patience.deletion => ThreadFate::Gone,
            // A deletion that is doubted is told from a refusal, so the thread is no longer blocked.
            Self::Missing => ThreadFate::Pending(patience.deletion.saturating_sub(lasted)),
            _ if before.is_blocked || self.is_believed(attempts, lasted, patience) => {
                ThreadFate::Blocked {
                    again: Some(BLOCKED_RETRY),
                }
            }
            // One failing thread does not delay the others. It waits longer after each attempt.
            _ => ThreadFate::Pending(
                Backoff::new(patience.first_retry, MAX_RETRY).delay(attempts.unsigned_abs()),
            ),
        };
        ThreadDecision {
            fate,
            attempts,
            failing: Some(FailingThread {
                failure: self,
                since,
            }),
        }
    }

    /// Whether Intercom has said this often and long enough. An outage is never believed.
    fn is_believed(self, attempts: i32, lasted: Duration, patience: ThreadPatience) -> bool {
        matches!(self, Self::Refused | Self::Garbled)
            && attempts >= MIN_REFUSALS
            && lasted >= patience.refusal
    }
}

impl ThreadAnswer {
    /// Decides what becomes of a thread that was answered.
    #[must_use]
    pub fn decide(&self, before: ThreadBefore) -> ThreadDecision {
        // Intercom's list may be ahead of the conversation itself, which a later attempt will show.
        let is_behind = before.newest_version > self.version;
        let is_short = self.expected.is_some_and(|count| self.stored < count);
        let is_cut = self.shown >= PARTS_SHOWN;
        // Attempts that failed say nothing about an answer.
        let attempts = 1 + before.failing.map_or(before.attempts, |_| 0);
        let retry = ThreadFate::Pending(ANSWER_BACKOFF.delay(attempts.unsigned_abs()));
        let fate = if is_behind || self.too_fresh {
            retry
        } else if self.poisoned > 0 {
            ThreadFate::Blocked { again: None }
        } else if is_cut && !self.is_counted && !is_short {
            // Only what is shown is counted, and the oldest parts may be missing.
            ThreadFate::Truncated
        } else if !is_short {
            ThreadFate::Complete
        } else if !is_cut && attempts < MAX_SHORT_ANSWERS {
            retry
        } else {
            ThreadFate::Truncated
        };
        ThreadDecision {
            fate,
            attempts: if is_short || is_behind { attempts } else { 0 },
            failing: None,
        }
    }
}

impl ThreadFate {
    /// As `threads.status` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Blocked { .. } => "blocked",
            Self::Gone => "gone",
            Self::Pending(_) => "pending",
        }
    }

    /// Seconds until the next attempt of a pending thread. `None` for any other.
    #[must_use]
    pub fn due_seconds(self) -> Option<f64> {
        match self {
            Self::Pending(delay) => Some(delay.as_secs_f64()),
            _ => None,
        }
    }

    /// Seconds until the next attempt of a blocked thread. `None` if it waits for its conversation, and for any other.
    #[must_use]
    pub fn recheck_seconds(self) -> Option<f64> {
        match self {
            Self::Blocked { again } => again.map(|delay| delay.as_secs_f64()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
