//! Values that a tenant blocks, and unblocks.

use std::collections::BTreeSet;

use super::{linked::Linked, stored_value};
use crate::{
    domain::profile::{BlockedValues, DEFAULT_MAX_HOLDERS, IdentityValue, RecordKey},
    store::{StoreError, Tx, roles::Api},
};

/// Records whose links are tested at once, so that what they reach is in memory for one batch only.
const TESTED_AT_ONCE: usize = 500;

/// How many values a tenant has blocked and unblocked with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedChange {
    pub blocked: usize,
    pub unblocked: usize,
}

impl BlockedChange {
    /// Whether the same values were blocked before.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.blocked == 0 && self.unblocked == 0
    }
}

impl Tx<Api> {
    /// The values that the tenant blocks.
    #[tracing::instrument(name = "db.blocked_values", level = "debug", skip_all)]
    pub async fn blocked_values(&mut self) -> Result<BlockedValues, StoreError> {
        let stored = self.stored_blocked_values().await?;
        Ok(BlockedValues {
            contacts: stored_value::read_all(Linked::Contacts, &stored),
            companies: stored_value::read_all(Linked::Companies, &stored),
        })
    }

    /// Blocks these values and no others. Contacts and companies that a changed value has joined or parted are parted or
    /// joined in the same transaction.
    #[tracing::instrument(name = "db.set_blocked_values", level = "debug", skip_all)]
    pub async fn set_blocked_values(
        &mut self,
        values: &BlockedValues,
    ) -> Result<BlockedChange, StoreError> {
        // What is written until now is tested, and what is written later asks for the new list.
        self.lock_links(Linked::Contacts).await?;
        self.lock_links(Linked::Companies).await?;
        let before = self.stored_blocked_values().await?;
        let mut after = stored(Linked::Contacts, &values.contacts);
        after.extend(stored(Linked::Companies, &values.companies));
        let blocked: Vec<String> = after.difference(&before).cloned().collect();
        let unblocked: Vec<String> = before.difference(&after).cloned().collect();
        // Of a blocked value no holders are given, so each is asked for while it is not.
        let mut holders = self.linked_holders(&blocked).await?;
        self.delete_blocked_values(&unblocked).await?;
        self.block_values(&blocked).await?;
        holders.extend(self.linked_holders(&unblocked).await?);
        for linked in [Linked::Contacts, Linked::Companies] {
            let of_object = holders.iter().filter(|(object, _)| *object == linked);
            let records = of_object.map(|(_, key)| key.clone()).collect();
            self.test_links(linked, records).await?;
        }
        Ok(BlockedChange {
            blocked: blocked.len(),
            unblocked: unblocked.len(),
        })
    }

    /// Takes values off the list. Returns those that were on it. The caller tests their holders.
    pub(in crate::store) async fn delete_blocked_values(
        &mut self,
        values: &[String],
    ) -> Result<BTreeSet<String>, StoreError> {
        if values.is_empty() {
            return Ok(BTreeSet::new());
        }
        let tenant = self.tenant().0;
        let deleted = sqlx::query_scalar!(
            "DELETE FROM blocked_values b USING unnest($2::text[]) AS i(value)
             WHERE b.tenant_id = $1 AND b.value = i.value RETURNING b.value",
            tenant,
            values,
        )
        .fetch_all(self.session())
        .await?;
        Ok(deleted.into_iter().collect())
    }

    /// Records that one of these values may link or have linked. What too many records hold links none of them.
    async fn linked_holders(
        &mut self,
        values: &[String],
    ) -> Result<Vec<(Linked, RecordKey)>, StoreError> {
        let max = DEFAULT_MAX_HOLDERS;
        let holders = self.holders(values, max as i64 + 1).await?;
        let linking = holders.of.into_iter().filter(|(_, keys)| keys.len() <= max);
        let linked = linking.flat_map(|(value, keys)| {
            let object = stored_value::object(&value);
            keys.into_iter().map(move |key| (object, key))
        });
        Ok(linked.collect())
    }

    /// Moves what these records reach to the contacts or companies that it belongs to.
    async fn test_links(
        &mut self,
        linked: Linked,
        mut records: BTreeSet<RecordKey>,
    ) -> Result<(), StoreError> {
        // The records themselves are as they were, so only what is parted or joined is noted.
        let changed = BTreeSet::new();
        while !records.is_empty() {
            let batch: BTreeSet<RecordKey> = records.iter().take(TESTED_AT_ONCE).cloned().collect();
            let reached = self.regroup(linked, batch.clone(), &changed).await?;
            // Two batches reach nothing in common, unless the second one has a record that the first one has reached.
            records.retain(|key| !batch.contains(key) && !reached.contains(key));
        }
        Ok(())
    }

    async fn stored_blocked_values(&mut self) -> Result<BTreeSet<String>, StoreError> {
        let tenant = self.tenant().0;
        let values = sqlx::query_scalar!(
            "SELECT value FROM blocked_values WHERE tenant_id = $1",
            tenant
        )
        .fetch_all(self.session())
        .await?;
        Ok(values.into_iter().collect())
    }

    async fn block_values(&mut self, values: &[String]) -> Result<(), StoreError> {
        if values.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO blocked_values (tenant_id, value) SELECT $1, * FROM unnest($2::text[])",
            tenant,
            values,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// Values as they are stored.
fn stored(linked: Linked, values: &BTreeSet<IdentityValue>) -> BTreeSet<String> {
    let values = values.iter();
    values
        .map(|value| stored_value::write(linked, value))
        .collect()
}
