//! How many threads a connection has by status, counted on the row of its stream.
//!
//! A statement that changes threads notes what each of them was and what it is. The transaction counts the difference on
//! the stream's row before it commits, so that a reader counts no rows and the numbers cannot leave the rows behind.

use crate::domain::ConnectionId;

/// What a transaction changes of the stream `threads`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadsChange {
    pub(super) connection: ConnectionId,
    pub(super) counts: ThreadCounts,
    /// There are threads to be fetched.
    pub(super) is_due: bool,
}

/// What counts of one thread.
#[derive(Clone, Debug)]
pub(super) struct CountedThread<'a> {
    pub(super) status: &'a str,
    pub(super) has_failed: bool,
    pub(super) held: i32,
    pub(super) expected: Option<i32>,
}

/// Differences that a transaction has not counted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ThreadCounts {
    pub(super) pending: i64,
    pub(super) failing: i64,
    pub(super) complete: i64,
    pub(super) truncated: i64,
    pub(super) gone: i64,
    pub(super) blocked: i64,
    pub(super) missing_parts: i64,
}

impl ThreadCounts {
    /// Notes that a thread is `after` what was `before`. A new thread was nothing before.
    pub(super) fn note(&mut self, before: Option<&CountedThread<'_>>, after: &CountedThread<'_>) {
        if let Some(before) = before {
            self.add(before, -1);
        }
        self.add(after, 1);
    }

    /// Notes that a thread is no longer stored.
    pub(super) fn note_removed(&mut self, before: &CountedThread<'_>) {
        self.add(before, -1);
    }

    fn add(&mut self, thread: &CountedThread<'_>, sign: i64) {
        match thread.status {
            "pending" => {
                self.pending += sign;
                self.failing += sign * i64::from(thread.has_failed);
            }
            "complete" => self.complete += sign,
            "truncated" => {
                self.truncated += sign;
                let missing = thread
                    .expected
                    .map_or(0, |expected| i64::from(expected - thread.held));
                self.missing_parts += sign * missing;
            }
            "gone" => self.gone += sign,
            // The table knows no other.
            _ => self.blocked += sign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn thread(status: &str, has_failed: bool, expected: Option<i32>) -> CountedThread<'_> {
        CountedThread {
            status,
            has_failed,
            held: 3,
            expected,
        }
    }

    #[test]
    fn a_thread_moves_from_one_count_to_another() {
        let mut counts = ThreadCounts::default();
        counts.note(None, &thread("pending", false, None));
        counts.note(
            Some(&thread("pending", false, None)),
            &thread("pending", true, None),
        );
        assert_eq!((counts.pending, counts.failing), (1, 1));
        counts.note(
            Some(&thread("pending", true, None)),
            &thread("truncated", true, Some(10)),
        );
        assert_eq!((counts.pending, counts.failing), (0, 0));
        assert_eq!((counts.truncated, counts.missing_parts), (1, 7));
        counts.note(
            Some(&thread("truncated", true, Some(10))),
            &thread("complete", false, Some(3)),
        );
        let left = ThreadCounts {
            complete: 1,
            ..ThreadCounts::default()
        };
        assert_eq!(counts, left);
    }
}
