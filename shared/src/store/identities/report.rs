//! What links the records of one contact, and what does not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    closure::{Closure, StoredIdentity},
    linked::Linked,
};
use crate::{
    domain::profile::{Identities, IdentityValue, RecordKey, resolve},
    store::{StoreError, StoredSplit, Tx, roles::Api},
};

/// A contact's records with all that they can be linked with.
#[derive(Clone, Debug)]
pub struct RecordIdentities {
    pub found: Identities,
    /// When the stored version of each record was written at its source.
    pub updated_at: BTreeMap<RecordKey, DateTime<Utc>>,
    pub splits: Vec<StoredSplit>,
}

impl Tx<Api> {
    /// What the records of a contact are linked by. `blocked` are values of its records that are no identities for any tenant,
    /// of which nothing is stored. `None` for an id that is no contact's own.
    #[tracing::instrument(name = "db.contact_identities", level = "debug", skip_all)]
    pub async fn contact_identities(
        &mut self,
        contact: Uuid,
        blocked: &BTreeMap<RecordKey, Vec<IdentityValue>>,
    ) -> Result<Option<RecordIdentities>, StoreError> {
        let linked = Linked::Contacts;
        let own = self.records_of(linked, &[contact]).await?;
        if own.is_empty() {
            return Ok(None);
        }
        let seeds = own.into_iter().collect();
        let Closure {
            records,
            shared,
            rules,
        } = self.closure(linked, seeds).await?;
        let splits = self.splits_of(records.keys()).await?;
        let sides: Vec<_> = splits.iter().map(|split| split.sides.clone()).collect();
        let input = |record: &StoredIdentity| {
            let mut input = record.input();
            let more = blocked.get(&input.key).into_iter().flatten();
            input.values.extend(more.cloned());
            input
        };
        let inputs: Vec<_> = records.values().map(input).collect();
        Ok(Some(RecordIdentities {
            found: resolve(&inputs, &rules, &sides, &shared),
            updated_at: records
                .iter()
                .map(|(key, record)| (key.clone(), record.source_updated_at))
                .collect(),
            splits,
        }))
    }
}
