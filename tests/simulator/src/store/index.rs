//! Sorted indexes and keyset walks over them.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// An object id. Shorter sorts first, so that numeric ids sort as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub(crate) Arc<str>);

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0
            .len()
            .cmp(&other.0.len())
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Ids by a sort value, then by id.
pub(crate) type Index = BTreeSet<(i64, Id)>;

/// A keyset walk: where it may go and where it continues.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    /// Lowest sort value, included.
    pub(crate) from: i64,
    /// Highest sort value, not included.
    pub(crate) until: i64,
    /// Continue strictly behind this key, in walking direction.
    pub(crate) after: Option<(i64, Id)>,
    pub(crate) descending: bool,
}

impl Walk {
    /// Over everything, upwards, from the start.
    pub(crate) fn all() -> Self {
        Self {
            from: i64::MIN,
            until: i64::MAX,
            after: None,
            descending: false,
        }
    }

    /// The keys of the walk, lazily.
    pub(crate) fn over<'i>(
        &self,
        index: &'i Index,
    ) -> Box<dyn Iterator<Item = &'i (i64, Id)> + 'i> {
        let lowest = (self.from, Id(Arc::from("")));
        let highest = (self.until, Id(Arc::from("")));
        let (low, high) = match (&self.after, self.descending) {
            (Some(after), false) if *after >= lowest => {
                (Bound::Excluded(after.clone()), Bound::Excluded(highest))
            }
            (Some(after), true) if *after < highest => {
                (Bound::Included(lowest), Bound::Excluded(after.clone()))
            }
            _ => (Bound::Included(lowest), Bound::Excluded(highest)),
        };
        if is_empty(&low, &high) {
            return Box::new(std::iter::empty());
        }
        let range = index.range((low, high));
        if self.descending {
            Box::new(range.rev())
        } else {
            Box::new(range)
        }
    }
}

/// `BTreeSet::range` panics where the start lies behind the end.
fn is_empty(low: &Bound<(i64, Id)>, high: &Bound<(i64, Id)>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}
