//! Search requests over `updated_at`, in the part of the grammar that every version shares.

use chrono::{DateTime, Utc};
use serde_json::json;

/// The two orders that Intercom accepts. Any other is refused with `invalid_sort_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Objects whose `updated_at` lies after `after` (and before `before`), sorted by `updated_at`.
///
/// Both bounds are exclusive, because `>` and `<` are the only portable operators. They count in seconds
/// for conversations, and in days of the workspace's time zone for contacts up to version 2.16. The caller
/// must allow for that.
#[derive(Clone, Debug)]
pub struct Search {
    pub after: DateTime<Utc>,
    pub before: Option<DateTime<Utc>>,
    pub order: Order,
    /// The opaque cursor from the previous page. It must be in the body, because Intercom silently ignores it
    /// in the query.
    pub starting_after: Option<String>,
    pub per_page: usize,
}

impl Search {
    /// All objects that changed after `after`, newest first.
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

    /// A search for all objects, used for its count.
    #[must_use]
    pub fn count_all() -> Self {
        Self::newest_first(DateTime::UNIX_EPOCH, None, 1)
    }

    pub(super) fn to_json(&self) -> String {
        // The value must be in seconds. Milliseconds match nothing and give no error.
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
