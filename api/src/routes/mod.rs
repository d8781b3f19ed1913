//! The calls of `/v1`, one file per kind of object. `router.rs` mounts them.

pub(crate) mod api_keys;
pub(crate) mod audit_events;
pub(crate) mod changes;
pub(crate) mod companies;
pub(crate) mod connections;
mod contact_views;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod erasures;
pub(crate) mod identities;
pub(crate) mod identity_rules;
pub(crate) mod merge_rules;
mod provenance;
pub(crate) mod search;
pub(crate) mod sessions;
mod source_shapes;
pub(crate) mod sources;
pub(crate) mod sync_status;
pub(crate) mod syncs;
pub(crate) mod tenants;
pub(crate) mod timeline;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::ConnectionId,
    profiles::ProfileDetail,
    store::reads::{Position, ProfileFilter, ProfileSource},
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{error::ApiError, openapi::words};

/// The code of a record that an erasure keeps out.
pub(crate) const ERASED: &str = "erased";

/// The query of a call that takes none. Without it, a misspelt parameter would pass unread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// The query of a list without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// The query of contacts and companies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProfilesQuery {
    /// The `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only what has changed at this time or later.
    updated_since: Option<DateTime<Utc>>,
    /// What is left out otherwise: where each field came from, and what was deleted at its source.
    #[param(inline, value_type = Option<Vec<words::Include>>, style = Form, explode = false)]
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
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OneQuery {
    /// What is left out otherwise: where each field came from. A deleted object answers without it too.
    #[param(inline, value_type = Option<Vec<words::Include>>, style = Form, explode = false)]
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
    /// The words of `include`.
    pub(crate) const WORDS: [&str; 2] = ["provenance", "deleted"];

    const fn detail(self) -> ProfileDetail {
        if self.provenance {
            ProfileDetail::Origins
        } else {
            ProfileDetail::Values
        }
    }

    fn read(text: Option<&str>) -> Result<Self, ApiError> {
        let mut include = Self::default();
        // An empty list has no word, and a list has no empty word.
        let words = text
            .filter(|text| !text.is_empty())
            .map(|text| text.split(','));
        for word in words.into_iter().flatten() {
            match word.trim() {
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceView {
    /// `crm`, `email`, `analytics` or `intercom`.
    #[schema(example = "intercom")]
    source: String,
    #[schema(value_type = Uuid)]
    connection_id: ConnectionId,
    /// The source's own id.
    #[schema(example = "65f0c0ffee00000000000000")]
    source_id: String,
    source_updated_at: DateTime<Utc>,
    /// When the source deleted it. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
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
