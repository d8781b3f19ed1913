//! The records that other sources send, as the description has them. `read_source_contact` and its neighbours read
//! them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::openapi::words;

/// The body of a call that sends records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordBatch)]
#[serde(untagged)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "it is described, and only tests make one")
)]
pub(super) enum BatchShape {
    Contacts(ContactBatch),
    Companies(CompanyBatch),
    Events(EventBatch),
}

/// Contacts of one source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactBatch {
    #[schema(value_type = words::ContactObject)]
    object: &'static str,
    #[schema(max_items = 1000)]
    records: Vec<ContactSourceRecord>,
}

/// Companies of one source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompanyBatch {
    #[schema(value_type = words::CompanyObject)]
    object: &'static str,
    #[schema(max_items = 1000)]
    records: Vec<CompanySourceRecord>,
}

/// Events of one source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventBatch {
    #[schema(value_type = words::EventObject)]
    object: &'static str,
    #[schema(max_items = 1000)]
    records: Vec<EventSourceRecord>,
}

/// Something that a person did, as one source tells it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventSourceRecord {
    /// The source's own id of the event. A record with the same id replaces this one.
    #[schema(min_length = 1, max_length = 255, example = "mail-7-opened")]
    source_id: String,
    /// When the source changed it last. Of several versions of a record the one with the latest time counts.
    source_updated_at: DateTime<Utc>,
    /// What the source knows. A field that is left out or null is not known.
    fields: EventRecordFields,
    /// Whether the source has deleted it, at `source_updated_at`. `fields` are empty then.
    #[schema(required = false)]
    deleted: Option<bool>,
}

/// What a source tells of an event.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventRecordFields {
    /// Whose: the `source_id` of the person in the same source. The person's record may come later.
    #[schema(min_length = 1, max_length = 255, example = "003-ada")]
    contact: String,
    /// What happened, in the source's own word.
    #[schema(min_length = 1, max_length = 255, example = "email_opened")]
    kind: String,
    occurred_at: DateTime<Utc>,
    #[schema(required = false, example = "Your invoice for March")]
    title: Option<String>,
    #[schema(required = false)]
    url: Option<String>,
    #[schema(required = false, value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// A contact as one source knows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ContactSourceRecord {
    /// The source's own id of the contact. A record with the same id replaces this one.
    #[schema(min_length = 1, max_length = 255, example = "003-ada")]
    source_id: String,
    /// When the source changed it last. Of several versions of a record the one with the latest time counts.
    source_updated_at: DateTime<Utc>,
    /// What the source knows. A field that is left out or null is not known.
    fields: ContactRecordFields,
    /// Its company: the `source_id` of that in the same source.
    #[schema(required = false, max_length = 255)]
    company: Option<String>,
    /// Whether the source has deleted it, at `source_updated_at`. `fields` are empty then.
    #[schema(required = false)]
    deleted: Option<bool>,
}

/// A company as one source knows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompanySourceRecord {
    /// The source's own id of the company. A record with the same id replaces this one.
    #[schema(min_length = 1, max_length = 255, example = "001-acme")]
    source_id: String,
    /// When the source changed it last. Of several versions of a record the one with the latest time counts.
    source_updated_at: DateTime<Utc>,
    /// What the source knows. A field that is left out or null is not known.
    fields: CompanyRecordFields,
    /// Whether the source has deleted it, at `source_updated_at`. `fields` are empty then.
    #[schema(required = false)]
    deleted: Option<bool>,
}

/// What a source knows of a contact.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ContactRecordFields {
    /// Your own id of the person. Records with one `external_id` are one person.
    #[schema(example = "user-42")]
    external_id: Option<String>,
    /// When the source created it. The oldest record gives a profile its id.
    created_at: Option<DateTime<Utc>>,
    #[schema(example = "ada@acme.example")]
    email: Option<String>,
    /// Further addresses.
    #[schema(max_items = 100)]
    emails: Option<Vec<String>>,
    #[schema(example = "Ada Lovelace")]
    name: Option<String>,
    /// With its country, as `+49…`. Another number is shown and links nobody.
    phone: Option<String>,
    /// Further numbers.
    #[schema(max_items = 100)]
    phones: Option<Vec<String>>,
    role: Option<String>,
    /// The name of the person in charge.
    owner: Option<String>,
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    location: Option<Map<String, Value>>,
    last_seen_at: Option<DateTime<Utc>>,
    last_replied_at: Option<DateTime<Utc>>,
    last_contacted_at: Option<DateTime<Utc>>,
    signed_up_at: Option<DateTime<Utc>>,
    /// `name`, `version`, `language` and `os`, each a text.
    #[schema(value_type = Option<Object>)]
    browser: Option<Map<String, Value>>,
    /// Each with `platform` (`android` or `ios`), `app_name`, `app_version`, `device`, `os_version` and `last_seen_at`.
    #[schema(value_type = Option<Vec<Object>>, max_items = 100)]
    devices: Option<Vec<Map<String, Value>>>,
    /// `unsubscribed`, `marked_as_spam`, `hard_bounced`, `unsubscribed_from_sms` and `may_email`, each true or false.
    #[schema(value_type = Option<Object>)]
    consent: Option<Map<String, Value>>,
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    #[schema(max_items = 100)]
    segments: Option<Vec<String>>,
}

/// What a source knows of a company.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CompanyRecordFields {
    /// Your own id of the company.
    external_id: Option<String>,
    /// When the source created it.
    created_at: Option<DateTime<Utc>>,
    #[schema(example = "Acme")]
    name: Option<String>,
    #[schema(example = "acme.example")]
    domain: Option<String>,
    website: Option<String>,
    plan: Option<String>,
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    size: Option<i64>,
    industry: Option<String>,
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    user_count: Option<i64>,
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    session_count: Option<i64>,
    last_request_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<f64>)]
    monthly_spend: Option<f64>,
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    #[schema(max_items = 100)]
    segments: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::profile::{
        SourceRecordError, read_source_company, read_source_contact, read_source_event,
    };

    use super::*;

    /// A field that only one of the two knows would be refused by name, or never be offered.
    fn fields_of(error: &SourceRecordError) -> Vec<&'static str> {
        match error {
            SourceRecordError::UnknownField { known, .. } => known.clone(),
            other => panic!("{other}"),
        }
    }

    /// The text of the one record of a batch.
    fn record(batch: BatchShape) -> String {
        let batch = serde_json::to_value(batch).unwrap();
        batch["records"][0].to_string()
    }

    fn described<T: Serialize>(fields: &T) -> Vec<String> {
        let Ok(Value::Object(fields)) = serde_json::to_value(fields) else {
            panic!("fields are an object");
        };
        let mut names: Vec<String> = fields.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_field_that_is_read_is_described() {
        let fields = ContactRecordFields::default();
        let names = described(&fields);
        let contact = ContactSourceRecord {
            source_id: "1".to_owned(),
            source_updated_at: DateTime::UNIX_EPOCH,
            fields,
            company: None,
            deleted: None,
        };
        let raw = record(BatchShape::Contacts(ContactBatch {
            object: "contact",
            records: vec![contact],
        }));
        read_source_contact(&raw).unwrap();
        let misspelt = raw.replace("\"email\"", "\"emial\"");
        let error = read_source_contact(&misspelt).unwrap_err();
        assert_eq!(fields_of(&error), names);

        let fields = CompanyRecordFields::default();
        let names = described(&fields);
        let company = CompanySourceRecord {
            source_id: "1".to_owned(),
            source_updated_at: DateTime::UNIX_EPOCH,
            fields,
            deleted: None,
        };
        let raw = record(BatchShape::Companies(CompanyBatch {
            object: "company",
            records: vec![company],
        }));
        read_source_company(&raw).unwrap();
        let misspelt = raw.replace("\"domain\"", "\"damain\"");
        let error = read_source_company(&misspelt).unwrap_err();
        assert_eq!(fields_of(&error), names);

        let fields = EventRecordFields {
            contact: "1".to_owned(),
            kind: "page_view".to_owned(),
            ..EventRecordFields::default()
        };
        let names = described(&fields);
        let event = EventSourceRecord {
            source_id: "1".to_owned(),
            source_updated_at: DateTime::UNIX_EPOCH,
            fields,
            deleted: None,
        };
        let raw = record(BatchShape::Events(EventBatch {
            object: "event",
            records: vec![event],
        }));
        read_source_event(&raw).unwrap();
        let misspelt = raw.replace("\"title\"", "\"titel\"");
        let error = read_source_event(&misspelt).unwrap_err();
        assert_eq!(fields_of(&error), names);
    }
}
