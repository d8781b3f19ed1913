//! What the methods that write batches share.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::versions::StoredVersions;
use crate::domain::Stream;

/// How many records of a batch were new, and how many changed.
#[derive(Debug, Default)]
pub struct WriteSummary {
    pub seen: usize,
    pub inserted: usize,
    pub updated: usize,
    /// By how many the stored objects that are alive have grown.
    pub alive: i64,
    /// Source ids of the inserted and updated records.
    pub changed: Vec<String>,
    /// Source ids of records that an erasure keeps out. They are not stored.
    pub kept_out: Vec<String>,
}

impl WriteSummary {
    /// Counts the batch in `pathbound_records_written_total`. Called after the commit, or a failed one would count.
    pub fn count(&self, stream: Stream) {
        for (op, count) in [
            ("insert", self.inserted),
            ("update", self.updated),
            (
                "noop",
                self.seen.saturating_sub(self.inserted + self.updated),
            ),
        ] {
            if count > 0 {
                metrics::counter!("pathbound_records_written_total", "stream" => stream.as_str(), "op" => op)
                    .increment(count as u64);
            }
        }
    }
}

impl WriteSummary {
    /// The records that a statement wrote, compared with what was stored of them before.
    pub(super) fn of(seen: usize, changed: Vec<String>, before: &StoredVersions<String>) -> Self {
        let inserted = changed.iter().filter(|id| before.is_new(id)).count();
        let revived = changed.iter().filter(|id| before.is_ended(id)).count();
        Self {
            seen,
            inserted,
            updated: changed.len() - inserted,
            alive: (inserted + revived) as i64,
            changed,
            kept_out: Vec::new(),
        }
    }

    /// Source ids of the records that were not stored before.
    pub(super) fn inserted_ids<'a>(&'a self, before: &StoredVersions<String>) -> Vec<&'a str> {
        let inserted = self.changed.iter().filter(|id| before.is_new(id));
        inserted.map(String::as_str).collect()
    }
}

/// Source records of contacts or companies as one array per column, which is the shape that `unnest` takes.
#[derive(Default)]
pub(super) struct SourceColumns {
    pub(super) record_ids: Vec<Uuid>,
    pub(super) source_ids: Vec<String>,
    pub(super) external_ids: Vec<Option<String>>,
    pub(super) created: Vec<DateTime<Utc>>,
    pub(super) updated: Vec<DateTime<Utc>>,
    pub(super) sanitised: Vec<bool>,
    /// JSON arrays, because Postgres has no array of arrays of different lengths.
    pub(super) identity_values: Vec<String>,
    pub(super) hashes: Vec<i64>,
    pub(super) raws: Vec<Vec<u8>>,
}

/// One row of [`SourceColumns`].
pub(super) struct SourceRow {
    pub(super) record_id: Uuid,
    pub(super) source_id: String,
    pub(super) external_id: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) sanitised: bool,
    /// A JSON array of texts.
    pub(super) identity_values: String,
    pub(super) raw_hash: i64,
    /// As it is stored.
    pub(super) raw: Vec<u8>,
}

impl SourceColumns {
    pub(super) fn push(&mut self, row: SourceRow) {
        self.record_ids.push(row.record_id);
        self.source_ids.push(row.source_id);
        self.external_ids.push(row.external_id);
        self.created.push(row.created_at);
        self.updated.push(row.updated_at);
        self.sanitised.push(row.sanitised);
        self.identity_values.push(row.identity_values);
        self.hashes.push(row.raw_hash);
        self.raws.push(row.raw);
    }
}

/// One record per key, the last one, because a statement cannot write a row twice. They are in key order, so that two
/// writers of the same rows cannot deadlock.
pub(super) fn last_of_each<T>(records: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    let mut last: HashMap<String, T> = HashMap::with_capacity(records.len());
    for record in records {
        last.insert(key(&record).to_owned(), record);
    }
    let mut records: Vec<(String, T)> = last.into_iter().collect();
    records.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    records.into_iter().map(|(_, record)| record).collect()
}
