//! The scopes that an operator can pause.

use std::{fmt, str::FromStr};

use crate::domain::{Class, TenantId};

/// A set of tickets that can be paused. Slices that run go on, and the other tickets wait where they are.
///
/// Redis has a copy. Postgres has the original, and [`Queue::set_paused`](super::Queue::set_paused) copies it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseScope {
    Fleet,
    Class(Class),
    Tenant(TenantId),
}

/// The text in Redis.
impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Class(class) => class.fmt(f),
            Self::Tenant(tenant) => tenant.fmt(f),
        }
    }
}

impl FromStr for PauseScope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text {
            "fleet" => Ok(Self::Fleet),
            _ => text
                .parse()
                .map(Self::Class)
                .or_else(|_| text.parse().map(Self::Tenant))
                .map_err(|_| UnknownScope(text.to_owned())),
        }
    }
}

/// Neither the fleet, nor a class, nor a tenant's id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot be paused, name fleet, fresh, backfill or a tenant id")]
pub struct UnknownScope(String);
