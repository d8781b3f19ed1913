//! Small tools of the writing methods.

use std::collections::HashMap;

use serde::Serialize;

use super::StoreError;
use crate::domain::Stream;

/// What a batch changed.
#[derive(Debug, Default)]
pub struct Written {
    pub seen: usize,
    pub inserted: usize,
    pub updated: usize,
    /// Source ids of what was inserted or updated.
    pub changed: Vec<String>,
}

impl Written {
    /// Counts it in `pathbound_records_written_total`: after the commit, or a failed one would count.
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

/// One record per key, the last one: a statement cannot write a row twice. In key order, so that two
/// writers of the same rows cannot lock each other out.
pub(super) fn last_of_each<T>(records: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    let mut last: HashMap<String, T> = HashMap::with_capacity(records.len());
    for record in records {
        last.insert(key(&record).to_owned(), record);
    }
    let mut records: Vec<(String, T)> = last.into_iter().collect();
    records.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    records.into_iter().map(|(_, record)| record).collect()
}

pub(super) fn to_json(value: &impl Serialize, table: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Inconsistent {
        table,
        what: error.to_string(),
    })
}
