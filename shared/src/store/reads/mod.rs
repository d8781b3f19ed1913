//! The reads behind REST and the judgement of completeness. Every read is of one tenant. Lists continue after a key, so
//! page 1,000 costs as much as page 1.

/// The record in a row of this table. Rows of each statement have a type of their own.
macro_rules! source_record {
    ($row:ident, $table:literal, $is_merged:expr) => {
        $crate::store::reads::SourceRecord {
            source: $crate::store::reads::ProfileSource {
                source: $row.source,
                connection_id: $crate::domain::ConnectionId($row.connection_id),
                source_id: $row.source_id,
                source_updated_at: $row.source_updated_at,
                deleted_at: $row.deleted_at,
            },
            is_merged: $is_merged,
            external_id: $row.external_id,
            raw: $crate::store::raw::read($table, &$row.raw)?,
        }
    };
}

mod attribute_definitions;
mod companies;
mod company_contacts;
mod contacts;
mod conversation_ids;
mod conversations;
mod events;
#[cfg(feature = "export")]
mod export;
mod feed;
mod known_by;
mod merges;
mod parts;
mod runs;
mod sync_facts;
mod totals;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use attribute_definitions::{AttributeDefinition, AttributeOwner};
pub use companies::CompanyRecords;
pub use company_contacts::CompanyContacts;
pub use contacts::{ContactCompany, ContactRecords, ReferenceKey};
pub use conversations::{Assignee, ConversationFilter, ConversationRecord, ThreadState};
pub use events::EventRecord;
#[cfg(feature = "export")]
pub use export::{
    StoredCompany, StoredContact, StoredConversation, StoredLink, StoredPart, StoredReference,
    StoredThread,
};
pub use feed::Change;
pub use parts::{PartAuthor, PartPosition, PartRecord};
pub use runs::{Run, RunError};
pub use totals::ConversationTotals;

use crate::domain::{
    ConnectionId,
    profile::{RecordKey, Source},
};

impl ProfileSource {
    /// Whose form its records have. A source that only a newer build knows is read as Intercom's.
    #[must_use]
    pub fn kind(&self) -> Source {
        Source::named(&self.source).unwrap_or(Source::Intercom)
    }
}

impl SourceRecord {
    /// The record's name.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey::new(self.source.connection_id, self.source.source_id.clone())
    }
}

/// The last row of the page before, in a list from newest to oldest: its time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl Position {
    /// Before the newest row. A value instead of "no condition" keeps the statement, and so its plan, one.
    #[must_use]
    pub fn newest() -> Self {
        Self {
            at: FAR_FUTURE,
            id: Uuid::max(),
        }
    }
}

/// Later than any row: the year 9999.
pub(super) const FAR_FUTURE: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

/// What contacts and companies are filtered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileFilter {
    /// Changed at or after this time.
    pub updated_since: Option<DateTime<Utc>>,
    /// Also those that are deleted in every source.
    pub deleted: bool,
}

/// One source's record behind a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSource {
    /// `crm`, `email`, `analytics` or `intercom`.
    pub source: String,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub source_updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// One source's record as it was sent.
#[derive(Clone, Debug)]
pub struct SourceRecord {
    pub source: ProfileSource,
    /// Its source merged it into another record.
    pub is_merged: bool,
    pub external_id: Option<String>,
    pub raw: Vec<u8>,
}

impl SourceRecord {
    /// The record as text. What is no text in it is replaced, which looks at each character, so it is done only then.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        std::str::from_utf8(&self.raw)
            .map_or_else(|_| String::from_utf8_lossy(&self.raw), Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_after_the_first_position() {
        assert!(Position::newest().at > Utc::now() + chrono::TimeDelta::days(365_000));
    }
}
