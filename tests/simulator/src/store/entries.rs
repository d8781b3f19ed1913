//! The objects as stored: rendered bytes, and beside them only what lists, searches and
//! sub-resources need without parsing.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{Entry, Id};

/// What every object has.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) id: Id,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// The object as version 2.16 returns it in lists.
    pub(crate) body: Bytes,
    pub(crate) state: State,
}

impl Head {
    pub(crate) fn new(id: &str, created_at: i64, updated_at: i64, body: Bytes) -> Self {
        Self {
            id: Id(Arc::from(id)),
            created_at,
            updated_at,
            body,
            state: State::Live,
        }
    }
}

impl Head {
    /// Puts foreign bytes in place of the object.
    pub(crate) fn replace(&mut self, body: Bytes) {
        self.updated_at = moment(&body).unwrap_or(self.updated_at);
        self.body = body;
    }
}

impl PartEntry {
    /// Puts foreign bytes in place of the part.
    pub(crate) fn replace(&mut self, body: Bytes) {
        self.updated_at = moment(&body).unwrap_or(self.updated_at);
        self.body = body;
    }
}

/// The `updated_at` of foreign bytes, if they have one.
fn moment(body: &[u8]) -> Option<i64> {
    let object: serde_json::Value = serde_json::from_slice(body).ok()?;
    object["updated_at"].as_i64()
}

/// Whether lists and searches show an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    Deleted,
    Archived,
    MergedInto(Arc<str>),
}

impl State {
    pub(crate) fn is_live(&self) -> bool {
        *self == Self::Live
    }
}

#[derive(Debug)]
pub(crate) struct ContactEntry {
    pub(crate) head: Head,
    pub(crate) is_user: bool,
    pub(crate) external_id: Option<String>,
    /// All companies, also those beyond the ten that the object shows.
    pub(crate) companies: Vec<String>,
    /// All tags: id and when it was put on.
    pub(crate) tags: Vec<(String, i64)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) segments: Vec<String>,
    pub(crate) merges: Vec<Merge>,
    /// Search shows the contact from this moment.
    pub(crate) searchable_from: i64,
}

/// A note on a contact.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) created_at: i64,
    pub(crate) author: String,
    pub(crate) body: String,
}

/// A contact that was merged into this one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Merge {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) source_contact_id: String,
    pub(crate) source_contact_role: &'static str,
    pub(crate) merged_at: i64,
}

#[derive(Debug)]
pub(crate) struct CompanyEntry {
    pub(crate) head: Head,
    pub(crate) company_id: String,
    pub(crate) name: Option<String>,
    pub(crate) last_request_at: Option<i64>,
    pub(crate) tags: Vec<String>,
    pub(crate) segments: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct ConversationEntry {
    pub(crate) head: Head,
    /// The place in an unsorted search.
    pub(crate) shuffle: i64,
    /// All parts, oldest first, also those that the API no longer shows.
    pub(crate) parts: Vec<PartEntry>,
}

#[derive(Debug, Clone)]
pub(crate) struct PartEntry {
    pub(crate) id: u64,
    pub(crate) updated_at: i64,
    pub(crate) body: Bytes,
}

impl ConversationEntry {
    /// A conversation returns at most this many parts, the newest.
    pub(crate) const SHOWN_PARTS: usize = 500;

    /// The parts that the API shows.
    pub(crate) fn shown(&self) -> &[PartEntry] {
        &self.parts[self.hidden()..]
    }

    /// How many older parts the API does not show.
    pub(crate) fn hidden(&self) -> usize {
        self.parts.len().saturating_sub(Self::SHOWN_PARTS)
    }
}

impl Entry for ContactEntry {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Entry for CompanyEntry {
    fn head(&self) -> &Head {
        &self.head
    }

    fn rank(&self) -> i64 {
        self.last_request_at.unwrap_or(0)
    }
}

impl Entry for ConversationEntry {
    fn head(&self) -> &Head {
        &self.head
    }

    fn unsorted(&self) -> i64 {
        self.shuffle
    }
}
