//! The shape of a connection's sync status, in REST and in the operators' `why`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    completeness::{AuditFacts, Blocked, Reason, StreamStatus, SyncStatus, ThreadCounts},
    domain::Stream,
};

/// How complete a connection's copy is, and why not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncStatusView {
    pub complete: bool,
    pub proven_at: Option<DateTime<Utc>>,
    pub sentence: String,
    pub reasons: Vec<ReasonView>,
    pub notes: Vec<ReasonView>,
    pub streams: Vec<StreamStatusView>,
    pub threads: ThreadCountsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditView>,
}

/// A fact against completeness, or a note beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReasonView {
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    pub message: String,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamStatusView {
    pub stream: Stream,
    /// `waiting`, `running`, `idle`, `blocked` or `failed`.
    pub status: String,
    pub watermark: Option<DateTime<Utc>>,
    pub last_ok_at: Option<DateTime<Utc>>,
    pub held: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<i64>,
    pub complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedView>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockedView {
    pub code: String,
    pub message: String,
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ThreadCountsView {
    pub pending: i64,
    pub complete: i64,
    pub truncated: i64,
    pub gone: i64,
    pub blocked: i64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AuditView {
    pub audited_at: DateTime<Utc>,
    pub contacts_missing: Option<i64>,
    pub conversations_missing: Option<i64>,
    pub threads_read: i32,
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
