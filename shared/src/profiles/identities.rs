//! Why records are one contact, and why others are not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId,
        profile::{IdentityValue, Link, RecordKey, Source, read_source_contact},
        records::Contact,
    },
    intercom::wire,
    store::{ApiTx, StoreError, StoredSplit, reads::SourceRecord},
};

/// What links the records of a contact, and what does not.
#[derive(Clone, Debug)]
pub struct ContactIdentities {
    pub links: Vec<DatedLink>,
    /// The contact of each record that a link names.
    pub contacts: BTreeMap<RecordKey, Uuid>,
    pub sources: BTreeMap<ConnectionId, Source>,
    /// Splits that part a record of the contact from another, oldest first.
    pub splits: Vec<StoredSplit>,
}

/// A link, and since when it is there at the latest.
#[derive(Clone, Debug)]
pub struct DatedLink {
    pub link: Link,
    /// When the later one of the two versions that hold the value was written at its source.
    pub at: DateTime<Utc>,
}

/// The links of a contact's records. `None` for an id that is no contact's own.
///
/// # Errors
/// See [`StoreError`].
pub async fn identities(
    tx: &mut ApiTx,
    contact: Uuid,
) -> Result<Option<ContactIdentities>, StoreError> {
    let Some(records) = tx.contact(contact).await? else {
        return Ok(None);
    };
    let blocked = records
        .records
        .iter()
        .map(|record| (record.key(), blocked_values(record)))
        .collect();
    let Some(identities) = tx.contact_identities(contact, &blocked).await? else {
        return Ok(None);
    };
    let mut contacts = BTreeMap::new();
    for profile in &identities.found.profiles {
        for key in profile.members.iter().chain(&profile.absorbed) {
            contacts.insert(key.clone(), profile.id);
        }
    }
    let is_own = |key: &RecordKey| contacts.get(key) == Some(&contact);
    let names_own = |link: &Link| {
        is_own(&link.record)
            || link.other.as_ref().is_some_and(is_own)
            || link.candidates.iter().any(is_own)
    };
    let time = |key: &RecordKey| identities.updated_at.get(key).copied();
    let dated = |link: Link| {
        let other = link.other.as_ref().and_then(time);
        // `record` is one of those that were read.
        let at = time(&link.record).max(other).unwrap_or_default();
        DatedLink { link, at }
    };
    let links = identities.found.links.into_iter();
    let links = links.filter(names_own).map(dated).collect();
    let mut splits = identities.splits;
    splits.retain(|split| {
        let mut sides = split.sides.left.iter().chain(&split.sides.right);
        sides.any(is_own)
    });
    Ok(Some(ContactIdentities {
        links,
        sources: tx.connection_sources().await?,
        splits,
        contacts,
    }))
}

/// The values of a record that are no identities, as its own bytes have them.
fn blocked_values(record: &SourceRecord) -> Vec<IdentityValue> {
    let text = record.text().into_owned();
    let contact = match record.source.kind() {
        Source::Intercom => wire::read_contact(&text).ok(),
        Source::Crm | Source::Email | Source::Analytics => {
            let read = read_source_contact(&text).ok();
            read.map(|read| read.into_contact(text))
        }
    };
    let values = contact.iter().flat_map(Contact::identity_values);
    values.filter(|value| value.blocked().is_some()).collect()
}
