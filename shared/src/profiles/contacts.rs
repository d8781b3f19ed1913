//! Contacts as profiles.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::deleted_everywhere;
use crate::{
    domain::{ConnectionId, JsonText, records::ContactFields},
    intercom::wire,
    store::{
        ApiTx, StoreError,
        reads::{ContactRecords, Position, ProfileFilter, ProfileSource, SourceRecord},
    },
};

/// One person.
#[derive(Clone, Debug)]
pub struct ContactProfile {
    pub id: Uuid,
    /// `owner` is the owning teammate's name, or the id where the name is not known.
    pub fields: ContactFields,
    pub company_ids: Vec<Uuid>,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The contact that this one was merged into.
    pub merged_into: Option<Uuid>,
    /// Which source each field came from, where it was asked for.
    pub provenance: Option<BTreeMap<String, Provenance>>,
}

/// Where one field's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    pub source: String,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub source_updated_at: DateTime<Utc>,
}

/// One source's record and its fields.
struct Record {
    source: ProfileSource,
    is_merged: bool,
    fields: ContactFields,
}

/// One contact by its own id (see `Tx::resolve_contact`). `None` for an unknown or foreign id.
///
/// # Errors
/// See [`StoreError`].
pub async fn contact(
    tx: &mut ApiTx,
    id: Uuid,
    provenance: bool,
) -> Result<Option<ContactProfile>, StoreError> {
    let found = tx.contact(id).await?.into_iter().collect();
    Ok(profiles(tx, found, provenance).await?.pop())
}

/// A page of contacts, last changed first.
///
/// # Errors
/// See [`StoreError`].
pub async fn contacts(
    tx: &mut ApiTx,
    filter: ProfileFilter,
    before: Position,
    limit: i64,
    provenance: bool,
) -> Result<Vec<ContactProfile>, StoreError> {
    let page = tx.contacts(filter, before, limit).await?;
    profiles(tx, page, provenance).await
}

async fn profiles(
    tx: &mut ApiTx,
    page: Vec<ContactRecords>,
    provenance: bool,
) -> Result<Vec<ContactProfile>, StoreError> {
    let mut profiles = Vec::with_capacity(page.len());
    let mut owners = Vec::new();
    for contact in page {
        let records: Vec<Record> = contact.records.into_iter().map(Record::read).collect();
        let mut fields = ContactFields::default();
        for record in &records {
            // Admin ids are unique only within a workspace, so the name is looked up in the record's own.
            if let (None, Some(owner)) = (&fields.owner, &record.fields.owner) {
                owners.push((contact.id, (record.source.connection_id, owner.clone())));
            }
            fill(&mut fields, &record.fields);
        }
        let provenance = provenance.then(|| provenance_of(&records));
        let sources: Vec<ProfileSource> = records
            .into_iter()
            .filter(|record| !record.is_merged)
            .map(|record| record.source)
            .collect();
        profiles.push(ContactProfile {
            id: contact.id,
            fields,
            company_ids: contact.company_ids,
            deleted_at: deleted_everywhere(&sources),
            sources,
            updated_at: contact.updated_at,
            merged_into: contact.merged_into,
            provenance,
        });
    }
    let owners: HashMap<Uuid, (ConnectionId, String)> = owners.into_iter().collect();
    let admins: Vec<(ConnectionId, String)> = owners.values().cloned().collect();
    let names = tx.admin_names(&admins).await?;
    for profile in &mut profiles {
        let name = owners.get(&profile.id).and_then(|owner| names.get(owner));
        if let Some(name) = name {
            profile.fields.owner = Some(name.clone());
        }
    }
    Ok(profiles)
}

impl Record {
    /// Reads a stored record. What this build cannot read has no fields, and its profile still names its source.
    fn read(stored: SourceRecord) -> Self {
        let text = String::from_utf8_lossy(&stored.raw);
        let fields = match wire::read_contact(&text) {
            Ok(contact) => contact.fields,
            Err(poison) => {
                tracing::warn!(source_id = %stored.source.source_id, "a stored contact cannot be read");
                drop(poison);
                ContactFields::default()
            }
        };
        Self {
            source: stored.source,
            is_merged: stored.is_merged,
            fields,
        }
    }
}

/// Fills the fields that are empty.
fn fill(fields: &mut ContactFields, record: &ContactFields) {
    let text = |to: &mut Option<String>, from: &Option<String>| {
        if to.is_none() {
            to.clone_from(from);
        }
    };
    text(&mut fields.role, &record.role);
    text(&mut fields.email, &record.email);
    text(&mut fields.name, &record.name);
    text(&mut fields.phone, &record.phone);
    text(&mut fields.owner, &record.owner);
    let document = |to: &mut JsonText, from: &JsonText| {
        if *to == JsonText::default() {
            to.clone_from(from);
        }
    };
    document(&mut fields.attributes, &record.attributes);
    document(&mut fields.location, &record.location);
    fields.last_seen_at = fields.last_seen_at.or(record.last_seen_at);
    fields.last_replied_at = fields.last_replied_at.or(record.last_replied_at);
    fields.last_contacted_at = fields.last_contacted_at.or(record.last_contacted_at);
}

/// For each field, the first record that has a value. The profile is folded in the same way.
fn provenance_of(records: &[Record]) -> BTreeMap<String, Provenance> {
    let mut provenance = BTreeMap::new();
    for record in records.iter().filter(|record| !record.is_merged) {
        let Ok(Value::Object(fields)) = serde_json::to_value(&record.fields) else {
            continue;
        };
        for (field, value) in fields {
            if !is_empty(&value) && !provenance.contains_key(&field) {
                provenance.insert(
                    field,
                    Provenance {
                        source: record.source.source.clone(),
                        connection_id: record.source.connection_id,
                        source_id: record.source.source_id.clone(),
                        source_updated_at: record.source.source_updated_at,
                    },
                );
            }
        }
    }
    provenance
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(source_id: &str, raw: &str) -> Record {
        Record::read(SourceRecord {
            source: ProfileSource {
                source: "intercom".to_owned(),
                connection_id: ConnectionId::new(),
                source_id: source_id.to_owned(),
                source_updated_at: Utc::now(),
                deleted_at: None,
            },
            is_merged: false,
            raw: raw.as_bytes().to_vec(),
        })
    }

    #[test]
    fn a_field_comes_from_the_first_source_that_has_it() {
        let records = [
            record(
                "a",
                r#"{"id": "a", "updated_at": 1, "name": "Ada", "email": null, "phone": "", "custom_attributes": {}}"#,
            ),
            record(
                "b",
                r#"{"id": "b", "updated_at": 1, "name": "Bob", "email": "b@x.test", "custom_attributes": {"plan": "pro"}}"#,
            ),
        ];
        let found: Vec<_> = provenance_of(&records)
            .into_iter()
            .map(|(field, p)| (field, p.source_id))
            .collect();
        let expected = [("attributes", "b"), ("email", "b"), ("name", "a")];
        assert_eq!(
            found,
            expected.map(|(field, id)| (field.to_owned(), id.to_owned()))
        );
        let mut fields = ContactFields::default();
        for record in &records {
            fill(&mut fields, &record.fields);
        }
        assert_eq!(
            (fields.name.as_deref(), fields.email.as_deref()),
            (Some("Ada"), Some("b@x.test"))
        );
        assert_eq!(fields.attributes.get(), r#"{"plan": "pro"}"#);
    }

    #[test]
    fn a_record_that_cannot_be_read_has_no_fields() {
        let unread = record(
            "a",
            r#"{"id": "a", "updated_at": "yesterday", "name": "Ada"}"#,
        );
        assert_eq!(unread.fields, ContactFields::default());
    }
}
