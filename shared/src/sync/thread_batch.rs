//! The answers of a slice of threads, until they are stored.

use super::thread_answer::ThreadRead;
use crate::{
    domain::{records::Poison, thread_fate::ThreadFailure},
    intercom::{Error, MemoryPermit, Refusal},
    store::{FailedThread, FetchedThread, PendingThread},
};

/// The batch is stored at this many bytes, so that large threads stay small in memory.
const MAX_BYTES: usize = 4 << 20;

/// The fetched threads that are not stored yet.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) fetched: Vec<FetchedThread>,
    pub(super) poisons: Vec<Poison>,
    pub(super) failed: Vec<UnreadThread>,
    /// Threads that got no answer, with the error. It counts against them only if other threads got one.
    pub(super) unanswered: Vec<(PendingThread, String)>,
    bytes: usize,
    /// The memory of the answers, which is free again once they are stored.
    permits: Vec<MemoryPermit>,
}

/// A thread that could not be fetched.
pub(super) struct UnreadThread {
    pub(super) thread: PendingThread,
    pub(super) failure: ThreadFailure,
    pub(super) error: String,
    /// The bytes of an unreadable answer, which are kept if the thread is blocked.
    pub(super) poison: Option<Poison>,
}

impl UnreadThread {
    /// As the store takes it.
    pub(super) fn as_failed(&self) -> FailedThread<'_> {
        FailedThread {
            conversation_id: self.thread.conversation_id,
            failure: self.failure,
            error: &self.error,
        }
    }
}

impl Batch {
    /// Whether the batch has to be stored before more answers come.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES || self.permits.iter().any(MemoryPermit::is_large)
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.fetched.is_empty() || !self.failed.is_empty()
    }

    /// How many threads that have never failed got no answer. What failed before fails for its own reason.
    pub(super) fn new_unanswered(&self) -> usize {
        let new = |(thread, _): &&(PendingThread, String)| !thread.has_failed;
        self.unanswered.iter().filter(new).count()
    }

    /// Takes everything that can be stored now.
    pub(super) fn take_answered(&mut self) -> Self {
        let unanswered = std::mem::take(&mut self.unanswered);
        std::mem::replace(
            self,
            Self {
                unanswered,
                ..Self::default()
            },
        )
    }

    /// Counts a failed attempt of every thread without an answer.
    pub(super) fn give_up_unanswered(&mut self) {
        for (thread, error) in std::mem::take(&mut self.unanswered) {
            self.fail(thread, ThreadFailure::Unanswered, error);
        }
    }

    /// Adds one answer, or the error of a call that was made.
    pub(super) fn add(&mut self, thread: PendingThread, answer: Result<ThreadRead, Error>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.add_error(thread, &error),
        };
        self.bytes += answer.size;
        self.permits.push(answer.permit);
        match answer.thread {
            Ok((fetched, poisons)) => {
                self.fetched.push(fetched);
                self.poisons.extend(poisons);
            }
            Err((failure, poison)) => self.fail_with(thread, failure, poison),
        }
    }

    fn add_error(&mut self, thread: PendingThread, error: &Error) {
        let (failure, why) = match error {
            Error::Refused {
                refusal: Refusal::NotFound,
                status,
                code,
                ..
            } => (
                ThreadFailure::Missing,
                format!(
                    "intercom answers that the conversation does not exist ({status} {code}), which is asked once more"
                ),
            ),
            Error::Refused { status, code, .. } => (
                ThreadFailure::Refused,
                format!("intercom refuses to show the conversation ({status} {code})"),
            ),
            // Another attempt would be no better, and each costs the whole answer.
            Error::BadId(_) | Error::TooLarge(_) => (ThreadFailure::Unreadable, error.to_string()),
            // The end of the slice shows whether the thread or an outage is the cause.
            _ => {
                self.unanswered.push((thread, error.to_string()));
                return;
            }
        };
        self.fail(thread, failure, why);
    }

    fn fail_with(&mut self, thread: PendingThread, failure: ThreadFailure, poison: Poison) {
        // Quarantined as a part, because the stub may be stored, and a good stub proves nothing of the thread.
        let poison = Poison {
            kind: "part",
            source_id: format!("{}/thread", thread.source_id),
            ..poison
        };
        self.failed.push(UnreadThread {
            thread,
            failure,
            error: poison.reason.clone(),
            poison: Some(poison),
        });
    }

    fn fail(&mut self, thread: PendingThread, failure: ThreadFailure, error: String) {
        self.failed.push(UnreadThread {
            thread,
            failure,
            error,
            poison: None,
        });
    }
}
