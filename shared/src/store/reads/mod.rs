//! The reads behind REST and the judgement of completeness. Every read is of one tenant. Lists continue after a key, so
//! page 1,000 costs as much as page 1.

mod companies;
mod contacts;
mod conversation_ids;
mod conversations;
#[cfg(feature = "export")]
mod export;
mod merges;
mod parts;
mod runs;
mod sync_facts;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use companies::CompanyProfile;
pub use contacts::{ContactProfile, Provenance};
pub use conversations::{Assignee, ConversationFilter, ConversationRecord, ThreadState};
#[cfg(feature = "export")]
pub use export::{
    StoredCompany, StoredContact, StoredConversation, StoredLink, StoredPart, StoredReference,
    StoredThread,
};
pub use parts::{PartAuthor, PartPosition, PartRecord};
pub use runs::{Run, RunError};

use crate::domain::ConnectionId;

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
const FAR_FUTURE: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
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
    /// `intercom`.
    pub source: String,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub source_updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// When the object was deleted. `None` unless every source has deleted it.
fn deleted_everywhere(sources: &[ProfileSource]) -> Option<DateTime<Utc>> {
    let times: Option<Vec<_>> = sources.iter().map(|source| source.deleted_at).collect();
    times.and_then(|times| times.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(deleted_at: Option<DateTime<Utc>>) -> ProfileSource {
        ProfileSource {
            source: "intercom".to_owned(),
            connection_id: ConnectionId::new(),
            source_id: "1".to_owned(),
            source_updated_at: Utc::now(),
            deleted_at,
        }
    }

    #[test]
    fn a_profile_is_deleted_when_its_last_source_is() {
        let (early, late) = (DateTime::UNIX_EPOCH, Utc::now());
        assert_eq!(
            deleted_everywhere(&[source(Some(early)), source(Some(late))]),
            Some(late)
        );
        assert_eq!(
            deleted_everywhere(&[source(Some(early)), source(None)]),
            None
        );
        assert_eq!(deleted_everywhere(&[]), None);
    }

    #[test]
    fn every_row_comes_after_the_first_position() {
        assert!(Position::newest().at > Utc::now() + chrono::TimeDelta::days(365_000));
    }
}
