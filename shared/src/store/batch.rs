//! What the methods that write batches share.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::StoreError;
use crate::domain::Stream;

/// How many records of a batch were new, and how many changed.
#[derive(Debug, Default)]
pub struct WriteSummary {
    pub seen: usize,
    pub inserted: usize,
    pub updated: usize,
    /// Source ids of the inserted and updated records.
    pub changed: Vec<String>,
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

/// A source record that a statement inserted or updated.
pub(super) struct ChangedRecord {
    pub(super) source_id: String,
    pub(super) inserted: bool,
}

/// Source ids of the inserted records.
pub(super) fn inserted_ids(rows: &[ChangedRecord]) -> Vec<&str> {
    let inserted = rows.iter().filter(|row| row.inserted);
    inserted.map(|row| row.source_id.as_str()).collect()
}

impl WriteSummary {
    pub(super) fn of(seen: usize, rows: Vec<ChangedRecord>) -> Self {
        let inserted = rows.iter().filter(|row| row.inserted).count();
        Self {
            seen,
            inserted,
            updated: rows.len() - inserted,
            changed: rows.into_iter().map(|row| row.source_id).collect(),
        }
    }
}

/// Source records of contacts or companies as one array per column, which is the shape that `unnest` takes.
#[derive(Default)]
pub(super) struct SourceColumns {
    pub(super) profile_ids: Vec<Uuid>,
    pub(super) source_ids: Vec<String>,
    pub(super) external_ids: Vec<Option<String>>,
    pub(super) fields: Vec<String>,
    pub(super) updated: Vec<DateTime<Utc>>,
    pub(super) sanitised: Vec<bool>,
    pub(super) raws: Vec<Vec<u8>>,
}

/// One row of [`SourceColumns`].
pub(super) struct SourceRow<F> {
    pub(super) profile_id: Uuid,
    pub(super) source_id: String,
    pub(super) external_id: Option<String>,
    pub(super) fields: F,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) sanitised: bool,
    /// As it is stored.
    pub(super) raw: Vec<u8>,
}

impl SourceColumns {
    pub(super) fn push(&mut self, row: SourceRow<impl Serialize>) -> Result<(), StoreError> {
        self.fields.push(to_json(&row.fields)?);
        self.profile_ids.push(row.profile_id);
        self.source_ids.push(row.source_id);
        self.external_ids.push(row.external_id);
        self.updated.push(row.updated_at);
        self.sanitised.push(row.sanitised);
        self.raws.push(row.raw);
        Ok(())
    }
}

fn to_json(fields: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(fields).map_err(|error| StoreError::Inconsistent {
        table: "sources",
        what: error.to_string(),
    })
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
