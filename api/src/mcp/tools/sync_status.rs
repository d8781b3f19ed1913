//! `get_sync_status`: how fresh and how complete the copy is, and why not.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    completeness::{Reason, StreamStatus, SyncStatus},
    domain::Stream,
    store::{ConnectedSource, Connection},
};
use uuid::Uuid;

use crate::mcp::{
    answer::{Answer, Detail, NextCall},
    call::{Call, Tool},
    freshness::{Freshness, Workspaces},
    refusal::Refusal,
    untrusted::plain,
};

/// Bytes of a sentence.
const SENTENCE: usize = 600;

/// Reasons of one workspace, and notes. `sentence` says how many reasons there are.
const fn reasons(detail: Detail) -> usize {
    match detail {
        Detail::Concise => 3,
        Detail::Detailed => 10,
    }
}

/// Shows the state of every connection.
pub(in crate::mcp) struct GetSyncStatus;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// The state of the whole copy, and of each workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct SyncStatuses {
    workspace_total: usize,
    workspaces: Vec<Workspace>,
    /// Other systems that have sent records.
    other_sources: Vec<OtherSource>,
    /// How many workspaces come after these.
    left: usize,
    /// The call that shows the workspaces that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// One connected Intercom workspace.
#[derive(Debug, Serialize, JsonSchema)]
struct Workspace {
    connection_id: Uuid,
    name: String,
    /// `us`, `eu` or `au`.
    region: String,
    /// `active`, `reauth_required`, `disconnected` or `error`.
    state: &'static str,
    /// Everything that Intercom shows is here, and nothing in flight can change that.
    complete: bool,
    /// Up to when the copy is proven to be complete. Absent if it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven_at: Option<DateTime<Utc>>,
    /// The whole answer, for a person.
    sentence: String,
    /// Why the copy is not complete, most important first. Concise answers show three.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonLine>,
    /// What a reader should know and what does not change the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<ReasonLine>,
    streams: Vec<StreamLine>,
    /// Conversations by the state of their thread.
    threads: ThreadCounts,
}

/// A fact against completeness, or a note beside it.
#[derive(Debug, Serialize, JsonSchema)]
struct ReasonLine {
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    message: String,
    /// What to do about it. Only in detailed answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// When it is looked at again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
}

/// One kind of object of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
struct StreamLine {
    /// `reference`, `contacts`, `companies`, `conversations` or `threads`.
    stream: &'static str,
    /// `waiting`, `running`, `idle`, `blocked` or `failed`.
    status: &'static str,
    complete: bool,
    /// Objects that are stored.
    held: i64,
    /// Objects that Intercom counts. Absent where it gives no count.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<i64>,
    /// Every change up to this time is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<DateTime<Utc>>,
    /// When a walk last ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ok_at: Option<DateTime<Utc>>,
    /// Why the stream is not complete. Only in detailed answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why the stream cannot go on. Only in detailed answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
}

/// How many conversations have their thread in which state.
#[derive(Debug, Serialize, JsonSchema)]
struct ThreadCounts {
    complete: i64,
    /// Not fetched yet.
    pending: i64,
    /// Intercom never showed the older messages.
    truncated: i64,
    /// Deleted before they were fetched.
    gone: i64,
    /// Intercom refuses them for good.
    blocked: i64,
}

/// A system other than Intercom.
#[derive(Debug, Serialize, JsonSchema)]
struct OtherSource {
    /// `crm`, `email` or `analytics`.
    source: &'static str,
    /// When its first record came.
    connected_at: DateTime<Utc>,
    /// Its records are being deleted.
    being_removed: bool,
}

impl Tool for GetSyncStatus {
    const NAME: &'static str = "get_sync_status";
    const TITLE: &'static str = "Show how complete the copy is";
    const DESCRIPTION: &'static str = "Shows for each connected workspace whether the copy is complete, \
        since when that is proven, what is missing and why, and what is being done. Call it before you \
        conclude from the absence of something.";
    type Input = Input;
    type Output = SyncStatuses;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let detail = input.detail;
        let mut tx = call.begin().await?;
        let pager = call.pager("workspaces")?;
        let skipped: usize = pager.position(input.cursor.as_deref())?.unwrap_or_default();
        let all = Workspaces::read(&mut tx).await?;
        let sources = tx.sources().await?;
        drop(tx);
        let shown = &all.judged[skipped.min(all.judged.len())..];
        Answer::fitting(detail, shown.len(), |items| {
            let left = shown.len() - items;
            let next = || {
                let arguments = [
                    ("detail", json!(detail)),
                    ("cursor", Value::from(pager.cursor(&(skipped + items))?)),
                ];
                Ok::<_, Refusal>(NextCall::new(Self::NAME, arguments))
            };
            Ok(SyncStatuses {
                workspace_total: all.judged.len(),
                workspaces: shown[..items]
                    .iter()
                    .map(|(connection, status)| Workspace::of(connection, status, detail))
                    .collect(),
                other_sources: sources.iter().map(OtherSource::of).collect(),
                left,
                next: if left > 0 { Some(next()?) } else { None },
                freshness: all.freshness(),
            })
        })
    }
}

impl Workspace {
    fn of(connection: &Connection, status: &SyncStatus, detail: Detail) -> Self {
        let reasons_shown = reasons(detail);
        let lines = |reasons: &[Reason]| {
            let reasons = reasons.iter().take(reasons_shown);
            reasons
                .map(|reason| ReasonLine::of(reason, detail))
                .collect()
        };
        Self {
            connection_id: connection.id.0,
            name: plain(&connection.workspace_name, detail.value()),
            region: connection.region.to_string(),
            state: connection.state.as_str(),
            complete: status.complete,
            proven_at: status.proven_at,
            sentence: plain(&status.sentence, SENTENCE),
            reasons: lines(&status.reasons),
            notes: lines(&status.notes),
            streams: status
                .streams
                .iter()
                .map(|stream| StreamLine::of(stream, detail))
                .collect(),
            threads: ThreadCounts {
                complete: status.threads.complete,
                pending: status.threads.pending,
                truncated: status.threads.truncated,
                gone: status.threads.gone,
                blocked: status.threads.blocked,
            },
        }
    }
}

impl ReasonLine {
    fn of(reason: &Reason, detail: Detail) -> Self {
        let limit = detail.long_value();
        Self {
            code: reason.code.clone(),
            stream: reason.stream.map(Stream::as_str),
            count: reason.count,
            message: plain(&reason.message, limit),
            action: (detail == Detail::Detailed).then(|| plain(&reason.action, limit)),
            until: reason.until,
        }
    }
}

impl StreamLine {
    fn of(stream: &StreamStatus, detail: Detail) -> Self {
        let limit = detail.long_value();
        let is_detailed = detail == Detail::Detailed;
        let blocked = stream.blocked.as_ref().filter(|_| is_detailed);
        let reason = stream.reason.as_deref().filter(|_| is_detailed);
        Self {
            stream: stream.stream.as_str(),
            status: stream.status.as_str(),
            complete: stream.complete,
            held: stream.held,
            expected: stream.expected,
            watermark: stream.watermark,
            last_ok_at: stream.last_ok_at,
            reason: reason.map(|reason| plain(reason, limit)),
            blocked: blocked.map(|blocked| plain(&blocked.message, limit)),
        }
    }
}

impl OtherSource {
    fn of(source: &ConnectedSource) -> Self {
        Self {
            source: source.source.as_str(),
            connected_at: source.connected_at,
            being_removed: source.is_being_removed,
        }
    }
}
