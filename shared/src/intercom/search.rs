//! Search requests over `updated_at` and `created_at`, in the part of the grammar that every version shares.

use chrono::{DateTime, Utc};
use serde_json::json;

/// The two orders that Intercom accepts. Any other is refused with `invalid_sort_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Objects whose `updated_at` lies after `after` (and before `before`), sorted by `updated_at`. With `created`, those of
/// them that began within its bounds, sorted by `created_at`.
///
/// All bounds are exclusive, because `>` and `<` are the only portable operators. They count in seconds
/// for conversations, and in days of the workspace's time zone for contacts up to version 2.16. The caller
/// must allow for that.
#[derive(Clone, Debug)]
pub struct Search {
    pub after: DateTime<Utc>,
    pub before: Option<DateTime<Utc>>,
    pub created: Option<Created>,
    pub order: Order,
    /// The opaque cursor from the previous page. It must be in the body, because Intercom silently ignores it
    /// in the query.
    pub starting_after: Option<String>,
    pub per_page: usize,
}

/// Bounds of `created_at`. `None` has no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    pub after: Option<DateTime<Utc>>,
    pub before: Option<DateTime<Utc>>,
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
            created: None,
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
        let bound = |field: &str, operator: &str, at: DateTime<Utc>| json!({"field": field, "operator": operator, "value": at.timestamp()});
        let mut bounds = vec![bound("updated_at", ">", self.after)];
        bounds.extend(self.before.map(|before| bound("updated_at", "<", before)));
        if let Some(created) = self.created {
            bounds.extend(created.after.map(|after| bound("created_at", ">", after)));
            bounds.extend(
                created
                    .before
                    .map(|before| bound("created_at", "<", before)),
            );
        }
        let query = match bounds.len() {
            1 => bounds.remove(0),
            _ => json!({"operator": "AND", "value": bounds}),
        };
        let field = if self.created.is_some() {
            "created_at"
        } else {
            "updated_at"
        };
        let order = match self.order {
            Order::Ascending => "ascending",
            Order::Descending => "descending",
        };
        let mut pagination = json!({"per_page": self.per_page});
        if let Some(after) = &self.starting_after {
            pagination["starting_after"] = json!(after);
        }
        json!({"query": query, "sort": {"field": field, "order": order}, "pagination": pagination})
            .to_string()
    }
}
