//! The values that records may be linked by, as they are stored.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use super::{closure::StoredIdentity, linked::Linked, stored_value};
use crate::{
    domain::{
        ConnectionId,
        profile::{DEFAULT_MAX_HOLDERS, IdentityValue, RecordKey},
        records::{Company, Contact},
    },
    store::{
        StoreError, Tx,
        roles::{ChangesObjects, WritesRecords},
    },
};

/// Values that a transaction has given to records or taken from them, and by how many more records hold each.
#[derive(Debug, Default)]
pub(in crate::store) struct TouchedValues(BTreeMap<String, i64>);

impl TouchedValues {
    pub(in crate::store) fn gained(&mut self, value: &str) {
        *self.0.entry(value.to_owned()).or_default() += 1;
    }

    /// Values that records have lost.
    pub(super) fn lost_values(&self) -> Vec<String> {
        let lost = self.0.iter().filter(|(_, more)| **more < 0);
        lost.map(|(value, _)| value.clone()).collect()
    }

    pub(in crate::store) fn lost(&mut self, value: &str) {
        *self.0.entry(value.to_owned()).or_default() -= 1;
    }
}

/// What the records of a page may be linked by.
#[derive(Debug, Default)]
pub(in crate::store) struct HeldValues(BTreeMap<String, Held>);

#[derive(Debug)]
struct Held {
    created_at: DateTime<Utc>,
    values: Vec<String>,
}

impl HeldValues {
    /// Adds a contact. Returns its values as they are stored beside it.
    pub(in crate::store) fn push_contact(
        &mut self,
        contact: &Contact,
        created_at: DateTime<Utc>,
    ) -> String {
        let values = stored(Linked::Contacts, contact.identity_values());
        self.push(&contact.source_id, created_at, values)
    }

    /// The same of a company.
    pub(in crate::store) fn push_company(
        &mut self,
        company: &Company,
        created_at: DateTime<Utc>,
    ) -> String {
        let values = stored(Linked::Companies, company.identity_values());
        self.push(&company.source_id, created_at, values)
    }

    fn push(&mut self, id: &str, created_at: DateTime<Utc>, values: Vec<String>) -> String {
        let text = serde_json::Value::from(values.clone()).to_string();
        self.0.insert(id.to_owned(), Held { created_at, values });
        text
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves out records that were not written.
    pub(in crate::store) fn retain(&mut self, written: &[String]) {
        let written: BTreeSet<&str> = written.iter().map(String::as_str).collect();
        self.0.retain(|id, _| written.contains(id.as_str()));
    }
}

/// What a transaction has changed of links, for [`Tx::unify`].
#[derive(Debug, Default)]
pub(in crate::store) struct Unlinked {
    /// Records whose links may be others than before.
    pub(in crate::store) seeds: BTreeSet<RecordKey>,
    pub(in crate::store) touched: TouchedValues,
}

/// The values that may link a contact, as they are stored.
pub(in crate::store) fn values_of(contact: &Contact) -> Vec<String> {
    stored(Linked::Contacts, contact.identity_values())
}

/// The values that may link a record, as they are stored.
fn stored(linked: Linked, values: impl Iterator<Item = IdentityValue>) -> Vec<String> {
    let mut values: Vec<String> = values
        .filter(|value| value.blocked().is_none())
        .map(|value| stored_value::write(linked, &value))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// One statement for both ways of storing values.
macro_rules! insert_values {
    ($tx:ident, $connection:ident, $values:ident, $conflict:literal) => {
        if !$values.is_empty() {
            let tenant = $tx.tenant().0;
            let (source_ids, values): (Vec<&str>, Vec<&str>) = $values.into_iter().unzip();
            sqlx::query!(
                "INSERT INTO identity_values (tenant_id, connection_id, source_id, value)
                 SELECT $1, $2, * FROM unnest($3::text[], $4::text[])"
                    + $conflict,
                tenant,
                $connection.0,
                &source_ids as &[&str],
                &values as &[&str],
            )
            .execute($tx.session())
            .await?;
        }
    };
}

impl<R: WritesRecords> Tx<R> {
    /// What is stored of the identities of these records.
    pub(in crate::store) async fn stored_identities(
        &mut self,
        linked: Linked,
        connection: ConnectionId,
        source_ids: &[String],
    ) -> Result<Vec<StoredIdentity>, StoreError> {
        let keys = source_ids
            .iter()
            .map(|source_id| RecordKey::new(connection, source_id.clone()));
        self.identities_of(linked, &keys.collect()).await
    }

    /// Stores what the records of a page are linked by now. `previous` is what those that were stored before had.
    pub(in crate::store) async fn write_values(
        &mut self,
        linked: Linked,
        connection: ConnectionId,
        held: HeldValues,
        previous: Vec<StoredIdentity>,
    ) -> Result<Unlinked, StoreError> {
        let mut unlinked = Unlinked::default();
        let previous: BTreeMap<&str, &StoredIdentity> = previous
            .iter()
            .map(|stored| (stored.source_id(), stored))
            .collect();
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        let mut new_ids = Vec::new();
        for (id, held) in &held.0 {
            let before = previous.get(id.as_str());
            let had = before.map_or(&[][..], |stored| stored.values());
            let more = held.values.iter().filter(|value| !had.contains(value));
            gained.extend(more.map(|value| (id.as_str(), value.as_str())));
            let less = had.iter().filter(|value| !held.values.contains(value));
            let less: Vec<_> = less.map(|value| (id.clone(), value.clone())).collect();
            match before {
                None => new_ids.push(id.as_str()),
                // One that comes back from an end may link again, whatever it holds. An id that no other record holds may
                // part it from others.
                Some(before)
                    if had == held.values
                        && before.is_alive()
                        && before.is_as_old_as(held.created_at) => {}
                Some(_) => {
                    unlinked.seeds.insert(RecordKey::new(connection, id));
                }
            }
            lost.extend(less);
        }
        self.drop_identity_values(connection, &lost).await?;
        for (_, value) in &lost {
            unlinked.touched.lost(value);
        }
        let mut more: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, value) in &gained {
            *more.entry(value).or_default() += 1;
        }
        let values: Vec<&str> = more.keys().copied().collect();
        let held_before = self.held_values(&values).await?;
        self.add_identity_values(connection, &gained, &held_before)
            .await?;
        for (id, value) in gained {
            if more[value] > 1 || held_before.contains(value) {
                unlinked.touched.gained(value);
                unlinked.seeds.insert(RecordKey::new(connection, id));
            }
        }
        // No source merges companies.
        if linked == Linked::Contacts {
            for survivor in self.named_survivors(connection, &new_ids).await? {
                unlinked.seeds.insert(RecordKey::new(connection, survivor));
            }
        }
        Ok(unlinked)
    }
}

impl<R: ChangesObjects> Tx<R> {
    /// Of these records, those that others were merged into before they came.
    async fn named_survivors(
        &mut self,
        connection: ConnectionId,
        source_ids: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        if source_ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT i.source_id AS "source_id!" FROM unnest($3::text[]) AS i(source_id)
               WHERE EXISTS (SELECT FROM contact_sources
                             WHERE tenant_id = $1 AND connection_id = $2 AND merged_into = i.source_id OFFSET 0)"#,
            tenant,
            connection.0,
            source_ids as &[&str],
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Of these values, those that a record holds.
    async fn held_values(&mut self, values: &[&str]) -> Result<HashSet<String>, StoreError> {
        if values.is_empty() {
            return Ok(HashSet::new());
        }
        let tenant = self.tenant().0;
        let held = sqlx::query_scalar!(
            r#"SELECT i.value AS "value!" FROM unnest($2::text[]) AS i(value)
               WHERE EXISTS (SELECT FROM identity_values WHERE tenant_id = $1 AND value = i.value OFFSET 0)"#,
            tenant,
            values as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(held.into_iter().collect())
    }

    /// All holders of values that have become shared by this transaction, or that are no longer shared.
    pub(super) async fn holders_of_shared(
        &mut self,
        touched: &TouchedValues,
    ) -> Result<BTreeSet<RecordKey>, StoreError> {
        let max = DEFAULT_MAX_HOLDERS as i64;
        let largest = touched.0.values().map(|more| more.abs()).max();
        let values: Vec<String> = touched.0.keys().cloned().collect();
        let held = self
            .holders(&values, max + largest.unwrap_or_default() + 1)
            .await?;
        let mut found = BTreeSet::new();
        for (value, holders) in held.of {
            let now = holders.len() as i64;
            let before = now - touched.0[&value];
            if (now > max) != (before > max) {
                found.extend(holders);
            }
        }
        Ok(found)
    }

    /// Stores the values that records have gained.
    async fn add_identity_values(
        &mut self,
        connection: ConnectionId,
        gained: &[(&str, &str)],
        held_before: &HashSet<String>,
    ) -> Result<(), StoreError> {
        // In the order of the key, because a sorted batch finds its pages of the index in turn.
        let mut gained = gained.to_vec();
        gained.sort_unstable_by_key(|(source_id, value)| (*value, *source_id));
        let (held, unheld): (Vec<_>, Vec<_>) = gained
            .into_iter()
            .partition(|(_, value)| held_before.contains(*value));
        // Nothing can stand in the way of a value that no record holds, and a row that need not look for one costs a
        // third less.
        insert_values!(self, connection, unheld, "");
        insert_values!(self, connection, held, " ON CONFLICT DO NOTHING");
        Ok(())
    }

    /// Removes the values that records have lost.
    async fn drop_identity_values(
        &mut self,
        connection: ConnectionId,
        lost: &[(String, String)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // One at a time, because a record hardly ever loses one.
        for (source_id, value) in lost {
            sqlx::query!(
                "DELETE FROM identity_values
                 WHERE tenant_id = $1 AND value = $2 AND connection_id = $3 AND source_id = $4",
                tenant,
                value,
                connection.0,
                source_id,
            )
            .execute(self.session())
            .await?;
        }
        Ok(())
    }
}
