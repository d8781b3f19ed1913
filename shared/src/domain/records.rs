//! Records as one source reports them. `intercom` reads them and `store` writes them.
//!
//! `raw` is the object as it was sent. It is kept beside the typed fields, so that a later version can
//! derive a new field without another call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::JsonText;

/// A list inside an object, as far as the answer shows it. What a part does not show is unknown, and never gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubList {
    Whole(Vec<String>),
    /// Some of the entries, or none of them.
    Part(Vec<String>),
}

impl SubList {
    /// The entries that are known.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        match self {
            Self::Whole(entries) | Self::Part(entries) => entries,
        }
    }

    /// Whether an entry that is not shown is gone.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// A contact as its source reports it: what tells which one it is. What a profile shows of it is read from `raw`, as
/// [`ContactFields`].
#[derive(Clone, Debug)]
pub struct Contact {
    pub source_id: String,
    pub external_id: Option<String>,
    /// Addresses and numbers as they were sent.
    pub emails: Vec<String>,
    pub phones: Vec<String>,
    pub updated_at: DateTime<Utc>,
    pub created_at: Option<DateTime<Utc>>,
    /// Intercom ids of the contact's companies.
    pub companies: SubList,
    /// Contacts merged into this one (`merge_history`). Their ids keep resolving to it.
    pub absorbed: Vec<String>,
    pub sanitised: bool,
    pub raw: String,
}

/// The per-source fields of a contact, from which a profile is folded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContactFields {
    pub role: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub owner: Option<String>,
    pub attributes: JsonText,
    pub location: JsonText,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub last_replied_at: Option<DateTime<Utc>>,
    pub last_contacted_at: Option<DateTime<Utc>>,
    pub signed_up_at: Option<DateTime<Utc>>,
    /// Further addresses, the first of which is shown if `email` is missing.
    pub emails: Vec<String>,
    /// Further numbers, the first of which is shown if `phone` is missing.
    pub phones: Vec<String>,
    pub browser: Option<Browser>,
    pub devices: Vec<Device>,
    pub consent: ConsentFields,
    /// Intercom's are ids, of which its reference items have the names. Other sources' are names.
    pub tags: Vec<String>,
    pub segments: Vec<String>,
}

/// The browser that a contact was last seen in. At least one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Browser {
    pub name: Option<String>,
    pub version: Option<String>,
    pub language: Option<String>,
    pub os: Option<String>,
}

/// A phone or tablet on which a contact uses an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub platform: Platform,
    pub app_name: Option<String>,
    pub app_version: Option<String>,
    pub device: Option<String>,
    pub os_version: Option<String>,
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// The operating system of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    Android,
    Ios,
}

/// What one source says about writing to a contact. `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentFields {
    pub unsubscribed: Option<bool>,
    pub marked_as_spam: Option<bool>,
    pub hard_bounced: Option<bool>,
    pub unsubscribed_from_sms: Option<bool>,
    pub may_email: Option<bool>,
}

/// What a person did, as a source reports it: when and who. What a timeline shows is read from `raw`, as [`EventFields`].
#[derive(Clone, Debug)]
pub struct SourceEvent {
    pub source_id: String,
    /// The source's own id of the person.
    pub contact: String,
    pub occurred_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub raw: String,
}

/// The fields of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventFields {
    /// The source's own id of the person.
    pub contact: String,
    /// What happened, in the source's own word, such as `email_opened`.
    pub kind: String,
    pub occurred_at: DateTime<Utc>,
    pub title: Option<String>,
    pub url: Option<String>,
    pub attributes: JsonText,
}

/// A company as its source reports it. What a profile shows of it is read from `raw`, as [`CompanyFields`].
#[derive(Clone, Debug)]
pub struct Company {
    pub source_id: String,
    pub external_id: Option<String>,
    /// Hosts of its websites, and domains as they were sent.
    pub domains: Vec<String>,
    pub updated_at: DateTime<Utc>,
    pub created_at: Option<DateTime<Utc>>,
    pub sanitised: bool,
    pub raw: String,
}

/// The per-source fields of a company.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CompanyFields {
    pub name: Option<String>,
    pub domain: Option<String>,
    pub plan: Option<String>,
    pub size: Option<i64>,
    pub industry: Option<String>,
    pub user_count: Option<i64>,
    pub session_count: Option<i64>,
    pub attributes: JsonText,
    /// As it was written. `domain` is its host.
    pub website: Option<String>,
    pub last_request_at: Option<DateTime<Utc>>,
    /// Whole or decimal, in a currency that no source names.
    pub monthly_spend: Option<Number>,
    /// As a contact's.
    pub tags: Vec<String>,
    pub segments: Vec<String>,
}

/// A conversation without its parts: a list item, or a full response with its parts taken out.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub source_id: String,
    pub title: Option<String>,
    pub state: Option<String>,
    pub open: bool,
    pub priority: Option<String>,
    pub admin_assignee_id: Option<String>,
    pub team_assignee_id: Option<String>,
    /// Names. `None` if the answer does not show all of them.
    pub tags: Option<Vec<String>>,
    /// Intercom ids of the contacts that take part.
    pub contacts: SubList,
    /// Intercom's id of the company that the conversation is about.
    pub company_source_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// `statistics.count_conversation_parts`. `None` if Intercom does not report it.
    pub part_count: Option<i32>,
    /// The first message, which is not among the parts. Some conversations have none.
    pub first_message: Option<Part>,
    pub sanitised: bool,
    pub raw: String,
}

/// One message or event of a thread.
#[derive(Clone, Debug)]
pub struct Part {
    pub source_id: String,
    pub kind: String,
    pub author_kind: Option<String>,
    pub author_source_id: Option<String>,
    pub author_name: Option<String>,
    pub body: Option<String>,
    pub redacted: bool,
    pub internal: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub sanitised: bool,
    pub raw: String,
}

/// The `source_id` of the row that holds a conversation's first message.
pub const FIRST_MESSAGE: &str = "source";

/// A full conversation: the stub and the newest parts that Intercom shows.
#[derive(Clone, Debug)]
pub struct Thread {
    pub conversation: Conversation,
    pub parts: Vec<Part>,
    /// `conversation_parts.total_count`, which may exceed what was shown.
    pub total_count: Option<i32>,
}

/// A record that others refer to by id: an admin, a team, a tag, a segment, an attribute.
#[derive(Clone, Debug)]
pub struct ReferenceItem {
    pub kind: &'static str,
    pub source_id: String,
    pub name: Option<String>,
    pub doc: String,
    pub sanitised: bool,
}

/// An object that could not be read. It is quarantined with its bytes, and the rest of its page is stored.
#[derive(Clone, Debug)]
pub struct Poison {
    pub kind: &'static str,
    /// Intercom's id if it can be read, else a digest of the bytes.
    pub source_id: String,
    pub reason: String,
    pub raw: Vec<u8>,
}

impl Poison {
    /// The label `reason` of `pathbound_quarantined_total`. The reason itself has too many values, and it may quote the
    /// customer's text.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        if self.raw.is_empty() {
            "not_received"
        } else {
            "unreadable"
        }
    }
}

/// A conversation shows at most its newest 500 parts.
pub const PARTS_SHOWN: i32 = 500;

/// A contact shows at most this many of its companies.
pub const COMPANIES_SHOWN: usize = 10;
