//! A conversation without its parts: what lists and searches return. The first message is
//! `source` and is never among the parts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attachment, Attributes, Company, Reference, TagApplied, Text};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Conversation {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) waiting_since: Option<i64>,
    pub(crate) snoozed_until: Option<i64>,
    pub(crate) source: Source,
    pub(crate) contacts: ContactRefs,
    pub(crate) first_contact_reply: Option<FirstReply>,
    /// 0 for none.
    pub(crate) admin_assignee_id: i64,
    /// 0: no team.
    pub(crate) team_assignee_id: i64,
    pub(crate) company: Option<Box<Company>>,
    pub(crate) open: bool,
    pub(crate) state: Text,
    pub(crate) read: bool,
    pub(crate) tags: TagsApplied,
    pub(crate) priority: Text,
    pub(crate) sla_applied: Option<Sla>,
    pub(crate) statistics: Option<Statistics>,
    pub(crate) conversation_rating: Option<Rating>,
    pub(crate) teammates: Option<Teammates>,
    pub(crate) title: Option<String>,
    pub(crate) custom_attributes: Attributes,
    pub(crate) topics: Attributes,
    pub(crate) ticket: Option<Value>,
    pub(crate) linked_objects: LinkedObjects,
    pub(crate) ai_agent: Option<AiAgent>,
    pub(crate) ai_agent_participated: bool,
    pub(crate) sales_agent: Option<Value>,
    pub(crate) sales_agent_participated: bool,
    pub(crate) channel: Option<Channel>,
    pub(crate) external_references: Vec<Value>,
}

/// The first message. Every field may be missing: some workspaces return an empty object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Source {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub(crate) kind: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) delivered_as: Option<Text>,
    /// Not sent if the outer option is `None`, and null if the inner one is.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "sent"
    )]
    pub(crate) subject: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) author: Option<SourceAuthor>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) attachments: Option<Vec<Attachment>>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "sent"
    )]
    pub(crate) url: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) redacted: Option<bool>,
}

/// Tells a null that was sent from a field that was not.
fn sent<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SourceAuthor {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContactRefs {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) contacts: Vec<ContactRef>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContactRef {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) external_id: Option<String>,
}

impl ContactRefs {
    pub(crate) fn new(contacts: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        Self {
            kind: "contact.list".into(),
            contacts: contacts
                .into_iter()
                .map(|(id, external_id)| ContactRef {
                    kind: "contact".into(),
                    id,
                    external_id,
                })
                .collect(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FirstReply {
    pub(crate) created_at: i64,
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagsApplied {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) tags: Vec<TagApplied>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sla {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) sla_name: Text,
    pub(crate) sla_status: Text,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rating {
    pub(crate) rating: u8,
    pub(crate) remark: Text,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) contact: ContactRef,
    pub(crate) teammate: Reference,
}

impl Rating {
    /// What the first of `contacts` thought of a teammate.
    pub(crate) fn new(
        contacts: &ContactRefs,
        rating: u8,
        remark: Text,
        at: i64,
        teammate: String,
    ) -> Option<Self> {
        Some(Self {
            rating,
            remark,
            created_at: at,
            updated_at: at,
            contact: contacts.contacts.first()?.clone(),
            teammate: Reference {
                kind: "admin".into(),
                id: Some(teammate),
            },
        })
    }
}

/// The key is `admins` live, `teammates` in the description.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Teammates {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) admins: Vec<Reference>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LinkedObjects {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) data: Vec<Value>,
    pub(crate) total_count: u32,
    pub(crate) has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AiAgent {
    pub(crate) source_type: Option<Text>,
    pub(crate) source_title: Option<Text>,
    pub(crate) last_answer_type: Option<Text>,
    pub(crate) resolution_state: Option<Text>,
    pub(crate) rating: Option<u8>,
    pub(crate) rating_remark: Option<Text>,
    pub(crate) created_at: Option<i64>,
    pub(crate) updated_at: Option<i64>,
    pub(crate) content_sources: ContentSources,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContentSources {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) total_count: u32,
    pub(crate) content_sources: Vec<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) initial: Option<Text>,
    pub(crate) current: Option<Text>,
}

/// Durations in seconds, moments in Unix seconds. Null where not reached, as recorded live.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Statistics {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) time_to_assignment: Option<i64>,
    pub(crate) time_to_admin_reply: Option<i64>,
    pub(crate) time_to_first_close: Option<i64>,
    pub(crate) time_to_last_close: Option<i64>,
    pub(crate) median_time_to_reply: Option<i64>,
    pub(crate) first_contact_reply_at: Option<i64>,
    pub(crate) first_assignment_at: Option<i64>,
    pub(crate) first_admin_reply_at: Option<i64>,
    pub(crate) first_close_at: Option<i64>,
    pub(crate) last_assignment_at: Option<i64>,
    pub(crate) last_assignment_admin_reply_at: Option<i64>,
    pub(crate) last_contact_reply_at: Option<i64>,
    pub(crate) last_admin_reply_at: Option<i64>,
    pub(crate) last_close_at: Option<i64>,
    pub(crate) last_closed_by_id: Option<String>,
    pub(crate) count_reopens: u32,
    pub(crate) count_assignments: u32,
    pub(crate) count_conversation_parts: usize,
    pub(crate) assigned_team_first_response_time: Vec<TeamResponse>,
    pub(crate) assigned_team_first_response_time_in_office_hours: Vec<TeamResponse>,
    pub(crate) handling_time: Option<i64>,
    pub(crate) adjusted_handling_time: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TeamResponse {
    pub(crate) team_id: i64,
    pub(crate) team_name: String,
    pub(crate) response_time: i64,
}
