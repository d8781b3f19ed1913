//! The judgement's types.

use chrono::{DateTime, Utc};

use super::facts::{AuditFacts, Blocked, ThreadCounts};
use crate::domain::Stream;

/// The state of a connection's copy.
#[derive(Clone, Debug)]
pub struct SyncStatus {
    /// Everything that Intercom shows is stored, and nothing in flight can change that answer.
    pub complete: bool,
    /// The time up to which completeness is proven: the oldest of the streams' last good runs.
    /// `None` if the copy is not complete.
    pub proven_at: Option<DateTime<Utc>>,
    /// The whole answer, for a person.
    pub sentence: String,
    /// Why the copy is not complete, most important first. Empty exactly if it is complete.
    pub reasons: Vec<Reason>,
    /// Facts that a reader should know and that do not change the answer.
    pub notes: Vec<Reason>,
    pub streams: Vec<StreamStatus>,
    pub threads: ThreadCounts,
    /// How many of the pending threads could not be fetched and wait for their next attempt. How long the others take
    /// says nothing about them.
    pub threads_waiting: i64,
    /// `None` before the first audit.
    pub audit: Option<AuditFacts>,
}

/// One stream's part of the answer.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    pub stream: Stream,
    pub status: StreamActivity,
    /// Every change up to this time is stored.
    pub watermark: Option<DateTime<Utc>>,
    pub last_ok_at: Option<DateTime<Utc>>,
    pub held: i64,
    /// `None` where Intercom gives no count.
    pub expected: Option<i64>,
    pub complete: bool,
    /// Why the stream is not complete.
    pub reason: Option<String>,
    pub blocked: Option<Blocked>,
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamActivity {
    /// Due for the first time and not started.
    Waiting,
    /// A walk is under way, or its ticket is in the queue.
    Running,
    /// Nothing is due.
    Idle,
    /// It cannot go on. `blocked` has the cause and the next step.
    Blocked,
    /// The last attempt failed and will be retried.
    Failed,
}

impl StreamActivity {
    /// The state's name in REST.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Idle => "idle",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }
}

/// A fact against completeness, or a note beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `walking`, `retrying`, `quarantined` and so on. Programs decide by it.
    pub code: String,
    pub stream: Option<Stream>,
    /// How many objects it is about.
    pub count: Option<i64>,
    /// Sentences for a person.
    pub message: String,
    /// The next step.
    pub action: String,
    /// When it is looked at again without anyone's help.
    pub until: Option<DateTime<Utc>>,
}

impl Reason {
    pub(super) fn new(code: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            stream: None,
            count: None,
            message,
            action: super::sentences::NOTHING_TO_DO.to_owned(),
            until: None,
        }
    }

    pub(super) const fn stream(mut self, stream: Stream) -> Self {
        self.stream = Some(stream);
        self
    }

    pub(super) const fn count(mut self, count: i64) -> Self {
        self.count = Some(count);
        self
    }

    pub(super) fn action(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }

    pub(super) const fn until(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.until = until;
        self
    }
}
