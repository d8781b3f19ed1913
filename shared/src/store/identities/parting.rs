//! Contacts that somebody parts, and joins again.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Unlinked, closure::StoredIdentity, linked::Linked};
use crate::{
    domain::profile::{RecordKey, SplitError, split},
    store::{StoreError, Tx, roles::Api},
};

/// Why a contact was not parted.
#[derive(Debug, thiserror::Error)]
pub enum SplitFault {
    #[error("the split is not possible")]
    Impossible(#[from] SplitError),
    #[error("the split could not be stored")]
    Store(#[from] StoreError),
}

/// A contact after a split or its end, with its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartedContact {
    pub id: Uuid,
    pub records: Vec<RecordKey>,
}

impl Tx<Api> {
    /// Parts these records from the others of their contact, for good. Returns the split, and the contacts that the
    /// records belong to now. `None` for an id that is no contact's own.
    ///
    /// # Errors
    /// If the records are not some but not all of the contact's, or Postgres fails.
    #[tracing::instrument(name = "db.split_contact", level = "debug", skip_all)]
    pub async fn split_contact(
        &mut self,
        contact: Uuid,
        records: &[RecordKey],
    ) -> Result<Option<(Uuid, Vec<PartedContact>)>, SplitFault> {
        self.lock_links(Linked::Contacts).await?;
        let Some(identities) = self.contact_identities(contact, &BTreeMap::new()).await? else {
            return Ok(None);
        };
        let profiles = identities.found.profiles.iter();
        let Some(profile) = profiles.clone().find(|profile| profile.id == contact) else {
            return Ok(None);
        };
        let sides = split(profile, records)?;
        let id = self.add_split(&sides).await?;
        let all: BTreeSet<RecordKey> = profile
            .members
            .iter()
            .chain(&profile.absorbed)
            .cloned()
            .collect();
        Ok(Some((id, self.unify_all(all).await?)))
    }

    /// Ends a split of this contact. Its records are joined again as far as their values join them. `None` if neither
    /// side of the split has a record of the contact.
    #[tracing::instrument(name = "db.end_split", level = "debug", skip_all)]
    pub async fn end_split(
        &mut self,
        contact: Uuid,
        id: Uuid,
    ) -> Result<Option<Vec<PartedContact>>, StoreError> {
        self.lock_links(Linked::Contacts).await?;
        let own = self.records_of(Linked::Contacts, &[contact]).await?;
        let splits = self.splits_of(&own).await?;
        if !splits.iter().any(|split| split.id == id) {
            return Ok(None);
        }
        let parted: BTreeSet<RecordKey> = self.drop_split(id).await?.into_iter().collect();
        Ok(Some(self.unify_all(parted).await?))
    }

    /// Moves records to the contacts that they belong to. Returns those contacts.
    async fn unify_all(
        &mut self,
        records: BTreeSet<RecordKey>,
    ) -> Result<Vec<PartedContact>, StoreError> {
        let unlinked = Unlinked {
            seeds: records.clone(),
            ..Unlinked::default()
        };
        self.unify(Linked::Contacts, unlinked).await?;
        let now = self.identities_of(Linked::Contacts, &records).await?;
        let mut contacts: BTreeMap<Uuid, Vec<RecordKey>> = BTreeMap::new();
        for record in now {
            let of = contacts.entry(record.profile_id).or_default();
            of.push(StoredIdentity::key(&record));
        }
        let mut contacts: Vec<PartedContact> = contacts
            .into_iter()
            .map(|(id, mut records)| {
                records.sort_unstable();
                PartedContact { id, records }
            })
            .collect();
        contacts.sort_by_key(|contact| contact.id);
        Ok(contacts)
    }
}
