//! The members of a JSON object, taken one by one, so that what is left over is not known.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use crate::domain::{JsonText, Strict};

/// In bytes. An index entry of Postgres has no place for more.
const MAX_ID_BYTES: usize = 255;
/// In bytes. Longer than any name or address.
const MAX_TEXT_BYTES: usize = 2_048;
/// Far more than one person has of anything.
const MAX_ENTRIES: usize = 100;

/// Why a record is not stored. The records beside it are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRecordError {
    #[error("the record has {bytes} bytes: send at most {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("{0} is missing: send it with each record")]
    Missing(&'static str),
    #[error("{field:?} is not known: use one of {}", known.join(", "))]
    UnknownField {
        field: String,
        known: Vec<&'static str>,
    },
    #[error("{field} cannot be read: send {expected}")]
    Unreadable {
        field: String,
        expected: &'static str,
    },
    #[error("{field} is too long: send at most {limit} bytes")]
    TooLong { field: String, limit: usize },
    #[error("{field} has too many entries: send at most {limit}")]
    TooMany { field: String, limit: usize },
}

impl SourceRecordError {
    /// Every code.
    pub const CODES: [&'static str; 6] = [
        "too_large",
        "missing_field",
        "unknown_field",
        "unreadable_field",
        "too_long",
        "too_many",
    ];

    /// `code` of a rejected record in our API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Missing(_) => "missing_field",
            Self::UnknownField { .. } => "unknown_field",
            Self::Unreadable { .. } => "unreadable_field",
            Self::TooLong { .. } => "too_long",
            Self::TooMany { .. } => "too_many",
        }
    }
}

/// An object whose members are read one by one. A member that is null counts as missing.
pub(super) struct Members<'a> {
    /// The object's own name, and a dot. Empty for the record.
    prefix: String,
    members: BTreeMap<String, &'a RawValue>,
    known: Vec<&'static str>,
}

impl<'a> Members<'a> {
    pub(super) fn read(name: &str, json: &'a str) -> Result<Self, SourceRecordError> {
        let members = serde_json::from_str(json).map_err(|_| SourceRecordError::Unreadable {
            field: if name.is_empty() { "the record" } else { name }.to_owned(),
            expected: "an object",
        })?;
        Ok(Self {
            prefix: if name.is_empty() {
                String::new()
            } else {
                format!("{name}.")
            },
            members,
            known: Vec::new(),
        })
    }

    /// The members of a member. An object without members, if it is missing.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Self, SourceRecordError> {
        let json = self.take(name).map_or("{}", RawValue::get);
        Self::read(&format!("{}{name}", self.prefix), json)
    }

    pub(super) fn value<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, SourceRecordError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        // Escapes are read here as well, and Postgres has no place for a NUL.
        let holds_nul = serde_json::from_str(value.get()).is_ok_and(|value| has_nul(&value));
        match T::deserialize(Strict(&mut serde_json::Deserializer::from_str(value.get()))) {
            Ok(value) if !holds_nul => Ok(Some(value)),
            _ => Err(self.unreadable(name, expected)),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, SourceRecordError> {
        let text = self.value(name, "a text")?;
        self.bounded(name, text, MAX_TEXT_BYTES)
    }

    /// An id, which is not blank.
    pub(super) fn id(&mut self, name: &'static str) -> Result<Option<String>, SourceRecordError> {
        let id: Option<String> = self.value(name, "a text")?;
        if id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            return Err(self.unreadable(name, "a text that is not blank"));
        }
        self.bounded(name, id, MAX_ID_BYTES)
    }

    pub(super) fn list<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Vec<T>, SourceRecordError> {
        let list: Vec<T> = self.value(name, expected)?.unwrap_or_default();
        if list.len() > MAX_ENTRIES {
            return Err(SourceRecordError::TooMany {
                field: format!("{}{name}", self.prefix),
                limit: MAX_ENTRIES,
            });
        }
        Ok(list)
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, SourceRecordError> {
        let texts: Vec<String> = self.list(name, "a list of texts")?;
        for text in &texts {
            self.bounded(name, Some(text), MAX_TEXT_BYTES)?;
        }
        Ok(texts)
    }

    pub(super) fn count(&mut self, name: &'static str) -> Result<Option<i64>, SourceRecordError> {
        const EXPECTED: &str = "a whole number that is not negative";
        let count: Option<i64> = self.value(name, EXPECTED)?;
        match count {
            Some(..0) => Err(self.unreadable(name, EXPECTED)),
            count => Ok(count),
        }
    }

    pub(super) fn time(
        &mut self,
        name: &'static str,
    ) -> Result<Option<DateTime<Utc>>, SourceRecordError> {
        const EXPECTED: &str = "a time as RFC 3339 writes it, such as 2026-11-29T12:00:00Z";
        let time: Option<DateTime<Utc>> = self.value(name, EXPECTED)?;
        match time {
            Some(time) if !(0..=9999).contains(&time.year()) => {
                Err(self.unreadable(name, EXPECTED))
            }
            time => Ok(time),
        }
    }

    /// An object of the sender's own making, as it was sent.
    pub(super) fn document(&mut self, name: &'static str) -> Result<JsonText, SourceRecordError> {
        let text = self.members.get(name).map(|value| (*value).to_owned());
        let members: Option<Map<String, Value>> = self.value(name, "an object")?;
        Ok(match (members, text) {
            (Some(_), Some(text)) => text.into(),
            _ => JsonText::default(),
        })
    }

    /// Refuses what is left over.
    pub(super) fn finish(self) -> Result<(), SourceRecordError> {
        let Some((name, _)) = self.members.into_iter().next() else {
            return Ok(());
        };
        let mut known = self.known;
        known.sort_unstable();
        Err(SourceRecordError::UnknownField {
            field: format!("{}{name}", self.prefix),
            known,
        })
    }

    fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let value = self.members.remove(name);
        value.filter(|value| value.get() != "null")
    }

    fn bounded<T: AsRef<str>>(
        &self,
        name: &str,
        text: Option<T>,
        limit: usize,
    ) -> Result<Option<T>, SourceRecordError> {
        match text {
            Some(text) if text.as_ref().len() > limit => Err(SourceRecordError::TooLong {
                field: format!("{}{name}", self.prefix),
                limit,
            }),
            text => Ok(text),
        }
    }

    fn unreadable(&self, name: &str, expected: &'static str) -> SourceRecordError {
        SourceRecordError::Unreadable {
            field: format!("{}{name}", self.prefix),
            expected,
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(has_nul),
        Value::Object(map) => map
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
