//! What every contact, company and conversation has, and by which arguments of which tools it is found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::store::reads::AttributeOwner;

/// What has fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Object {
    Contact,
    Company,
    Conversation,
}

/// A field that the tools show.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Field {
    name: &'static str,
    r#type: &'static str,
    meaning: &'static str,
}

/// An argument by which objects are found.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Filter {
    argument: &'static str,
    tools: &'static str,
}

const CONTACT: &[Field] = &[
    field(
        "untrusted_name, untrusted_emails, untrusted_phones",
        "text",
        "what the person is called and reached by, the most believed source first",
    ),
    field(
        "untrusted_external_ids",
        "list of text",
        "ids of the person in the company's own systems",
    ),
    field("role", "text", "user, or lead before they have signed up"),
    field("owner", "text", "the teammate who owns the contact"),
    field(
        "companies",
        "list",
        "companies that the person belongs to, the primary one first",
    ),
    field(
        "tags, segments",
        "list of text",
        "names that the workspace has given",
    ),
    field(
        "signed_up_at, last_seen_at",
        "time",
        "in the company's product",
    ),
    field(
        "last_replied_at, last_contacted_at",
        "time",
        "when the person last wrote, and when a teammate last wrote to them",
    ),
    field(
        "may_email, restrictions",
        "boolean, list",
        "whether the person may be emailed, and what forbids it. One source is enough to forbid it",
    ),
    field(
        "conversations",
        "counts",
        "how many there are and how many are open",
    ),
];

const COMPANY: &[Field] = &[
    field(
        "untrusted_name, untrusted_domain, untrusted_website",
        "text",
        "what the company is called, and its registered domain",
    ),
    field(
        "untrusted_external_ids",
        "list of text",
        "ids of the company in the customer's own systems",
    ),
    field(
        "untrusted_plan, untrusted_industry",
        "text",
        "as a source says",
    ),
    field(
        "size, user_count, session_count",
        "integer",
        "employees, users and their sessions, as a source counts them",
    ),
    field(
        "monthly_spend",
        "number",
        "in a currency that no source names",
    ),
    field(
        "last_request_at",
        "time",
        "when one of its people last used the product",
    ),
    field(
        "tags, segments",
        "list of text",
        "names that the workspace has given",
    ),
    field(
        "contact_total, contacts",
        "count, list",
        "its people, and at least so many if contact_total_is_minimum is true",
    ),
];

const CONVERSATION: &[Field] = &[
    field(
        "number",
        "text",
        "Intercom's own id, by which people cite a conversation",
    ),
    field("state, open", "text, boolean", "open, closed or snoozed"),
    field(
        "assignee",
        "text",
        "the teammate or team that it is assigned to",
    ),
    field(
        "priority, tags",
        "text, list of text",
        "as the workspace sets them",
    ),
    field("created_at, updated_at", "time", "in Intercom"),
    field(
        "thread",
        "counts",
        "how many messages are held, expected and missing, and why",
    ),
    field(
        "parts",
        "list",
        "messages, notes and events. internal tells notes between teammates from messages to the customer",
    ),
];

const CONTACT_TOOLS: &str = "get_contact, get_contact_timeline";

const CONTACT_FILTERS: &[Filter] = &[
    filter("contact_id", CONTACT_TOOLS),
    filter("email", CONTACT_TOOLS),
    filter("phone", CONTACT_TOOLS),
    filter("external_id", CONTACT_TOOLS),
    filter("query, tag, owner, role, company_id", "search_profiles"),
];

const COMPANY_FILTERS: &[Filter] = &[
    filter("company_id", "get_company"),
    filter("domain", "get_company"),
    filter("external_id", "get_company"),
    filter("query, tag", "search_profiles"),
];

const CONVERSATION_FILTERS: &[Filter] = &[
    filter("conversation_id", "get_conversation"),
    filter("number", "get_conversation"),
    filter("contact_id", "get_contact_timeline, search_conversations"),
    filter(
        "query, state, tag, owner, active_since, active_before",
        "search_conversations",
    ),
];

const fn field(name: &'static str, r#type: &'static str, meaning: &'static str) -> Field {
    Field {
        name,
        r#type,
        meaning,
    }
}

const fn filter(argument: &'static str, tools: &'static str) -> Filter {
    Filter { argument, tools }
}

impl Object {
    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Contact => CONTACT,
            Self::Company => COMPANY,
            Self::Conversation => CONVERSATION,
        }
    }

    pub(super) const fn found_by(self) -> &'static [Filter] {
        match self {
            Self::Contact => CONTACT_FILTERS,
            Self::Company => COMPANY_FILTERS,
            Self::Conversation => CONVERSATION_FILTERS,
        }
    }

    pub(super) const fn owner(self) -> AttributeOwner {
        match self {
            Self::Contact => AttributeOwner::Contact,
            Self::Company => AttributeOwner::Company,
            Self::Conversation => AttributeOwner::Conversation,
        }
    }
}
