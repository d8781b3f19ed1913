//! A conversation part: a message, a note or an event after the first message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Reference, TagName, Text};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) part_type: Text,
    pub(crate) body: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) notified_at: i64,
    pub(crate) assigned_to: Option<Reference>,
    pub(crate) author: Author,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) external_id: Option<String>,
    pub(crate) redacted: bool,
    pub(crate) email_message_metadata: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) state: Text,
    pub(crate) tags: Vec<TagName>,
    pub(crate) event_details: Option<Value>,
    pub(crate) app_package_code: Option<Text>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Author {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) from_ai_agent: bool,
    pub(crate) is_ai_answer: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attachment {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) content_type: Text,
    pub(crate) filesize: u32,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
}
