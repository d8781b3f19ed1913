//! Remembered result counts and issued cursors. Counting walks all results, so a count is kept
//! until the workspace changes.

use std::collections::HashMap;

use crate::errors::ApiError;

#[derive(Debug, Default)]
pub(crate) struct Totals {
    counts: HashMap<String, (u64, usize)>,
    /// The time at which each cursor was issued, kept only if cursors expire.
    cursors: HashMap<String, i64>,
}

impl Totals {
    /// The count under `key`, counted anew where the store has moved on.
    pub(crate) fn get(
        &mut self,
        key: String,
        generation: u64,
        count: impl FnOnce() -> usize,
    ) -> usize {
        if let Some((at, count)) = self.counts.get(&key)
            && *at == generation
        {
            return *count;
        }
        if self.counts.len() > 256 {
            self.counts.clear();
        }
        let count = count();
        self.counts.insert(key, (generation, count));
        count
    }

    /// Remembers when a cursor was issued.
    pub(crate) fn issued(&mut self, cursor: &str, now: i64) {
        self.cursors.insert(cursor.to_owned(), now);
    }

    /// Refuses a cursor that is older than `ttl` seconds or was never issued.
    pub(crate) fn check(&self, cursor: &str, ttl: u32, now: i64) -> Result<(), ApiError> {
        let fresh = self
            .cursors
            .get(cursor)
            .is_some_and(|at| now - at <= i64::from(ttl));
        if fresh {
            return Ok(());
        }
        Err(ApiError::parameter("starting_after has expired"))
    }
}
