//! What a conversation or part shows beside the columns that are stored of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::JsonText;

/// The further fields of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConversationExtras {
    /// An object of the customer's own making.
    pub attributes: JsonText,
    pub channel: Option<Channel>,
    pub rating: Option<Rating>,
    pub sla: Option<Sla>,
    /// By Intercom's names: durations in seconds, moments as RFC 3339, and counts. What was not reached is left out.
    pub statistics: Map<String, Value>,
    /// Whether Intercom's AI agent took part.
    pub ai_participated: bool,
}

/// Where a conversation takes place, by Intercom's names, such as `email`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Channel {
    pub initial: Option<String>,
    pub current: Option<String>,
}

/// What the contact thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rating {
    /// From 1 to 5.
    pub rating: i64,
    pub remark: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    /// The source id of the teammate that was rated, or of a workflow.
    pub teammate_id: Option<String>,
}

/// A promised time of reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sla {
    pub name: Option<String>,
    /// `hit`, `missed`, `cancelled` or `active`.
    pub status: String,
}

/// A file that came with a message. Its URL may expire at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attachment {
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub url: Option<String>,
    /// In bytes.
    pub size: Option<i64>,
}
