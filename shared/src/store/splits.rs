//! Records of contacts that somebody has parted.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    StoreError, Tx,
    roles::{Api, ChangesObjects},
};
use crate::domain::{
    ConnectionId,
    profile::{RecordKey, Split},
};

/// A split, as far as the records that were asked about are on its sides.
#[derive(Clone, Debug)]
pub struct StoredSplit {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    pub sides: Split,
}

impl<R: ChangesObjects> Tx<R> {
    /// The splits of these records, oldest first.
    pub(super) async fn splits_of(
        &mut self,
        records: impl IntoIterator<Item = &RecordKey>,
    ) -> Result<Vec<StoredSplit>, StoreError> {
        let tenant = self.tenant().0;
        let (connections, ids): (Vec<Uuid>, Vec<&str>) = records
            .into_iter()
            .map(|key| (key.connection.0, key.source_id.as_str()))
            .unzip();
        let rows = sqlx::query!(
            r#"SELECT s.split_id, s.connection_id, s.source_id, s.is_left, s.created_at
               FROM unnest($2::uuid[], $3::text[]) AS i(connection_id, source_id)
               CROSS JOIN LATERAL (SELECT * FROM split_records
                                   WHERE tenant_id = $1 AND connection_id = i.connection_id AND source_id = i.source_id
                                   OFFSET 0) s"#,
            tenant,
            &connections,
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let mut splits: BTreeMap<Uuid, StoredSplit> = BTreeMap::new();
        for row in rows {
            let split = splits.entry(row.split_id).or_insert_with(|| StoredSplit {
                id: row.split_id,
                created_at: row.created_at,
                sides: Split::default(),
            });
            let side = if row.is_left {
                &mut split.sides.left
            } else {
                &mut split.sides.right
            };
            side.insert(RecordKey::new(
                ConnectionId(row.connection_id),
                row.source_id,
            ));
        }
        // Their ids sort by time.
        Ok(splits.into_values().collect())
    }
}

impl Tx<Api> {
    /// Stores a split. The caller unifies.
    pub(super) async fn add_split(&mut self, sides: &Split) -> Result<Uuid, StoreError> {
        let tenant = self.tenant().0;
        let id = Uuid::now_v7();
        let both = sides.left.iter().map(|key| (key, true));
        let both = both.chain(sides.right.iter().map(|key| (key, false)));
        let (mut connections, mut ids, mut lefts) = (Vec::new(), Vec::new(), Vec::new());
        for (key, is_left) in both {
            connections.push(key.connection.0);
            ids.push(key.source_id.as_str());
            lefts.push(is_left);
        }
        sqlx::query!(
            "INSERT INTO split_records (tenant_id, split_id, connection_id, source_id, is_left)
             SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::bool[])",
            tenant,
            id,
            &connections,
            &ids as &[&str],
            &lefts,
        )
        .execute(self.session())
        .await?;
        Ok(id)
    }

    /// Removes a split. Returns the records that it parted, of which the caller unifies the contacts.
    pub(super) async fn drop_split(&mut self, id: Uuid) -> Result<Vec<RecordKey>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "DELETE FROM split_records WHERE tenant_id = $1 AND split_id = $2 RETURNING connection_id, source_id",
            tenant,
            id,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| RecordKey::new(ConnectionId(row.connection_id), row.source_id))
            .collect())
    }
}
