//! Entries of `GET /conversations/deleted`.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    poison::read_object,
    scalar::{Seconds, Text},
};
use crate::domain::records::Poison;

/// A conversation that Intercom says was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    pub source_id: String,
    pub deleted_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireDeletedConversation {
    id: Text,
    deleted_at: Seconds,
}

/// Reads one entry of the list.
pub fn read_deleted(raw: &str) -> Result<Deleted, Poison> {
    read_object("reference", raw, |wire: WireDeletedConversation, _| {
        Ok(Deleted {
            source_id: wire.id.key()?.ok_or("the deleted conversation has no id")?,
            deleted_at: wire
                .deleted_at
                .0
                .ok_or("the deleted conversation has no deleted_at")?,
        })
    })
}
