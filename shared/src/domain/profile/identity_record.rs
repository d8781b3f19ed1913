//! What identity needs to know of a record.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{identity_value::IdentityValue, source::RecordKey};

/// A record, as far as its identity goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRecord {
    pub key: RecordKey,
    /// The id of a profile that this record alone would be. It becomes the profile's id if the record is the oldest.
    pub id: Uuid,
    pub source_created_at: DateTime<Utc>,
    /// The record of the same connection that its source has merged this one into.
    pub merged_into: Option<String>,
    /// Blocked values included, because readers are told of them.
    pub values: Vec<IdentityValue>,
}
