//! What becomes of a thread after an attempt to fetch it. Nothing else decides this, and the store only writes it down.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::records::PARTS_SHOWN;
use crate::backoff::Backoff;

/// A thread that could not be fetched this often is blocked until its conversation changes.
const MAX_ATTEMPTS: i32 = 5;
/// A thread that is short of its count, although all of it was shown, is fetched this often before it is truncated.
/// Intercom keeps counts and parts in different stores, and the count may be ahead.
const MAX_SHORT_ANSWERS: i32 = 3;
/// 2, 4, 8 … seconds after an attempt without an answer.
const FAILURE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(512));
/// 3, 6, 12 … seconds after an answer that stays behind its stub or short of its count.
const ANSWER_BACKOFF: Backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(3600));

/// A thread before the attempt's result is stored, read under the lock of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadBefore {
    /// The version that the newest stub shows.
    pub newest_version: DateTime<Utc>,
    /// Attempts in a row that did not complete it.
    pub attempts: i32,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAttempt {
    Answered(ThreadAnswer),
    /// Intercom has deleted the conversation.
    NotFound,
    /// The thread cannot be read. Another attempt would be no better, and each costs the whole answer.
    Unreadable,
    /// No answer, or an answer that is not this thread. The next one may be.
    Failed,
}

/// What counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadAnswer {
    /// `updated_at` of the answer.
    pub version: DateTime<Utc>,
    /// Parts that Intercom counts. `None` if it does not.
    pub expected: Option<i32>,
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
    /// Not readable until its conversation changes.
    Blocked,
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
}

impl ThreadAttempt {
    /// Decides what becomes of the thread.
    #[must_use]
    pub fn decide(&self, before: ThreadBefore) -> ThreadDecision {
        let failures = before.attempts + 1;
        let fate = match self {
            Self::Answered(answer) => return answer.decide(before),
            Self::NotFound => ThreadFate::Gone,
            Self::Unreadable => ThreadFate::Blocked,
            Self::Failed if failures >= MAX_ATTEMPTS => ThreadFate::Blocked,
            // One failing thread does not delay the others. It waits longer after each attempt.
            Self::Failed => ThreadFate::Pending(FAILURE_BACKOFF.delay(failures.unsigned_abs())),
        };
        ThreadDecision {
            fate,
            attempts: failures,
        }
    }
}

impl ThreadAnswer {
    fn decide(&self, before: ThreadBefore) -> ThreadDecision {
        // Intercom's list may be ahead of the conversation itself, which a later attempt will show.
        let is_behind = before.newest_version > self.version;
        let is_short = self.expected.is_some_and(|count| self.stored < count);
        let is_cut = self.shown >= PARTS_SHOWN;
        let attempts = before.attempts + 1;
        let retry = ThreadFate::Pending(ANSWER_BACKOFF.delay(attempts.unsigned_abs()));
        let fate = if is_behind || self.too_fresh {
            retry
        } else if self.poisoned > 0 {
            ThreadFate::Blocked
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
            Self::Blocked => "blocked",
            Self::Gone => "gone",
            Self::Pending(_) => "pending",
        }
    }

    /// Until the next attempt. `None` unless the thread is pending.
    #[must_use]
    pub fn retry_seconds(self) -> Option<f64> {
        match self {
            Self::Pending(delay) => Some(delay.as_secs_f64()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
    }

    fn before(attempts: i32) -> ThreadBefore {
        ThreadBefore {
            newest_version: at(100),
            attempts,
        }
    }

    /// Of the newest version, with ten of ten parts stored.
    const WHOLE: ThreadAnswer = ThreadAnswer {
        version: DateTime::UNIX_EPOCH,
        expected: Some(10),
        stored: 10,
        shown: 10,
        poisoned: 0,
        too_fresh: false,
    };

    fn answer(change: impl FnOnce(&mut ThreadAnswer)) -> ThreadAttempt {
        let mut answer = ThreadAnswer {
            version: at(100),
            ..WHOLE
        };
        change(&mut answer);
        ThreadAttempt::Answered(answer)
    }

    const fn again(seconds: u64) -> ThreadFate {
        ThreadFate::Pending(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_decides_by_version_readability_and_count() {
        use ThreadFate::{Blocked, Complete, Truncated};
        let short = |a: &mut ThreadAnswer| a.stored = 9;
        let cut = |a: &mut ThreadAnswer| {
            (a.expected, a.stored, a.shown) = (Some(700), 500, PARTS_SHOWN);
        };
        let cases: Vec<(&str, ThreadAttempt, i32, ThreadFate, i32)> = vec![
            ("whole", answer(|_| {}), 4, Complete, 0),
            (
                "more than counted",
                answer(|a| a.stored = 11),
                0,
                Complete,
                0,
            ),
            ("not counted", answer(|a| a.expected = None), 0, Complete, 0),
            (
                "newer than the stub",
                answer(|a| a.version = at(101)),
                0,
                Complete,
                0,
            ),
            (
                "older than the stub",
                answer(|a| a.version = at(99)),
                0,
                again(3),
                1,
            ),
            (
                "older again",
                answer(|a| a.version = at(99)),
                3,
                again(24),
                4,
            ),
            (
                "older for long",
                answer(|a| a.version = at(99)),
                40,
                again(3600),
                41,
            ),
            ("too fresh", answer(|a| a.too_fresh = true), 0, again(3), 0),
            (
                "too fresh and poisoned",
                answer(|a| (a.too_fresh, a.poisoned) = (true, 1)),
                2,
                again(12),
                0,
            ),
            ("poisoned", answer(|a| a.poisoned = 1), 1, Blocked, 0),
            (
                "poisoned and short",
                answer(|a| (a.poisoned, a.stored) = (1, 9)),
                1,
                Blocked,
                2,
            ),
            ("short once", answer(short), 0, again(3), 1),
            ("short twice", answer(short), 1, again(6), 2),
            ("short three times", answer(short), 2, Truncated, 3),
            ("cut at 500", answer(cut), 0, Truncated, 1),
            (
                "cut, but all of it is stored",
                answer(|a| {
                    cut(a);
                    a.stored = 700;
                }),
                0,
                Complete,
                0,
            ),
        ];
        for (name, attempt, attempts, fate, attempts_after) in cases {
            let decision = attempt.decide(before(attempts));
            assert_eq!(
                (decision.fate, decision.attempts),
                (fate, attempts_after),
                "{name}"
            );
        }
    }

    #[test]
    fn an_attempt_without_an_answer_waits_longer_each_time() {
        use ThreadAttempt::{Failed, NotFound, Unreadable};
        for (attempt, attempts, fate) in [
            (Failed, 0, again(2)),
            (Failed, 1, again(4)),
            (Failed, 3, again(16)),
            (Failed, 4, ThreadFate::Blocked),
            (Failed, 9, ThreadFate::Blocked),
            (NotFound, 0, ThreadFate::Gone),
            (Unreadable, 0, ThreadFate::Blocked),
        ] {
            let decision = attempt.decide(before(attempts));
            assert_eq!(
                (decision.fate, decision.attempts),
                (fate, attempts + 1),
                "{attempt:?} after {attempts}"
            );
        }
    }
}
