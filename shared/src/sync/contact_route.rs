//! The way that a walk takes through the contacts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{domain::records::Contact, intercom::Order};

/// The way that a walk takes through the contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Route {
    /// The list of all contacts, or a search for changes, newest first.
    #[default]
    Usual,
    /// A search for all contacts, newest first.
    NewestFirst,
    /// The same search, oldest first, until it shows a later change than this, from which on all was read.
    OldestFirst { until: Option<DateTime<Utc>> },
}

impl Route {
    pub(super) const fn is_usual(&self) -> bool {
        matches!(self, Self::Usual)
    }

    pub(super) const fn order(self) -> Order {
        match self {
            Self::Usual | Self::NewestFirst => Order::Descending,
            Self::OldestFirst { .. } => Order::Ascending,
        }
    }

    /// Whether a page has come to what was read from the other side.
    pub(super) fn is_passed(self, contacts: &[Contact]) -> bool {
        match self {
            Self::OldestFirst { until: Some(until) } => {
                contacts.last().is_some_and(|last| last.updated_at > until)
            }
            _ => false,
        }
    }
}
