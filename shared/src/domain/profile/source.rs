//! Where records come from, and how one record is named.

use serde::{Deserialize, Serialize};

use crate::domain::ConnectionId;

/// A kind of system that knows contacts and companies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Crm,
    Email,
    Analytics,
    Intercom,
}

impl Source {
    /// In the default order of precedence. People maintain a CRM by hand, and Intercom guesses much of what it shows.
    pub const ALL: [Self; 4] = [Self::Crm, Self::Email, Self::Analytics, Self::Intercom];

    /// The name in our API and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Email => "email",
            Self::Analytics => "analytics",
            Self::Intercom => "intercom",
        }
    }

    /// The source of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// Names one record of one connection. Ids of two connections may be equal by chance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordKey {
    #[serde(rename = "connection_id")]
    pub connection: ConnectionId,
    /// The source's own id of the record.
    pub source_id: String,
}

impl RecordKey {
    #[must_use]
    pub fn new(connection: ConnectionId, source_id: impl Into<String>) -> Self {
        Self {
            connection,
            source_id: source_id.into(),
        }
    }
}
