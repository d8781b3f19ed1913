//! A record of a source, as far as a profile shows it.

use chrono::{DateTime, Utc};

use super::source::{RecordKey, Source};
use crate::domain::records::{CompanyFields, ContactFields};

/// One record of a profile. Records that their source has merged into others are left out, because their survivor has
/// what the source has kept of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileRecord<F> {
    pub key: RecordKey,
    pub source: Source,
    pub source_updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub external_id: Option<String>,
    /// The records of a contact's companies, in the order in which its source names them. A company has none.
    pub companies: Vec<RecordKey>,
    pub fields: F,
}

pub type ContactRecord = ProfileRecord<ContactFields>;
pub type CompanyRecord = ProfileRecord<CompanyFields>;
