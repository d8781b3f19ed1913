//! Lists inside objects, which may be cut, null or missing.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::scalar::Whole;
use crate::domain::records::SubList;

/// How many entries a list has, whether it shows them or not. An odd count is read as missing.
#[derive(Clone, Copy, Default)]
pub(super) struct Count(Whole);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(text.get()).unwrap_or_default()))
    }
}

impl Count {
    /// Whether so many entries are all of them, as far as the object counts them.
    pub(super) const fn is_reached(self, entries: usize) -> bool {
        match self.0.0 {
            Some(total) => total <= entries as i64,
            None => true,
        }
    }
}

/// The list of these ids, of so many shown entries. Without entries, nothing is known. An entry without an id is shown
/// and has no name.
pub(super) fn sub_list(ids: Option<Vec<String>>, shown: usize, count: Count) -> SubList {
    match ids {
        Some(ids) if count.is_reached(shown) => SubList::Whole(ids),
        ids => SubList::Part(ids.unwrap_or_default()),
    }
}
