//! The shape of a connection's sync status, in REST and in the operators' `why`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    completeness::{AuditFacts, Blocked, Reason, StreamStatus, SyncStatus, ThreadCounts},
    domain::Stream,
};
use utoipa::ToSchema;

use crate::openapi::words;

/// How complete a connection's copy is, and why not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = SyncStatus)]
pub struct SyncStatusView {
    /// Every stream's last walk has ended, no thread is pending, and nothing in flight can change that answer.
    pub complete: bool,
    /// The time up to which the copy is proven to be complete. Null if it is not complete.
    #[schema(required)]
    pub proven_at: Option<DateTime<Utc>>,
    /// The whole answer, for a person.
    pub sentence: String,
    /// Why the copy is not complete, most important first.
    pub reasons: Vec<ReasonView>,
    /// What a reader should know and what does not change the answer.
    pub notes: Vec<ReasonView>,
    pub streams: Vec<StreamStatusView>,
    pub threads: ThreadCountsView,
    /// The last audit. Absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audit: Option<AuditView>,
    /// The time until the pending threads are fetched, at one call each and our whole share of the limit. Absent if
    /// Intercom refuses threads or fails to serve some, because the time then depends on Intercom alone.
    // Operators' `why` leaves both out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub eta_seconds: Option<u64>,
    /// Absent if it is not known at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rate: Option<RateView>,
}

/// The workspace's rate budget, as the whole fleet knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = RateBudget)]
pub struct RateView {
    /// Calls per window that Intercom allows, to us and the customer's other apps together.
    pub limit: u32,
    pub window_seconds: u32,
    /// Calls in the open window, by us and the customer's other apps together.
    pub used: u32,
    /// Calls that are left of our share.
    pub calls_left: u32,
    /// When the next window opens. Absent if there was no call for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resets_at: Option<DateTime<Utc>>,
    /// Our share of the limit.
    #[schema(minimum = 0, maximum = 1)]
    pub share: f64,
}

/// A fact against completeness, or a note beside it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = Reason)]
pub struct ReasonView {
    /// Stable, because programs decide by it.
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::Stream>, nullable = false)]
    #[schemars(with = "Option<String>")]
    pub stream: Option<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub count: Option<i64>,
    pub message: String,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<DateTime<Utc>>,
}

/// One stream's part of the answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = StreamStatus)]
pub struct StreamStatusView {
    #[schema(value_type = words::Stream)]
    #[schemars(with = "String")]
    pub stream: Stream,
    #[schema(value_type = words::StreamActivity)]
    pub status: String,
    /// Every change up to this time is stored.
    #[schema(required)]
    pub watermark: Option<DateTime<Utc>>,
    #[schema(required)]
    pub last_ok_at: Option<DateTime<Utc>>,
    /// Objects that are stored.
    #[schema(minimum = 0)]
    pub held: i64,
    /// Objects that Intercom counts. Absent where it gives no count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub expected: Option<i64>,
    pub complete: bool,
    /// Why the stream is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub blocked: Option<BlockedView>,
}

/// Why a stream cannot go on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = Blocked)]
pub struct BlockedView {
    /// Stable, because programs decide by it.
    pub code: String,
    pub message: String,
    #[schema(required)]
    pub action: Option<String>,
    /// When it is checked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<DateTime<Utc>>,
}

/// How many threads are in each state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = ThreadCounts)]
pub struct ThreadCountsView {
    #[schema(minimum = 0)]
    pub pending: i64,
    #[schema(minimum = 0)]
    pub complete: i64,
    #[schema(minimum = 0)]
    pub truncated: i64,
    #[schema(minimum = 0)]
    pub gone: i64,
    #[schema(minimum = 0)]
    pub blocked: i64,
}

/// A comparison of the copy with what Intercom counts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[schema(as = Audit)]
pub struct AuditView {
    pub audited_at: DateTime<Utc>,
    /// Null where Intercom gave no count.
    #[schema(required)]
    pub contacts_missing: Option<i64>,
    #[schema(required)]
    pub conversations_missing: Option<i64>,
    #[schema(minimum = 0)]
    pub threads_read: i32,
    #[schema(minimum = 0)]
    pub threads_differing: i32,
}

impl From<SyncStatus> for SyncStatusView {
    fn from(status: SyncStatus) -> Self {
        Self {
            complete: status.complete,
            proven_at: status.proven_at,
            sentence: status.sentence,
            reasons: status.reasons.into_iter().map(ReasonView::from).collect(),
            notes: status.notes.into_iter().map(ReasonView::from).collect(),
            streams: status
                .streams
                .into_iter()
                .map(StreamStatusView::from)
                .collect(),
            threads: status.threads.into(),
            audit: status.audit.map(AuditView::from),
            eta_seconds: None,
            rate: None,
        }
    }
}

impl From<Reason> for ReasonView {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code,
            stream: reason.stream,
            count: reason.count,
            message: reason.message,
            action: reason.action,
            until: reason.until,
        }
    }
}

impl From<StreamStatus> for StreamStatusView {
    fn from(stream: StreamStatus) -> Self {
        Self {
            stream: stream.stream,
            status: stream.status.as_str().to_owned(),
            watermark: stream.watermark,
            last_ok_at: stream.last_ok_at,
            held: stream.held,
            expected: stream.expected,
            complete: stream.complete,
            reason: stream.reason,
            blocked: stream.blocked.map(BlockedView::from),
        }
    }
}

impl From<Blocked> for BlockedView {
    fn from(blocked: Blocked) -> Self {
        Self {
            code: blocked.code,
            message: blocked.message,
            action: blocked.action,
            until: blocked.until,
        }
    }
}

impl From<ThreadCounts> for ThreadCountsView {
    fn from(threads: ThreadCounts) -> Self {
        Self {
            pending: threads.pending,
            complete: threads.complete,
            truncated: threads.truncated,
            gone: threads.gone,
            blocked: threads.blocked,
        }
    }
}

impl From<AuditFacts> for AuditView {
    fn from(audit: AuditFacts) -> Self {
        Self {
            audited_at: audit.audited_at,
            contacts_missing: audit.contacts_missing,
            conversations_missing: audit.conversations_missing,
            threads_read: audit.threads_read,
            threads_differing: audit.threads_differing,
        }
    }
}
