//! Contacts as profiles.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ProfileDetail, deleted_everywhere, names, rules_for};
use crate::{
    domain::{
        profile::{
            ContactProfileFields, ContactRecord, MergeRules, RecordKey, Source, fold_contact,
            fold_contact_values, read_source_contact,
        },
        records::ContactFields,
    },
    intercom::wire,
    store::{
        ApiTx, StoreError,
        reads::{
            ContactCompany, ContactRecords, Position, ProfileFilter, ProfileSource, SourceRecord,
        },
    },
};

/// One person.
#[derive(Clone, Debug)]
pub struct ContactProfile {
    pub id: Uuid,
    pub fields: ContactProfileFields,
    /// The first one is that of the source that is believed first.
    pub company_ids: Vec<Uuid>,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The contact that this one was merged into.
    pub merged_into: Option<Uuid>,
}

/// One contact by its own id (see `Tx::resolve_contact`). `None` for an unknown or foreign id.
///
/// # Errors
/// See [`StoreError`].
pub async fn contact(
    tx: &mut ApiTx,
    id: Uuid,
    detail: ProfileDetail,
) -> Result<Option<ContactProfile>, StoreError> {
    let found = tx.contacts_by_id(&[id]).await?;
    Ok(profiles(tx, found, detail).await?.pop())
}

/// Contacts by their own ids, in the order of the ids. Unknown and foreign ones are left out.
///
/// # Errors
/// See [`StoreError`].
pub async fn contacts_by_id(
    tx: &mut ApiTx,
    ids: &[Uuid],
) -> Result<Vec<ContactProfile>, StoreError> {
    let found = tx.contacts_by_id(ids).await?;
    profiles(tx, found, ProfileDetail::Values).await
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
    detail: ProfileDetail,
) -> Result<Vec<ContactProfile>, StoreError> {
    let page = tx.contacts(filter, before, limit).await?;
    profiles(tx, page, detail).await
}

async fn profiles(
    tx: &mut ApiTx,
    page: Vec<ContactRecords>,
    detail: ProfileDetail,
) -> Result<Vec<ContactProfile>, StoreError> {
    let mut read: Vec<(ContactRecords, Vec<ContactRecord>)> = page
        .into_iter()
        .map(|contact| {
            let records = records_of(&contact);
            (contact, records)
        })
        .collect();
    let records = || read.iter().flat_map(|(_, records)| records);
    let items: HashSet<_> = records().flat_map(names::of_contact).collect();
    let known = tx.reference_names(&items).await?;
    for record in read.iter_mut().flat_map(|(_, records)| records) {
        names::name_contact(record, &known);
    }
    let rules = rules_for(tx, read.iter().map(|(_, records)| records.len())).await?;
    Ok(read
        .into_iter()
        .map(|(contact, records)| profile(contact, &records, &rules, detail))
        .collect())
}

fn profile(
    contact: ContactRecords,
    records: &[ContactRecord],
    rules: &MergeRules,
    detail: ProfileDetail,
) -> ContactProfile {
    let fields = match detail {
        ProfileDetail::Values => fold_contact_values(records, rules),
        ProfileDetail::Origins => fold_contact(records, rules),
    };
    let ids: HashMap<&RecordKey, Uuid> = contact
        .companies
        .iter()
        .map(
            |ContactCompany {
                 company,
                 company_id,
                 ..
             }| (company, *company_id),
        )
        .collect();
    let mut company_ids = Vec::new();
    for id in fields.companies.iter().filter_map(|key| ids.get(key)) {
        // Records of two sources may be one company.
        if !company_ids.contains(id) {
            company_ids.push(*id);
        }
    }
    let is_merged = contact.merged_into.is_some();
    let sources: Vec<ProfileSource> = contact
        .records
        .into_iter()
        .filter(|record| !record.is_merged && !is_merged)
        .map(|record| record.source)
        .collect();
    ContactProfile {
        id: contact.id,
        fields,
        company_ids,
        deleted_at: deleted_everywhere(&sources),
        sources,
        updated_at: contact.updated_at,
        merged_into: contact.merged_into,
    }
}

/// The records of a contact that its profile is folded from.
fn records_of(contact: &ContactRecords) -> Vec<ContactRecord> {
    let is_alone = contact.records.len() == 1;
    contact
        .records
        .iter()
        // What was merged into another record is in that one. A merged contact shows what it was.
        .filter(|record| is_alone || !record.is_merged)
        .map(|record| read(record, &contact.companies))
        .collect()
}

/// Reads a stored record. What this build cannot read has no fields, and its profile still names its source.
fn read(stored: &SourceRecord, companies: &[ContactCompany]) -> ContactRecord {
    let text = stored.text();
    let source = stored.source.kind();
    let fields = match source {
        Source::Intercom => wire::read_contact_fields(&text).ok(),
        Source::Crm | Source::Email | Source::Analytics => {
            read_source_contact(&text).ok().map(|record| record.fields)
        }
    };
    let fields = fields.unwrap_or_else(|| {
        tracing::warn!(source_id = %stored.source.source_id, "a stored contact cannot be read");
        ContactFields::default()
    });
    let key = stored.key();
    let companies = companies.iter().filter(|company| company.contact == key);
    ContactRecord {
        companies: companies.map(|company| company.company.clone()).collect(),
        key,
        source,
        source_updated_at: stored.source.source_updated_at,
        deleted_at: stored.source.deleted_at,
        external_id: stored.external_id.clone(),
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ConnectionId;

    #[test]
    fn a_record_that_cannot_be_read_has_no_fields() {
        let unread = SourceRecord {
            source: ProfileSource {
                source: "intercom".to_owned(),
                connection_id: ConnectionId::new(),
                source_id: "a".to_owned(),
                source_updated_at: Utc::now(),
                deleted_at: None,
            },
            is_merged: false,
            external_id: None,
            raw: br#"{"id": "a", "updated_at": "yesterday", "name": "Ada"}"#.to_vec(),
        };
        assert_eq!(read(&unread, &[]).fields, ContactFields::default());
    }
}
