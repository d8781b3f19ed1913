//! A company. Unset fields are left out, not null, as recorded live.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attributes, TagName, Text};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Company {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) company_id: String,
    pub(crate) id: String,
    pub(crate) app_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) remote_created_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) last_request_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) industry: Option<Text>,
    pub(crate) monthly_spend: u32,
    pub(crate) session_count: u32,
    pub(crate) user_count: u32,
    pub(crate) tags: TagNames,
    pub(crate) segments: Segments,
    pub(crate) notes: CompanyNotes,
    pub(crate) plan: Plan,
    pub(crate) custom_attributes: Attributes,
}

/// `{}` or a named plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub(crate) kind: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<Text>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagNames {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) tags: Vec<TagName>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Segments {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) segments: Vec<Value>,
}

/// The live shape. The description says `{type, notes[]}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CompanyNotes {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) data: Vec<Value>,
    pub(crate) url: String,
    pub(crate) total_count: u32,
    pub(crate) has_more: bool,
}
