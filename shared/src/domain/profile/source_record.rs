//! Records as a CRM, an analytics tool or a mailing tool sends them: one JSON object each, `{source_id,
//! source_updated_at, fields, company?, deleted?}`.
//!
//! A field that is not known is refused. Taken silently, a misspelt `emial` would leave its sender to believe that the
//! address is stored.

mod members;

use chrono::{DateTime, Utc};
use serde_json::Number;

use self::members::Members;
pub use self::members::SourceRecordError;
use super::company_domain::website_host;
use crate::domain::records::{
    Browser, Company, CompanyFields, ConsentFields, Contact, ContactFields, Device, EventFields,
    SourceEvent, SubList,
};

/// In bytes. A larger record holds documents, which belong elsewhere, and every reader of its profile would pay for it.
const MAX_RECORD_BYTES: usize = 64 << 10;

/// A record that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRecord<F> {
    pub source_id: String,
    pub source_updated_at: DateTime<Utc>,
    /// `fields.created_at`. A record without it counts as younger than all others.
    pub source_created_at: Option<DateTime<Utc>>,
    /// `fields.external_id`: the customer's own id of the person or company.
    pub external_id: Option<String>,
    /// The source id of the contact's company, in the same source.
    pub company: Option<String>,
    /// The source has deleted it at `source_updated_at`.
    pub is_deleted: bool,
    pub fields: F,
}

/// Reads a contact.
///
/// # Errors
/// When a field is missing, not known, of another type or too large. The error names it and says what to send.
pub fn read_source_contact(raw: &str) -> Result<SourceRecord<ContactFields>, SourceRecordError> {
    read(raw, Shape::Contact, |fields, _| {
        let browser: Option<Browser> = fields.value(
            "browser",
            "an object of name, version, language and os as texts",
        )?;
        let consent: Option<ConsentFields> = fields.value(
            "consent",
            "an object of unsubscribed, marked_as_spam, hard_bounced, unsubscribed_from_sms and may_email as true or false",
        )?;
        let devices: Vec<Device> = fields.list(
            "devices",
            "a list of objects of platform (android or ios), app_name, app_version, device, os_version and last_seen_at",
        )?;
        Ok(ContactFields {
            role: fields.text("role")?,
            email: fields.text("email")?,
            emails: fields.texts("emails")?,
            name: fields.text("name")?,
            phone: fields.text("phone")?,
            phones: fields.texts("phones")?,
            owner: fields.text("owner")?,
            attributes: fields.document("attributes")?,
            location: fields.document("location")?,
            last_seen_at: fields.time("last_seen_at")?,
            last_replied_at: fields.time("last_replied_at")?,
            last_contacted_at: fields.time("last_contacted_at")?,
            signed_up_at: fields.time("signed_up_at")?,
            browser: browser.filter(|browser| *browser != Browser::default()),
            devices,
            consent: consent.unwrap_or_default(),
            tags: fields.texts("tags")?,
            segments: fields.texts("segments")?,
        })
    })
}

/// Reads a company.
///
/// # Errors
/// As [`read_source_contact`].
pub fn read_source_company(raw: &str) -> Result<SourceRecord<CompanyFields>, SourceRecordError> {
    read(raw, Shape::Company, |fields, _| {
        let monthly_spend: Option<Number> = fields.value("monthly_spend", "a number")?;
        Ok(CompanyFields {
            name: fields.text("name")?,
            domain: fields.text("domain")?,
            website: fields.text("website")?,
            plan: fields.text("plan")?,
            size: fields.count("size")?,
            industry: fields.text("industry")?,
            user_count: fields.count("user_count")?,
            session_count: fields.count("session_count")?,
            last_request_at: fields.time("last_request_at")?,
            monthly_spend,
            attributes: fields.document("attributes")?,
            tags: fields.texts("tags")?,
            segments: fields.texts("segments")?,
        })
    })
}

/// Reads an event. A deleted one has no fields.
///
/// # Errors
/// As [`read_source_contact`].
pub fn read_source_event(
    raw: &str,
) -> Result<SourceRecord<Option<EventFields>>, SourceRecordError> {
    read(raw, Shape::Event, |fields, is_deleted| {
        let contact = fields.id("contact")?;
        let kind = fields.id("kind")?;
        let occurred_at = fields.time("occurred_at")?;
        let (title, url) = (fields.text("title")?, fields.text("url")?);
        let attributes = fields.document("attributes")?;
        if is_deleted {
            return Ok(None);
        }
        Ok(Some(EventFields {
            contact: contact.ok_or(SourceRecordError::Missing("fields.contact"))?,
            kind: kind.ok_or(SourceRecordError::Missing("fields.kind"))?,
            occurred_at: occurred_at.ok_or(SourceRecordError::Missing("fields.occurred_at"))?,
            title,
            url,
            attributes,
        }))
    })
}

impl SourceRecord<Option<EventFields>> {
    /// What is stored of it. `None` for a deleted one.
    #[must_use]
    pub fn into_event(self, raw: String) -> Option<SourceEvent> {
        let fields = self.fields?;
        Some(SourceEvent {
            source_id: self.source_id,
            contact: fields.contact,
            occurred_at: fields.occurred_at,
            updated_at: self.source_updated_at,
            raw,
        })
    }
}

impl SourceRecord<ContactFields> {
    /// What is stored of it.
    #[must_use]
    pub fn into_contact(self, raw: String) -> Contact {
        let ContactFields {
            email,
            emails,
            phone,
            phones,
            ..
        } = self.fields;
        Contact {
            source_id: self.source_id,
            external_id: self.external_id,
            emails: email.into_iter().chain(emails).collect(),
            phones: phone.into_iter().chain(phones).collect(),
            updated_at: self.source_updated_at,
            created_at: self.source_created_at,
            // The source names the one company that it has, or none.
            companies: SubList::Whole(self.company.into_iter().collect()),
            absorbed: Vec::new(),
            sanitised: false,
            raw,
        }
    }
}

impl SourceRecord<CompanyFields> {
    /// What is stored of it.
    #[must_use]
    pub fn into_company(self, raw: String) -> Company {
        let website = self.fields.website.as_deref().and_then(website_host);
        Company {
            source_id: self.source_id,
            external_id: self.external_id,
            domains: self.fields.domain.into_iter().chain(website).collect(),
            updated_at: self.source_updated_at,
            created_at: self.source_created_at,
            sanitised: false,
            raw,
        }
    }
}

/// Which members a record has beside its fields, and which fields beside its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Contact,
    Company,
    Event,
}

/// The second argument of `into` says whether the record is deleted.
fn read<F>(
    raw: &str,
    shape: Shape,
    into: impl FnOnce(&mut Members<'_>, bool) -> Result<F, SourceRecordError>,
) -> Result<SourceRecord<F>, SourceRecordError> {
    if raw.len() > MAX_RECORD_BYTES {
        return Err(SourceRecordError::TooLarge {
            bytes: raw.len(),
            limit: MAX_RECORD_BYTES,
        });
    }
    let mut record = Members::read("", raw)?;
    let source_id = record.id("source_id")?;
    let source_updated_at = record.time("source_updated_at")?;
    let company = if shape == Shape::Contact {
        record.id("company")?
    } else {
        None
    };
    let is_deleted: bool = record
        .value("deleted", "true or false")?
        .unwrap_or_default();
    let mut fields = record.object("fields")?;
    record.finish()?;
    let (source_created_at, external_id) = if shape == Shape::Event {
        (None, None)
    } else {
        (fields.time("created_at")?, fields.text("external_id")?)
    };
    let read = SourceRecord {
        source_id: source_id.ok_or(SourceRecordError::Missing("source_id"))?,
        source_updated_at: source_updated_at
            .ok_or(SourceRecordError::Missing("source_updated_at"))?,
        source_created_at,
        external_id,
        company,
        is_deleted,
        fields: into(&mut fields, is_deleted)?,
    };
    fields.finish()?;
    Ok(read)
}

#[cfg(test)]
mod tests;
