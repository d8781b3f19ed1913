//! Which records are one contact, kept up to date.
//!
//! The answer is a pure function of a tenant's records (`domain/profile/identity.rs`). A transaction that changes what a
//! record may be linked by asks it for the records that the change can reach, and moves those that belong elsewhere now.
//! Almost no record shares a value with another one, so almost every page costs one look at the index and no more.
//!
//! Everything that writes contacts of a tenant takes one lock first ([`Tx::lock_contacts`]), because two transactions that
//! each bring one of two equal values would not see each other.

mod closure;
mod holders;
mod removal;
mod stored_value;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use self::closure::{Closure, StoredIdentity};
pub(super) use self::removal::RemovedRecord;
pub(super) use self::values::{HeldValues, Unlinked};
use super::{
    StoreError, Tx,
    noted_changes::{ChangeOp, ObjectFate, ObjectKind},
    roles::ChangesObjects,
};
use crate::domain::{
    ConnectionId,
    profile::{IdentityRules, Profile, RecordKey, resolve},
};

impl<R: ChangesObjects> Tx<R> {
    /// Keeps other transactions from writing contacts of the tenant. It comes before the first row of a contact is
    /// written, so that two writers cannot deadlock.
    pub(super) async fn lock_contacts(&mut self) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended('contacts of ' || $1::text, 0))::text",
            tenant.to_string(),
        )
        .fetch_one(self.session())
        .await?;
        Ok(())
    }

    /// Moves records to the contacts that they belong to after a change.
    pub(super) async fn unify(&mut self, unlinked: Unlinked) -> Result<(), StoreError> {
        let rules = IdentityRules::default();
        let Unlinked { mut seeds, touched } = unlinked;
        let lost = touched.lost_values();
        let holders = self.holders(&lost, rules.max_holders() as i64 + 1).await?;
        // What a record no longer holds may link the others that hold it.
        seeds.extend(holders.into_values().flatten());
        seeds.extend(self.holders_of_shared(&touched, &rules).await?);
        if seeds.is_empty() {
            return Ok(());
        }
        let Closure { records, shared } = self.closure(seeds.clone(), &rules).await?;
        let inputs: Vec<_> = records.values().map(StoredIdentity::input).collect();
        let found = resolve(&inputs, &rules, &[], &shared);
        let mut moved = BTreeMap::new();
        for profile in &found.profiles {
            let all = profile.members.iter().chain(&profile.absorbed);
            let elsewhere = all
                .clone()
                .filter(|key| records[*key].contact_id != profile.id);
            moved.extend(elsewhere.map(|key| (key, profile.id)));
        }
        // A contact that has lost a record shows something else, and so does one that has gained one.
        let left: BTreeSet<Uuid> = moved.keys().map(|key| records[*key].contact_id).collect();
        for profile in &found.profiles {
            let mut all = profile.members.iter().chain(&profile.absorbed);
            if left.contains(&profile.id)
                || all.any(|key| seeds.contains(key) || moved.contains_key(key))
            {
                self.note_profile(profile, &records);
            }
        }
        for (key, contact) in &moved {
            self.move_record(key, *contact).await?;
        }
        self.note_conversations_of_records(moved.into_keys()).await
    }

    /// Notes what has become of the ids of a profile's records. The state of the feed then does not depend on which of
    /// them came first.
    fn note_profile(&mut self, profile: &Profile, records: &BTreeMap<RecordKey, StoredIdentity>) {
        let all = profile.members.iter().chain(&profile.absorbed);
        let of: Vec<&StoredIdentity> = all.map(|key| &records[key]).collect();
        let fate = if of.iter().any(|record| record.is_alive()) {
            ObjectFate::Listed
        } else if of.iter().any(|record| record.merged_into.is_none()) {
            ObjectFate::Deleted
        } else {
            // Its survivor has not come yet.
            ObjectFate::Merged
        };
        let is_parted = of
            .iter()
            .any(|record| record.record_id == profile.id && record.contact_id != profile.id);
        let is_joined = of.iter().any(|record| record.contact_id != profile.id);
        let op = match fate {
            ObjectFate::Deleted => ChangeOp::Delete,
            ObjectFate::Merged => ChangeOp::Merge,
            _ if is_parted => ChangeOp::Split,
            _ if is_joined => ChangeOp::Merge,
            _ => ChangeOp::Upsert,
        };
        self.note_state(profile.id, op, ObjectKind::Contact, fate);
        for record in of {
            if record.record_id != profile.id {
                self.note_state(
                    record.record_id,
                    ChangeOp::Merge,
                    ObjectKind::Contact,
                    ObjectFate::Merged,
                );
            }
        }
    }

    async fn move_record(&mut self, key: &RecordKey, contact: Uuid) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // One at a time, because few records move, and each is found by its key.
        sqlx::query!(
            "UPDATE contact_sources SET contact_id = $4
             WHERE tenant_id = $1 AND connection_id = $2 AND source_id = $3",
            tenant,
            key.connection.0,
            key.source_id,
            contact,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Notes the conversations of records that belong to another contact now.
    async fn note_conversations_of_records(
        &mut self,
        records: impl Iterator<Item = &RecordKey>,
    ) -> Result<(), StoreError> {
        let mut by_connection: BTreeMap<ConnectionId, Vec<&str>> = BTreeMap::new();
        for key in records {
            let of = by_connection.entry(key.connection).or_default();
            of.push(&key.source_id);
        }
        for (connection, source_ids) in by_connection {
            self.note_conversations_of(connection, &source_ids).await?;
        }
        Ok(())
    }
}
