//! The calls of `/v1`, one file per kind of object. `router.rs` mounts them.

pub(crate) mod api_keys;
pub(crate) mod changes;
pub(crate) mod companies;
pub(crate) mod connections;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod sync_status;
pub(crate) mod syncs;
pub(crate) mod tenants;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::ConnectionId,
    store::reads::{Position, ProfileFilter, ProfileSource},
};
use uuid::Uuid;

use crate::error::ApiError;

/// The query of a list without filters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// The query of contacts and companies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfilesQuery {
    cursor: Option<String>,
    limit: Option<u32>,
    updated_since: Option<DateTime<Utc>>,
    include: Option<String>,
}

impl ProfilesQuery {
    fn filter(&self) -> Result<(ProfileFilter, Include), ApiError> {
        let include = Include::read(self.include.as_deref())?;
        Ok((
            ProfileFilter {
                updated_since: self.updated_since,
                deleted: include.deleted,
            },
            include,
        ))
    }
}

/// The query of one object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneQuery {
    include: Option<String>,
}

/// `include=provenance,deleted`: what is left out unless it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Include {
    /// Which source each field came from.
    provenance: bool,
    /// In lists: also what was deleted at its source.
    deleted: bool,
}

impl Include {
    fn read(text: Option<&str>) -> Result<Self, ApiError> {
        let mut include = Self::default();
        for word in text
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word {
                "provenance" => include.provenance = true,
                "deleted" => include.deleted = true,
                _ => {
                    return Err(ApiError::invalid(
                        "include",
                        "must be `provenance`, `deleted` or both",
                    ));
                }
            }
        }
        Ok(include)
    }
}

/// One source's record behind a profile.
#[derive(Debug, Serialize)]
pub(crate) struct SourceView {
    /// `intercom`.
    source: String,
    connection_id: ConnectionId,
    source_id: String,
    source_updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<DateTime<Utc>>,
}

impl From<ProfileSource> for SourceView {
    fn from(source: ProfileSource) -> Self {
        Self {
            source: source.source,
            connection_id: source.connection_id,
            source_id: source.source_id,
            source_updated_at: source.source_updated_at,
            deleted_at: source.deleted_at,
        }
    }
}

/// A cursor's content: the last row's time and id.
type Mark = (DateTime<Utc>, Uuid);

fn before(mark: Option<Mark>) -> Position {
    mark.map_or_else(Position::newest, |(at, id)| Position { at, id })
}
