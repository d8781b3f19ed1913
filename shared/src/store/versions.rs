//! What is stored of a batch of records, so that an unchanged one is neither sent nor locked.

use std::{collections::HashMap, hash::Hash};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    StoreError, Tx,
    roles::{Worker, WritesRecords},
};
use crate::domain::ConnectionId;

/// A digest of a record's bytes as they were sent. Versions of a record that differ have different digests.
pub(super) fn raw_hash(raw: &str) -> i64 {
    xxh3_64(raw.as_bytes()).cast_signed()
}

/// The stored version of one record.
#[derive(Clone, Copy, Debug)]
struct StoredVersion {
    updated_at: DateTime<Utc>,
    raw_hash: i64,
    /// It was deleted, or merged into another.
    is_ended: bool,
}

/// The stored versions of a batch, by the records' keys. A record without one is new.
#[derive(Debug)]
pub(super) struct StoredVersions<K>(HashMap<K, StoredVersion>);

impl<K: Hash + Eq> StoredVersions<K> {
    /// Whether a version changes what is stored: a later one, another one of the same second, or one that shows that the
    /// record has not ended.
    pub(super) fn is_changed(&self, key: &K, updated_at: DateTime<Utc>, raw_hash: i64) -> bool {
        self.0.get(key).is_none_or(|stored| {
            let differs = stored.raw_hash != raw_hash || stored.is_ended;
            stored.updated_at < updated_at || stored.updated_at == updated_at && differs
        })
    }

    /// Whether a version is later than the stored one.
    pub(super) fn is_later(&self, key: &K, updated_at: DateTime<Utc>) -> bool {
        self.0
            .get(key)
            .is_none_or(|stored| stored.updated_at < updated_at)
    }

    /// Whether the stored version is of this time.
    pub(super) fn is_of(&self, key: &K, updated_at: DateTime<Utc>) -> bool {
        self.0
            .get(key)
            .is_some_and(|stored| stored.updated_at == updated_at)
    }

    pub(super) fn is_new(&self, key: &K) -> bool {
        !self.0.contains_key(key)
    }

    /// Whether the record has ended. Written again, it is alive again.
    pub(super) fn is_ended(&self, key: &K) -> bool {
        self.0.get(key).is_some_and(|stored| stored.is_ended)
    }
}

macro_rules! versions {
    ($rows:expr, $key:ident) => {
        StoredVersions(
            $rows
                .into_iter()
                .map(|row| {
                    let version = StoredVersion {
                        updated_at: row.source_updated_at,
                        raw_hash: row.raw_hash,
                        is_ended: row.is_ended,
                    };
                    (row.$key, version)
                })
                .collect(),
        )
    };
}

/// The versions of conversations, read or locked.
macro_rules! conversation_versions {
    ($tx:ident, $ids:expr, $end:literal) => {{
        let rows = sqlx::query!(
            r#"SELECT c.id, c.source_updated_at, c.raw_hash, c.deleted_at IS NOT NULL AS "is_ended!"
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT id, source_updated_at, raw_hash, deleted_at FROM conversations
                                   WHERE tenant_id = $1 AND id = i.id "# + $end + ") c",
            $tx.tenant().0,
            $ids,
        )
        .fetch_all($tx.session())
        .await?;
        versions!(rows, id)
    }};
}

/// Each record is found by its key, one after the other, whatever the planner believes of the table.
impl<R: WritesRecords> Tx<R> {
    pub(super) async fn contact_versions(
        &mut self,
        connection: ConnectionId,
        source_ids: &[&str],
    ) -> Result<StoredVersions<String>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.source_id, s.source_updated_at, s.raw_hash,
                      s.deleted_at IS NOT NULL OR s.merged_into IS NOT NULL AS "is_ended!"
               FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT source_id, source_updated_at, raw_hash, deleted_at, merged_into
                                   FROM contact_sources
                                   WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id OFFSET 0) s"#,
            tenant,
            connection.0,
            source_ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(versions!(rows, source_id))
    }

    pub(super) async fn company_versions(
        &mut self,
        connection: ConnectionId,
        source_ids: &[&str],
    ) -> Result<StoredVersions<String>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.source_id, s.source_updated_at, s.raw_hash, s.deleted_at IS NOT NULL AS "is_ended!"
               FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT source_id, source_updated_at, raw_hash, deleted_at FROM company_sources
                                   WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id OFFSET 0) s"#,
            tenant,
            connection.0,
            source_ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(versions!(rows, source_id))
    }
}

impl Tx<Worker> {
    pub(super) async fn conversation_versions(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<StoredVersions<Uuid>, StoreError> {
        Ok(conversation_versions!(self, conversations, "OFFSET 0"))
    }

    /// The same, with the rows locked in the order of ids, as every other writer does.
    pub(super) async fn lock_conversations(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<StoredVersions<Uuid>, StoreError> {
        let mut ids = conversations.to_vec();
        ids.sort_unstable();
        Ok(conversation_versions!(self, &ids, "FOR UPDATE"))
    }
}
