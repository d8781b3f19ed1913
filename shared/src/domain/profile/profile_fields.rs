//! What profiles show.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;

use super::{provenance::Provenance, source::RecordKey};
use crate::domain::{
    JsonText,
    records::{Browser, Device},
};

/// A contact's profile. Lists begin with the source that is believed first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContactProfileFields {
    pub email: Option<String>,
    pub name: Option<String>,
    pub role: Option<String>,
    pub phone: Option<String>,
    /// The id of an admin of Intercom's, or the name that another source gives.
    pub owner: Option<String>,
    /// An object.
    pub location: JsonText,
    /// The newest of all records, whatever the order of sources, as the next two.
    pub last_seen_at: Option<DateTime<Utc>>,
    pub last_replied_at: Option<DateTime<Utc>>,
    pub last_contacted_at: Option<DateTime<Utc>>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub browser: Option<Browser>,
    /// Every device of every record. Of one device that several records know, what the newest says.
    pub devices: Vec<Device>,
    /// An object with the attributes of all records, sorted by name.
    pub attributes: JsonText,
    pub external_ids: Vec<String>,
    /// All addresses, `email` first. Of several spellings of one, the first.
    pub emails: Vec<String>,
    /// All numbers, `phone` first. Of several spellings of one, the first.
    pub phones: Vec<String>,
    pub tags: Vec<String>,
    pub segments: Vec<String>,
    pub consent: Consent,
    /// The records of companies. The first one is the first of the first source that names any.
    pub companies: Vec<RecordKey>,
    pub provenance: Provenance,
}

/// Whether the contact may be written to. A restriction holds if any record states it, also one that its source has
/// deleted since: a person who said no has not said yes by that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consent {
    pub unsubscribed: bool,
    pub marked_as_spam: bool,
    pub hard_bounced: bool,
    pub unsubscribed_from_sms: bool,
    /// No record forbids it, and none of the first three holds. It does not say that there is an address.
    pub may_email: bool,
}

/// A company's profile. Lists begin with the source that is believed first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompanyProfileFields {
    pub name: Option<String>,
    pub domain: Option<String>,
    pub website: Option<String>,
    pub plan: Option<String>,
    pub size: Option<i64>,
    pub industry: Option<String>,
    pub user_count: Option<i64>,
    pub session_count: Option<i64>,
    /// The newest of all records, whatever the order of sources.
    pub last_request_at: Option<DateTime<Utc>>,
    /// Whole or decimal.
    pub monthly_spend: Option<Number>,
    /// An object with the attributes of all records, sorted by name.
    pub attributes: JsonText,
    pub tags: Vec<String>,
    pub segments: Vec<String>,
    pub external_ids: Vec<String>,
    pub provenance: Provenance,
}
