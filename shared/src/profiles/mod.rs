//! Profiles, derived when they are read: raw record → the fields of its source → the profile that its records make.
//!
//! Nothing of this is stored, so a profile cannot be behind its records. A new field needs no second sync, and a source
//! that leaves takes nothing with it that another one has given.

mod companies;
mod contacts;
mod conversations;
mod identities;
mod names;
mod timeline;

use chrono::{DateTime, Utc};

pub use companies::{CompanyProfile, companies, companies_by_id, company};
pub use contacts::{ContactProfile, contact, contacts, contacts_by_id};
pub use conversations::{attachments, conversation_extras};
pub use identities::{ContactIdentities, DatedLink, identities};
pub use timeline::{TimelineEntry, TimelineEvent, TimelineItem, events, timeline};

use crate::{
    domain::profile::MergeRules,
    store::{ApiTx, StoreError, reads::ProfileSource},
};

/// What a profile tells of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileDetail {
    Values,
    /// The record that each value is from as well.
    Origins,
}

/// The tenant's rules for profiles of so many records. A profile of one record needs none, and most are.
async fn rules_for(
    tx: &mut ApiTx,
    mut records: impl Iterator<Item = usize>,
) -> Result<MergeRules, StoreError> {
    if records.any(|records| records > 1) {
        tx.merge_rules().await
    } else {
        Ok(MergeRules::default())
    }
}

/// When the object was deleted. `None` unless every source has deleted it.
fn deleted_everywhere(sources: &[ProfileSource]) -> Option<DateTime<Utc>> {
    let times: Option<Vec<_>> = sources.iter().map(|source| source.deleted_at).collect();
    times.and_then(|times| times.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ConnectionId;

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
}
