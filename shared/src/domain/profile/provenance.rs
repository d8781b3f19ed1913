//! Which record each value of a profile comes from.

use std::{collections::BTreeMap, fmt::Display};

use serde::Serialize;
use uuid::Uuid;

use super::source::{RecordKey, Source};

/// A record, as readers are shown it beside a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    pub source: Source,
    pub connection_id: Uuid,
    pub source_id: String,
}

/// The origin of every value that a profile shows.
///
/// A field has its name, as `email`. A value within a field has both, with the first dot between them: `attributes.plan`
/// is an attribute, `emails.ann@acme.example` an entry of a list, and `consent.unsubscribed` a restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Provenance(BTreeMap<String, Origin>);

impl Origin {
    pub(super) fn of(source: Source, key: &RecordKey) -> Self {
        Self {
            source,
            connection_id: key.connection.0,
            source_id: key.source_id.clone(),
        }
    }
}

impl Provenance {
    /// The origin of a field, or of a value within a field.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Origin> {
        self.0.get(path)
    }

    /// All paths with their origins, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(path, origin)| (path.as_str(), origin))
    }

    pub(super) fn note(&mut self, field: &str, origin: Origin) {
        self.0.insert(field.to_owned(), origin);
    }

    pub(super) fn note_within(&mut self, field: &str, value: impl Display, origin: Origin) {
        self.0.insert(format!("{field}.{value}"), origin);
    }
}
