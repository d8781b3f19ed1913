//! Shapes that several tools show.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{
    completeness::thread_reason,
    domain::JsonText,
    profiles::{CompanyProfile, ContactProfile},
    store::reads::{ConversationRecord, ProfileSource, ThreadState},
};
use uuid::Uuid;

use crate::mcp::{
    answer::Detail,
    freshness::Inbox,
    untrusted::{Untrusted, plain},
};

/// How many items of which list are left out.
pub(super) type LeftOut = BTreeMap<&'static str, usize>;

/// A conversation without its messages.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConversationLine {
    pub(super) conversation_id: Uuid,
    /// Cite the conversation by this number.
    number: String,
    /// Where a teammate opens it. Absent if the address is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_title: Option<Untrusted>,
    /// `open`, `closed` or `snoozed`, as Intercom says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    /// The teammate or team that it is assigned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    created_at: DateTime<Utc>,
    /// When it last changed in Intercom.
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
    /// How much of the thread is here.
    thread: ThreadLine,
}

/// How much of a thread is stored, without the first message.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ThreadLine {
    /// `complete`, `pending` (not fetched yet), `truncated` (Intercom never showed the older messages), `gone` or `blocked`.
    status: String,
    /// Messages and events that are stored.
    held: i32,
    /// Messages and events that Intercom counts. Absent before the thread was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<i32>,
    /// How many are not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<i32>,
    /// Why the thread is not whole, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A person, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ContactLine {
    contact_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_name: Option<Untrusted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_email: Option<Untrusted>,
}

/// A company, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CompanyLine {
    company_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_name: Option<Untrusted>,
}

/// A record that a profile is made from.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SourceLine {
    /// `crm`, `email`, `analytics` or `intercom`.
    source: String,
    /// The source's own id.
    untrusted_source_id: Untrusted,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
}

/// One attribute, in whatever type the source has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct AttributeLine {
    untrusted_name: Untrusted,
    untrusted_value: Untrusted,
    /// The name as it came, for the cursor.
    #[serde(skip)]
    pub(super) key: String,
}

impl ConversationLine {
    pub(super) fn of(conversation: ConversationRecord, inbox: &Inbox, detail: Detail) -> Self {
        let value = detail.value();
        let assignee = conversation.assignee;
        Self {
            conversation_id: conversation.id,
            url: inbox.link(conversation.connection_id, &conversation.source_id),
            number: plain(&conversation.source_id, value),
            untrusted_title: untrusted(conversation.title.as_deref(), value),
            state: conversation.state.map(|state| plain(&state, value)),
            open: conversation.open,
            priority: conversation
                .priority
                .map(|priority| plain(&priority, value)),
            assignee: assignee
                .map(|assignee| plain(assignee.name.as_deref().unwrap_or(&assignee.id), value)),
            tags: names(&conversation.tags, detail),
            created_at: conversation.source_created_at,
            updated_at: conversation.source_updated_at,
            deleted_at: conversation.deleted_at,
            thread: ThreadLine::of(conversation.thread, value),
        }
    }
}

impl ThreadLine {
    fn of(thread: ThreadState, limit: usize) -> Self {
        let reason = thread_reason(&thread.status, thread.error.as_deref());
        Self {
            reason: reason.map(|reason| plain(&reason, limit)),
            missing: thread
                .expected
                .map(|expected| expected - thread.held)
                .filter(|missing| *missing > 0),
            status: thread.status,
            held: thread.held,
            expected: thread.expected,
        }
    }
}

impl ContactLine {
    pub(super) fn of(contact: &ContactProfile, detail: Detail) -> Self {
        let fields = &contact.fields;
        Self {
            contact_id: contact.id,
            untrusted_name: untrusted(fields.name.as_deref(), detail.value()),
            untrusted_email: untrusted(fields.email.as_deref(), detail.value()),
        }
    }
}

impl CompanyLine {
    pub(super) fn of(company: &CompanyProfile, detail: Detail) -> Self {
        Self {
            company_id: company.id,
            untrusted_name: untrusted(company.fields.name.as_deref(), detail.value()),
        }
    }
}

impl SourceLine {
    pub(super) fn of(source: &ProfileSource, detail: Detail) -> Self {
        Self {
            source: plain(&source.source, detail.value()),
            untrusted_source_id: Untrusted::of(&source.source_id, detail.value()),
            updated_at: source.source_updated_at,
            deleted_at: source.deleted_at,
        }
    }
}

/// The attributes of a profile, by name, after the one with this name.
pub(super) fn attributes(
    attributes: &JsonText,
    after: Option<&str>,
    detail: Detail,
) -> (Vec<AttributeLine>, usize) {
    let all: BTreeMap<String, &RawValue> =
        serde_json::from_str(attributes.get()).unwrap_or_default();
    let total = all.len();
    let lines = all
        .into_iter()
        .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after))
        .map(|(name, value)| AttributeLine {
            untrusted_name: Untrusted::of(&name, detail.value()),
            untrusted_value: Untrusted::of(&text_of(value.get()), detail.long_value()),
            key: name,
        });
    (lines.collect(), total)
}

/// Texts without quotes, and everything else as JSON, with all digits of long numbers.
pub(super) fn text_of(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

pub(super) fn untrusted(text: Option<&str>, limit: usize) -> Option<Untrusted> {
    text.filter(|text| !text.is_empty())
        .map(|text| Untrusted::of(text, limit))
}

/// The first ones of a list of customers' texts. `left_out` gets how many are not among them.
pub(super) fn untrusted_list(
    name: &'static str,
    texts: &[String],
    detail: Detail,
    left_out: &mut LeftOut,
) -> Vec<Untrusted> {
    note_left_out(name, texts.len(), detail, left_out);
    let first = texts.iter().take(detail.items());
    first
        .map(|text| Untrusted::of(text, detail.value()))
        .collect()
}

/// The same of names that the workspace has given.
pub(super) fn name_list(
    name: &'static str,
    texts: &[String],
    detail: Detail,
    left_out: &mut LeftOut,
) -> Vec<String> {
    note_left_out(name, texts.len(), detail, left_out);
    names(texts, detail)
}

pub(super) fn note_left_out(
    name: &'static str,
    count: usize,
    detail: Detail,
    left_out: &mut LeftOut,
) {
    let more = count.saturating_sub(detail.items());
    if more > 0 {
        left_out.insert(name, more);
    }
}

fn names(texts: &[String], detail: Detail) -> Vec<String> {
    let first = texts.iter().take(detail.items());
    first.map(|text| plain(text, detail.value())).collect()
}
