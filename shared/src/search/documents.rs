//! What is found and shown of one object.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::{
        JsonText, TenantId,
        search::{DocumentWords, SearchKind, TEXT_BYTES, Weight, WordScope},
    },
    profiles::{self, CompanyProfile, ContactProfile},
    store::{
        SearchDocument,
        reads::{ConversationRecord, PartRecord, ProfileSource},
    },
    text,
};

/// Values of attributes that count, and the length of each in bytes.
const ATTRIBUTES: usize = 200;
const ATTRIBUTE_BYTES: usize = 500;
/// A first message stands for a title that is missing, up to so many characters.
const TITLE: usize = 80;
/// Between two facts of a profile.
const BETWEEN: &str = " · ";

/// Writes one document: its words, and the text that snippets are cut from.
#[derive(Default)]
struct Writer {
    words: DocumentWords,
    body: String,
}

impl Writer {
    /// A text that is found and shown.
    fn show(&mut self, text: &str, weight: Weight) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.words.add(text, weight);
        if !self.body.is_empty() {
            self.body.push_str(BETWEEN);
        }
        self.body.push_str(text);
    }

    fn show_all<'a>(&mut self, texts: impl IntoIterator<Item = &'a String>, weight: Weight) {
        for text in texts {
            self.show(text, weight);
        }
    }

    fn tags(&mut self, tags: &[String], segments: &[String]) {
        for tag in tags {
            self.words.add_filter("tag", tag);
        }
        self.show_all(tags.iter().chain(segments), Weight::Detail);
    }

    fn owner(&mut self, owner: Option<&String>) {
        if let Some(owner) = owner {
            self.words.add_filter("owner", owner);
            self.show(owner, Weight::Detail);
        }
    }

    /// The values of an object, with their names. Nested ones are left out.
    fn values(&mut self, object: &JsonText) {
        let Value::Object(members) = object.parsed() else {
            return;
        };
        for (name, value) in members.into_iter().take(ATTRIBUTES) {
            let value = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            let value = &value[..value.floor_char_boundary(ATTRIBUTE_BYTES)];
            self.show(&format!("{name}: {value}"), Weight::Body);
        }
    }

    fn sources(&mut self, sources: &[ProfileSource]) {
        for source in sources {
            self.words.add(&source.source_id, Weight::Name);
        }
    }

    fn finish(
        self,
        tenant: TenantId,
        (kind, id): (SearchKind, Uuid),
        title: &str,
        active_at: DateTime<Utc>,
    ) -> SearchDocument {
        let scope = WordScope::of(tenant, kind, active_at);
        SearchDocument {
            id,
            kind,
            active_at,
            // Postgres stores no NUL.
            title: title.replace('\0', ""),
            body: self.body.replace('\0', ""),
            words: self.words.literal(&scope),
        }
    }
}

/// The document of a contact that is listed.
pub(super) fn of_contact(tenant: TenantId, contact: &ContactProfile) -> SearchDocument {
    let fields = &contact.fields;
    let mut writer = Writer::default();
    let names = [&fields.name, &fields.email, &fields.phone];
    let title = names.into_iter().flatten().chain(&fields.external_ids);
    let title = title
        .map(String::as_str)
        .find(|text| !text.trim().is_empty());
    if let Some(name) = &fields.name {
        writer.words.add(name, Weight::Name);
    }
    writer.show_all(&fields.emails, Weight::Name);
    writer.show_all(&fields.phones, Weight::Name);
    writer.show_all(&fields.external_ids, Weight::Name);
    writer.sources(&contact.sources);
    if let Some(role) = &fields.role {
        writer.words.add_filter("role", role);
        writer.show(role, Weight::Detail);
    }
    writer.owner(fields.owner.as_ref());
    writer.tags(&fields.tags, &fields.segments);
    for company in &contact.company_ids {
        writer.words.add_filter("company", &company.to_string());
    }
    writer.values(&fields.location);
    writer.values(&fields.attributes);
    writer.finish(
        tenant,
        (SearchKind::Contact, contact.id),
        title.unwrap_or("Unnamed contact"),
        last_update(&contact.sources),
    )
}

/// The document of a company that is listed.
pub(super) fn of_company(tenant: TenantId, company: &CompanyProfile) -> SearchDocument {
    let fields = &company.fields;
    let mut writer = Writer::default();
    let names = [&fields.name, &fields.domain];
    let title = names.into_iter().flatten().chain(&fields.external_ids);
    let title = title
        .map(String::as_str)
        .find(|text| !text.trim().is_empty());
    if let Some(name) = &fields.name {
        writer.words.add(name, Weight::Name);
    }
    writer.show_all(&fields.domain, Weight::Name);
    writer.show_all(&fields.external_ids, Weight::Name);
    writer.sources(&company.sources);
    let details = [&fields.website, &fields.plan, &fields.industry];
    writer.show_all(details.into_iter().flatten(), Weight::Detail);
    writer.tags(&fields.tags, &fields.segments);
    writer.values(&fields.attributes);
    writer.finish(
        tenant,
        (SearchKind::Company, company.id),
        title.unwrap_or("Unnamed company"),
        last_update(&company.sources),
    )
}

/// The document of a conversation that is listed, in which its messages are written one after the other.
pub(super) struct ConversationWriter {
    writer: Writer,
    first_text: Option<String>,
}

impl ConversationWriter {
    pub(super) fn new(conversation: &ConversationRecord) -> Self {
        let mut words = DocumentWords::default();
        if let Some(title) = &conversation.title {
            words.add(title, Weight::Name);
        }
        words.add(&conversation.source_id, Weight::Name);
        if let Some(state) = &conversation.state {
            words.add_filter("state", state);
        }
        for tag in &conversation.tags {
            words.add_filter("tag", tag);
            words.add(tag, Weight::Detail);
        }
        if let Some(assignee) = &conversation.assignee {
            words.add_filter("owner", &assignee.id);
            if let Some(name) = &assignee.name {
                words.add_filter("owner", name);
                words.add(name, Weight::Detail);
            }
        }
        for contact in &conversation.contact_ids {
            words.add_filter("contact", &contact.to_string());
        }
        for company in &conversation.company_ids {
            words.add_filter("company", &company.to_string());
        }
        Self {
            writer: Writer {
                words,
                body: String::new(),
            },
            first_text: None,
        }
    }

    /// Adds a message. What goes beyond the limit is neither found nor shown.
    pub(super) fn add(&mut self, part: &PartRecord) {
        let left = TEXT_BYTES.saturating_sub(self.writer.body.len());
        let Some(html) = part.body.as_deref().filter(|_| left > 0) else {
            return;
        };
        // Markup may be most of a body.
        let html = &html[..html.floor_char_boundary(TEXT_BYTES)];
        let text = text::from_html(html);
        let text = &text[..text.floor_char_boundary(left)];
        if let Some(name) = &part.author.name {
            self.writer.words.add(name, Weight::Detail);
        }
        self.writer.show(text, Weight::Body);
        if self.first_text.is_none() {
            let line = text.lines().find(|line| !line.trim().is_empty());
            self.first_text = line.map(|line| line.trim().chars().take(TITLE).collect());
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.writer.body.len() >= TEXT_BYTES
    }

    pub(super) fn finish(
        mut self,
        tenant: TenantId,
        conversation: &ConversationRecord,
    ) -> SearchDocument {
        let extras = profiles::conversation_extras(conversation);
        self.writer.values(&extras.attributes);
        if let Some(remark) = extras.rating.and_then(|rating| rating.remark) {
            self.writer.show(&remark, Weight::Body);
        }
        let number = format!("Conversation {}", conversation.source_id);
        let title = conversation.title.as_ref().or(self.first_text.as_ref());
        let title = title.filter(|title| !title.trim().is_empty());
        self.writer.finish(
            tenant,
            (SearchKind::Conversation, conversation.id),
            title.unwrap_or(&number),
            conversation.source_updated_at,
        )
    }
}

fn last_update(sources: &[ProfileSource]) -> DateTime<Utc> {
    let times = sources.iter().map(|source| source.source_updated_at);
    times.max().unwrap_or_default()
}
