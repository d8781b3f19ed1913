//! A conversation as callers see it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::{
    completeness::thread_reason,
    domain::{
        ConnectionId, JsonText,
        conversation_extras::{Channel, Rating, Sla},
    },
    profiles,
    store::reads::{Assignee, ConversationRecord, ThreadState},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::words;

/// One conversation, without its parts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    id: Uuid,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// Intercom's id.
    #[schema(example = "215472938475120")]
    source_id: String,
    #[schema(required)]
    title: Option<String>,
    /// `open`, `closed` or `snoozed`, as Intercom says it.
    #[schema(required, example = "open")]
    state: Option<String>,
    open: bool,
    /// As Intercom says it.
    #[schema(required)]
    priority: Option<String>,
    #[schema(required)]
    assignee: Option<AssigneeView>,
    /// Names.
    tags: Vec<String>,
    /// The participants. A contact that is not synced yet is absent until it is.
    contact_ids: Vec<Uuid>,
    /// The companies of its participants, and the one that Intercom names. A company that is not synced yet is absent
    /// until it is.
    company_ids: Vec<Uuid>,
    /// The customer's own attributes, with all digits of long numbers.
    #[schema(value_type = Object)]
    attributes: JsonText,
    #[schema(required)]
    channel: Option<ChannelView>,
    #[schema(required)]
    rating: Option<RatingView>,
    #[schema(required)]
    sla: Option<SlaView>,
    /// By Intercom's names: durations in seconds, times, and counts. What was not reached is absent.
    #[schema(example = json!({"time_to_admin_reply": 240, "count_reopens": 1}))]
    statistics: Map<String, Value>,
    /// Whether Intercom's AI agent took part.
    ai_participated: bool,
    thread: ThreadView,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
    /// When it last changed here: its own fields, its participants or its thread.
    updated_at: DateTime<Utc>,
    /// When Intercom deleted it. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted_at: Option<DateTime<Utc>>,
}

/// The teammate or team that a conversation is assigned to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assignee)]
struct AssigneeView {
    #[schema(value_type = words::AssigneeKind)]
    kind: &'static str,
    /// Intercom's id.
    id: String,
    #[schema(required)]
    name: Option<String>,
}

/// Where the conversation takes place, by Intercom's names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
struct ChannelView {
    #[schema(required, example = "email")]
    initial: Option<String>,
    /// Null if Intercom does not say it.
    #[schema(required)]
    current: Option<String>,
}

/// What a contact thought of the conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rating)]
struct RatingView {
    /// From 1 to 5, as Intercom counts.
    #[schema(example = 5)]
    rating: i64,
    #[schema(required)]
    remark: Option<String>,
    #[schema(required)]
    created_at: Option<DateTime<Utc>>,
    #[schema(required)]
    updated_at: Option<DateTime<Utc>>,
    /// Intercom's id of the teammate or workflow that was rated.
    #[schema(required)]
    teammate_id: Option<String>,
}

/// A promised time of reply.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sla)]
struct SlaView {
    #[schema(required)]
    name: Option<String>,
    /// `hit`, `missed`, `cancelled` or `active`, as Intercom says it.
    #[schema(example = "hit")]
    status: String,
}

/// How much of the thread is stored, without the first message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
struct ThreadView {
    #[schema(value_type = words::ThreadStatus)]
    status: String,
    /// Parts that are stored.
    #[schema(minimum = 0)]
    held: i32,
    /// Parts that Intercom counts. Null before the thread was fetched.
    #[schema(required, minimum = 0)]
    expected: Option<i32>,
    /// Why the thread is not whole, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// When a thread that could not be fetched is tried again on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_try_at: Option<DateTime<Utc>>,
}

impl From<ConversationRecord> for ConversationView {
    fn from(conversation: ConversationRecord) -> Self {
        let extras = profiles::conversation_extras(&conversation);
        Self {
            id: conversation.id,
            connection_id: conversation.connection_id,
            source_id: conversation.source_id,
            title: conversation.title,
            state: conversation.state,
            open: conversation.open,
            priority: conversation.priority,
            assignee: conversation.assignee.map(AssigneeView::from),
            tags: conversation.tags,
            contact_ids: conversation.contact_ids,
            company_ids: conversation.company_ids,
            attributes: extras.attributes,
            channel: extras.channel.map(ChannelView::from),
            rating: extras.rating.map(RatingView::from),
            sla: extras.sla.map(SlaView::from),
            statistics: extras.statistics,
            ai_participated: extras.ai_participated,
            thread: conversation.thread.into(),
            source_created_at: conversation.source_created_at,
            source_updated_at: conversation.source_updated_at,
            updated_at: conversation.updated_at,
            deleted_at: conversation.deleted_at,
        }
    }
}

impl From<Assignee> for AssigneeView {
    fn from(assignee: Assignee) -> Self {
        Self {
            kind: assignee.kind,
            id: assignee.id,
            name: assignee.name,
        }
    }
}

impl From<Channel> for ChannelView {
    fn from(channel: Channel) -> Self {
        Self {
            initial: channel.initial,
            current: channel.current,
        }
    }
}

impl From<Rating> for RatingView {
    fn from(rating: Rating) -> Self {
        Self {
            rating: rating.rating,
            remark: rating.remark,
            created_at: rating.created_at,
            updated_at: rating.updated_at,
            teammate_id: rating.teammate_id,
        }
    }
}

impl From<Sla> for SlaView {
    fn from(sla: Sla) -> Self {
        Self {
            name: sla.name,
            status: sla.status,
        }
    }
}

impl From<ThreadState> for ThreadView {
    fn from(thread: ThreadState) -> Self {
        Self {
            reason: thread_reason(&thread.status, thread.error.as_deref()),
            status: thread.status,
            held: thread.held,
            expected: thread.expected,
            next_try_at: thread.retry_at,
        }
    }
}
