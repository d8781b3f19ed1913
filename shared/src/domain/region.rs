//! Intercom's data regions. A workspace lives in exactly one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a workspace's data lives. Hosts are derived from this and never from a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    #[default]
    Us,
    Eu,
    Au,
}

impl Region {
    /// The name in our API and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Au => "au",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    /// Accepts any case, because `/me` spells it `US` and our own API `us`.
    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        match text.to_ascii_lowercase().as_str() {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            "au" => Ok(Self::Au),
            _ => Err(UnknownRegion(text.to_owned())),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown region {0:?}: use us, eu or au")]
pub struct UnknownRegion(String);
