//! Tags and segments inside objects, by their ids.

use serde::Deserialize;

use super::{lenient::Lenient, object::Object, scalar::Text};

/// A list object. Contacts have their entries under `data`, and companies under the list's own name.
#[derive(Default, Deserialize)]
#[serde(from = "Option<Object<Lists>>")]
pub(super) struct ExtraList(Vec<String>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lists {
    data: Lenient<Vec<Lenient<Object<Entry>>>>,
    tags: Lenient<Vec<Lenient<Object<Entry>>>>,
    segments: Lenient<Vec<Lenient<Object<Entry>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: Lenient<Text>,
}

impl From<Option<Object<Lists>>> for ExtraList {
    fn from(list: Option<Object<Lists>>) -> Self {
        let Object(Lists {
            data,
            tags,
            segments,
        }) = list.unwrap_or_default();
        let entries = [data, tags, segments].into_iter().flat_map(|list| list.0);
        let id = |Lenient(Object(entry)): Lenient<Object<Entry>>| entry.id.0.key().ok().flatten();
        Self(entries.filter_map(id).collect())
    }
}

impl ExtraList {
    /// The ids that are shown. Entries without one are left out.
    pub(super) fn ids(self) -> Vec<String> {
        self.0
    }
}
