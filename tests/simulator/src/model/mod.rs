//! The objects as Intercom 2.16 writes them. Field names and nullability follow the official
//! description and, where live recordings differ, the recordings.

mod company;
mod contact;
mod conversation;
mod part;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use company::{Company, CompanyNotes, Plan, Segments, TagNames};
pub(crate) use contact::{Avatar, Contact, Location, SocialProfiles};
pub(crate) use conversation::{
    AiAgent, Channel, ContactRefs, ContentSources, Conversation, FirstReply, LinkedObjects, Rating,
    Sla, Source, SourceAuthor, Statistics, TagsApplied, TeamResponse, Teammates,
};
pub(crate) use part::{Attachment, Author, Part};

/// A fixed or generated piece of text.
pub(crate) type Text = Cow<'static, str>;
/// Customer-defined attributes.
pub(crate) type Attributes = Map<String, Value>;

/// `{type, id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: Option<String>,
}

/// `{type, id, name}` as companies and parts show a tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagName {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A tag on a contact or a conversation, with the admin that added it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagApplied {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) applied_at: Option<i64>,
    pub(crate) applied_by: Option<Reference>,
}

/// A short list whose rest lies behind `url`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SubList {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) data: Vec<Addressable>,
    pub(crate) url: String,
    pub(crate) total_count: usize,
    pub(crate) has_more: bool,
}

/// One entry of a [`SubList`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addressable {
    #[serde(rename = "type")]
    pub(crate) kind: Text,
    pub(crate) id: String,
    pub(crate) url: String,
}

impl SubList {
    /// The first `shown` of `ids`, each at `/{path}/{id}`.
    pub(crate) fn new(
        kind: &'static str,
        path: &str,
        ids: &[String],
        url: String,
        shown: usize,
    ) -> Self {
        Self {
            kind: "list".into(),
            data: ids
                .iter()
                .take(shown)
                .map(|id| Addressable {
                    kind: kind.into(),
                    id: id.clone(),
                    url: format!("/{path}/{id}"),
                })
                .collect(),
            url,
            total_count: ids.len(),
            has_more: ids.len() > shown,
        }
    }
}
