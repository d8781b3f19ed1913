//! Which records are one contact, and which are one company, kept up to date.
//!
//! The answer is a pure function of a tenant's records (`domain/profile/identity.rs`). A transaction that changes what a
//! record may be linked by asks it for the records that the change can reach, and moves those that belong elsewhere now.
//! Almost no record shares a value with another one, so almost every page costs one look at the index and no more.
//!
//! Everything that writes contacts of a tenant takes one lock first ([`Tx::lock_links`]), and so does everything that writes
//! companies, because two transactions that each bring one of two equal values would not see each other.

mod blocking;
mod closure;
mod holders;
mod linked;
mod parting;
mod removal;
mod report;
pub(super) mod stored_value;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

pub use self::blocking::BlockedChange;
use self::closure::{Closure, StoredIdentity};
pub(super) use self::linked::Linked;
pub use self::parting::{PartedContact, SplitFault};
pub(super) use self::removal::RemovedRecord;
pub use self::report::RecordIdentities;
pub(super) use self::values::{HeldValues, Unlinked, values_of};
use super::{
    StoreError, Tx,
    noted_changes::{ChangeOp, ObjectFate},
    roles::ChangesObjects,
};
use crate::domain::profile::{DEFAULT_MAX_HOLDERS, Profile, RecordKey, Split, resolve};

impl<R: ChangesObjects> Tx<R> {
    /// Keeps other transactions from writing contacts, or companies, of the tenant. It comes before the first row of
    /// them is written, so that two writers cannot deadlock. A transaction that writes both takes that of contacts first.
    pub(super) async fn lock_links(&mut self, linked: Linked) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended($2 || ' of ' || $1::text, 0))::text",
            tenant.to_string(),
            linked.name(),
        )
        .fetch_one(self.session())
        .await?;
        Ok(())
    }

    /// Moves records to the contacts or companies that they belong to after a change.
    pub(super) async fn unify(
        &mut self,
        linked: Linked,
        unlinked: Unlinked,
    ) -> Result<(), StoreError> {
        let Unlinked { mut seeds, touched } = unlinked;
        let lost = touched.lost_values();
        let holders = self.holders(&lost, DEFAULT_MAX_HOLDERS as i64 + 1).await?;
        // What a record no longer holds may link the others that hold it.
        seeds.extend(holders.of.into_values().flatten());
        seeds.extend(self.holders_of_shared(&touched).await?);
        self.regroup(linked, seeds.clone(), &seeds).await?;
        Ok(())
    }

    /// Moves what the seeds reach to the contacts or companies that it belongs to. Profiles that have other records now are
    /// noted, and so are those of `changed` records. Returns all records that were reached.
    async fn regroup(
        &mut self,
        linked: Linked,
        seeds: BTreeSet<RecordKey>,
        changed: &BTreeSet<RecordKey>,
    ) -> Result<BTreeSet<RecordKey>, StoreError> {
        if seeds.is_empty() {
            return Ok(BTreeSet::new());
        }
        let Closure {
            records,
            shared,
            rules,
        } = self.closure(linked, seeds).await?;
        let inputs: Vec<_> = records.values().map(StoredIdentity::input).collect();
        let splits = self.sides_of(linked, records.keys()).await?;
        let found = resolve(&inputs, &rules, &splits, &shared);
        let mut moved = BTreeMap::new();
        for profile in &found.profiles {
            let all = profile.members.iter().chain(&profile.absorbed);
            let elsewhere = all
                .clone()
                .filter(|key| records[*key].profile_id != profile.id);
            moved.extend(elsewhere.map(|key| (key, profile.id)));
        }
        // A profile that has lost a record shows something else, and so does one that has gained one.
        let left: BTreeSet<Uuid> = moved.keys().map(|key| records[*key].profile_id).collect();
        let mut regrouped = Vec::new();
        for profile in &found.profiles {
            let mut all = profile.members.iter().chain(&profile.absorbed);
            let is_regrouped =
                left.contains(&profile.id) || all.clone().any(|key| moved.contains_key(key));
            if is_regrouped || all.any(|key| changed.contains(key)) {
                self.note_profile(linked, profile, &records);
            }
            // What its source has just merged into another record takes its companies out of the profile.
            if is_regrouped || profile.absorbed.iter().any(|key| changed.contains(key)) {
                regrouped.push(profile.id);
            }
        }
        for (key, profile) in &moved {
            self.move_record(linked, key, *profile).await?;
        }
        match linked {
            // Their conversations show other participants, and companies of other records.
            Linked::Contacts => self.note_regrouped_contacts(regrouped),
            Linked::Companies => {
                for key in moved.into_keys() {
                    self.note_moved_companies(key.connection, &[&key.source_id]);
                }
            }
        }
        Ok(records.into_keys().collect())
    }

    /// The sides that somebody has put these records on.
    async fn sides_of(
        &mut self,
        linked: Linked,
        records: impl Iterator<Item = &RecordKey>,
    ) -> Result<Vec<Split>, StoreError> {
        // Only contacts are ever split.
        if linked == Linked::Companies {
            return Ok(Vec::new());
        }
        let splits = self.splits_of(records).await?;
        Ok(splits.into_iter().map(|split| split.sides).collect())
    }

    /// Notes what has become of the ids of a profile's records. The state of the feed then does not depend on which of
    /// them came first.
    fn note_profile(
        &mut self,
        linked: Linked,
        profile: &Profile,
        records: &BTreeMap<RecordKey, StoredIdentity>,
    ) {
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
            .any(|record| record.record_id == profile.id && record.profile_id != profile.id);
        let is_joined = of.iter().any(|record| record.profile_id != profile.id);
        let op = match fate {
            ObjectFate::Deleted => ChangeOp::Delete,
            ObjectFate::Merged => ChangeOp::Merge,
            _ if is_parted => ChangeOp::Split,
            _ if is_joined => ChangeOp::Merge,
            _ => ChangeOp::Upsert,
        };
        let kind = linked.object();
        self.note_state(profile.id, op, kind, fate);
        for record in of {
            if record.record_id != profile.id {
                let fate = ObjectFate::Merged;
                self.note_state(record.record_id, ChangeOp::Merge, kind, fate);
            }
        }
    }

    async fn move_record(
        &mut self,
        linked: Linked,
        key: &RecordKey,
        profile: Uuid,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let (connection, id) = (key.connection.0, &key.source_id);
        // One at a time, because each is found by its key, and few records move unless a tenant blocks many values at once.
        let moved = match linked {
            Linked::Contacts => sqlx::query!(
                "UPDATE contact_sources SET contact_id = $4
                 WHERE tenant_id = $1 AND connection_id = $2 AND source_id = $3",
                tenant,
                connection,
                id,
                profile,
            ),
            Linked::Companies => sqlx::query!(
                "UPDATE company_sources SET company_id = $4
                 WHERE tenant_id = $1 AND connection_id = $2 AND source_id = $3",
                tenant,
                connection,
                id,
                profile,
            ),
        };
        moved.execute(self.session()).await?;
        Ok(())
    }
}
