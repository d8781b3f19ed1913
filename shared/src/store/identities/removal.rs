//! Records that are no longer stored. What is left of their contacts answers for their ids.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Unlinked, closure::StoredIdentity, linked::Linked};
use crate::{
    domain::{ConnectionId, profile::RecordKey},
    store::{
        StoreError, Tx,
        noted_changes::{ChangeOp, ObjectFate},
        roles::Api,
    },
};

/// A record that was deleted from its table.
pub(in crate::store) struct RemovedRecord {
    pub(in crate::store) source_id: String,
    pub(in crate::store) record_id: Uuid,
    /// The contact or company that it belonged to.
    pub(in crate::store) profile_id: Uuid,
    pub(in crate::store) identity_values: String,
}

impl Tx<Api> {
    /// Moves the other records of the contacts or companies that have lost these.
    pub(in crate::store) async fn unify_without(
        &mut self,
        linked: Linked,
        connection: ConnectionId,
        removed: Vec<RemovedRecord>,
    ) -> Result<(), StoreError> {
        let mut unlinked = Unlinked::default();
        let mut lost = Vec::new();
        for record in &removed {
            let values: Vec<String> =
                serde_json::from_str(&record.identity_values).unwrap_or_default();
            for value in values {
                unlinked.touched.lost(&value);
                lost.push((record.source_id.clone(), value));
            }
        }
        self.drop_values_of_removed(connection, &lost).await?;
        let mut profiles: Vec<Uuid> = removed.iter().map(|record| record.profile_id).collect();
        profiles.sort_unstable();
        profiles.dedup();
        // Other records of the connection go next, so only those of others are looked at.
        let left: BTreeSet<RecordKey> = self
            .records_of(linked, &profiles)
            .await?
            .into_iter()
            .filter(|key| key.connection != connection)
            .collect();
        let left = self.identities_of(linked, &left).await?;
        unlinked.seeds = left.iter().map(StoredIdentity::key).collect();
        self.unify(linked, unlinked).await?;
        if linked == Linked::Contacts {
            // They no longer show the companies of the records that are gone.
            self.note_regrouped_contacts(left.iter().map(|record| record.profile_id));
        }
        // Of each profile that is left, one record stands for those that are gone.
        let heirs: BTreeMap<Uuid, Uuid> = left
            .iter()
            .rev()
            .map(|record| (record.profile_id, record.record_id))
            .collect();
        for RemovedRecord {
            record_id,
            profile_id,
            ..
        } in removed
        {
            let kind = linked.object();
            if let Some(heir) = heirs.get(&profile_id) {
                self.add_alias(record_id, *heir).await?;
                self.note_state(record_id, ChangeOp::Merge, kind, ObjectFate::Merged);
            } else {
                self.note_state(record_id, ChangeOp::Delete, kind, ObjectFate::Removed);
            }
        }
        Ok(())
    }

    /// Removes the values of a whole batch, which are too many for a statement each. A purge plans its statements by the
    /// sizes of the tables, so each value is found by its key.
    async fn drop_values_of_removed(
        &mut self,
        connection: ConnectionId,
        lost: &[(String, String)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let (source_ids, values): (Vec<&str>, Vec<&str>) = lost
            .iter()
            .map(|(source_id, value)| (source_id.as_str(), value.as_str()))
            .unzip();
        sqlx::query!(
            "DELETE FROM identity_values v USING unnest($3::text[], $4::text[]) AS i(source_id, value)
             WHERE v.tenant_id = $1 AND v.value = i.value AND v.connection_id = $2 AND v.source_id = i.source_id",
            tenant,
            connection.0,
            &source_ids as &[&str],
            &values as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn add_alias(&mut self, id: Uuid, record: Uuid) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO profile_aliases (tenant_id, id, record_id) VALUES ($1, $2, $3)
             ON CONFLICT (tenant_id, id) DO UPDATE SET record_id = excluded.record_id",
            tenant,
            id,
            record,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
