//! Search requests over `updated_at`, in the part of the grammar that every version shares.

use chrono::{DateTime, Utc};
use serde_json::json;

/// Only these two words are understood (`invalid_sort_order` otherwise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Objects whose `updated_at` lies after `after` (and before `before`), sorted by `updated_at`.
///
/// Both bounds are exclusive and made of `>` and `<` only: the portable operators. What they mean to
/// the second (conversations) or to the day of the workspace's time zone (contacts up to 2.16)
/// is the caller's to know.
#[derive(Clone, Debug)]
pub struct Search {
    pub after: DateTime<Utc>,
    pub before: Option<DateTime<Utc>>,
    pub order: Order,
    /// Opaque, from the page before. Belongs in the body: in the query it is silently ignored.
    pub starting_after: Option<String>,
    pub per_page: usize,
}

impl Search {
    /// Everything changed after `after`, newest first.
    #[must_use]
    pub const fn newest_first(
        after: DateTime<Utc>,
        starting_after: Option<String>,
        per_page: usize,
    ) -> Self {
        Self {
            after,
            before: None,
            order: Order::Descending,
            starting_after,
            per_page,
        }
    }

    /// Everything, for its count alone.
    #[must_use]
    pub fn count_all() -> Self {
        Self::newest_first(DateTime::UNIX_EPOCH, None, 1)
    }

    pub(super) fn to_json(&self) -> String {
        // Seconds: milliseconds match nothing, without an error.
        let after =
            json!({"field": "updated_at", "operator": ">", "value": self.after.timestamp()});
        let query = match self.before {
            None => after,
            Some(before) => json!({"operator": "AND", "value": [
                after,
                {"field": "updated_at", "operator": "<", "value": before.timestamp()},
            ]}),
        };
        let order = match self.order {
            Order::Ascending => "ascending",
            Order::Descending => "descending",
        };
        let mut pagination = json!({"per_page": self.per_page});
        if let Some(after) = &self.starting_after {
            pagination["starting_after"] = json!(after);
        }
        json!({"query": query, "sort": {"field": "updated_at", "order": order}, "pagination": pagination}).to_string()
    }
}
