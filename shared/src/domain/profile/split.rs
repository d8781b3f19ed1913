//! Turns a person's wish to part a profile into a split.

use super::{identity::Profile, identity_rules::Split, source::RecordKey};

/// Why a profile cannot be parted like this. Nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("no records are named: name those that are someone else")]
    Nothing,
    #[error("record {0:?} is not in this profile: name records of its sources")]
    Unknown(String),
    #[error("record {0:?} was merged in its source: part it there")]
    Merged(String),
    #[error("every record of the profile is named: leave at least one")]
    Everything,
}

/// The split that parts these records from the other members of their profile.
///
/// # Errors
/// When the records are not some but not all of the profile's members.
pub fn split(profile: &Profile, records: &[RecordKey]) -> Result<Split, SplitError> {
    if records.is_empty() {
        return Err(SplitError::Nothing);
    }
    for record in records {
        if profile.absorbed.contains(record) {
            return Err(SplitError::Merged(record.source_id.clone()));
        }
        if !profile.members.contains(record) {
            return Err(SplitError::Unknown(record.source_id.clone()));
        }
    }
    let (left, right): (Vec<&RecordKey>, Vec<&RecordKey>) = profile
        .members
        .iter()
        .partition(|member| records.contains(member));
    if right.is_empty() {
        return Err(SplitError::Everything);
    }
    Ok(Split {
        left: left.into_iter().cloned().collect(),
        right: right.into_iter().cloned().collect(),
    })
}
