//! What the store knows about one connection, as far as the judgement needs it.

use chrono::{DateTime, Utc};

use crate::domain::{Mode, Stream};

/// Everything that can change the judgement of one connection, read in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub connection: ConnectionFacts,
    /// One entry for each stream that is scheduled, in the order of [`Stream`].
    pub streams: Vec<StreamFacts>,
    pub threads: ThreadCounts,
    /// Those of the pending threads that could not be fetched and are tried again.
    pub waiting: WaitingThreads,
    /// The oldest requested run that has not finished.
    pub open_run: Option<OpenRun>,
    /// Companies that are still to be fetched by id.
    pub pending_companies: i64,
    /// Unreadable objects by kind. Parts are counted in `quarantined_parts`, because a part in
    /// quarantine already makes its thread blocked.
    pub quarantined: Vec<QuarantineFacts>,
    pub quarantined_parts: i64,
    /// Records that Intercom does not give, by kind.
    pub set_aside: Vec<SetAsideFacts>,
    /// Parts of truncated threads that Intercom never showed.
    pub missing_parts: i64,
    /// Stored objects that the last full walk did not find, by stream.
    pub absent: Vec<(Stream, i64)>,
    /// The last audit, if there was one.
    pub audit: Option<AuditFacts>,
}

/// Whether the connection syncs at all.
#[derive(Clone, Debug, Default)]
pub enum ConnectionFacts {
    #[default]
    Active,
    /// Syncing has stopped until the customer or an operator acts.
    Stopped(Blocked),
    Disconnected,
}

/// One stream's row.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    pub stream: Stream,
    pub is_due: bool,
    /// A ticket for the stream is in the queue.
    pub is_ticketed: bool,
    pub is_walking: bool,
    /// An open dead letter exists for the stream.
    pub is_dead: bool,
    pub watermark: Option<DateTime<Utc>>,
    /// Failures in a row.
    pub attempts: i32,
    pub last_error: Option<String>,
    pub due_at: Option<DateTime<Utc>>,
    /// When the last full walk ended.
    pub walked_at: Option<DateTime<Utc>>,
    /// When the last walk of any mode ended.
    pub last_ok_at: Option<DateTime<Utc>>,
    pub held: i64,
    /// `None` where Intercom gives no count.
    pub expected: Option<i64>,
    pub blocked: Option<Blocked>,
}

/// Why a stream or connection cannot go on, in sentences for a person, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub code: String,
    pub message: String,
    pub action: Option<String>,
    /// When it is tried again without anyone's help.
    pub until: Option<DateTime<Utc>>,
}

/// Pending threads that wait for their next attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingThreads {
    pub count: i64,
    /// The source id of the conversation that is tried next, and why it waits.
    pub example: String,
    pub error: String,
    /// When it is tried next.
    pub next_at: Option<DateTime<Utc>>,
}

/// Threads by state. `pending` threads are still to be fetched. The other states are final until
/// the conversation changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounts {
    pub pending: i64,
    pub complete: i64,
    pub truncated: i64,
    pub gone: i64,
    pub blocked: i64,
}

/// A requested run that has not finished.
#[derive(Clone, Copy, Debug)]
pub struct OpenRun {
    pub mode: Mode,
    pub requested_at: DateTime<Utc>,
}

/// Unreadable objects of one kind.
#[derive(Clone, Debug)]
pub struct QuarantineFacts {
    /// `contact`, `company`, `conversation` or `reference`.
    pub kind: String,
    pub count: i64,
    /// The source id of one of them.
    pub example: String,
}

/// Records of one kind that exist and that Intercom does not give.
#[derive(Clone, Debug)]
pub struct SetAsideFacts {
    /// `contact`, `company` or `conversation`.
    pub kind: String,
    pub count: i64,
    /// The source id of one of them.
    pub example: String,
    /// Why that one was not given.
    pub reason: String,
    /// When the first of them is asked for again.
    pub next_try_at: Option<DateTime<Utc>>,
}

/// What the last audit found when it compared the copy with Intercom by another way than a walk.
#[derive(Clone, Copy, Debug)]
pub struct AuditFacts {
    pub audited_at: DateTime<Utc>,
    /// Contacts that Intercom counts beyond the stored ones. `None` if Intercom gave no count.
    pub contacts_missing: Option<i64>,
    pub conversations_missing: Option<i64>,
    /// How many threads the audit read again, and how many of them differed from the copy.
    pub threads_read: i32,
    pub threads_differing: i32,
}

impl Facts {
    pub(super) fn stream(&self, stream: Stream) -> Option<&StreamFacts> {
        self.streams.iter().find(|facts| facts.stream == stream)
    }

    /// Whether a full walk of the stream ended after the last audit, so that the audit's finding
    /// about the stream is out of date.
    pub(super) fn is_walked_since(&self, stream: Stream, audit: &AuditFacts) -> bool {
        self.stream(stream)
            .and_then(|facts| facts.walked_at)
            .is_some_and(|walked_at| walked_at > audit.audited_at)
    }
}
