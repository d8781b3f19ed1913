//! What a transaction has changed that other objects show, before it looks for these (`neighbours.rs`).

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::domain::ConnectionId;

/// Source ids by connection.
pub(super) type Records = BTreeMap<ConnectionId, BTreeSet<String>>;

/// What a transaction has changed that others show.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// Records of contacts that were not stored before.
    pub(super) new_contacts: Records,
    /// Records of contacts that were stored and have other companies now.
    pub(super) relinked_contacts: Records,
    /// Contacts that have other records now.
    pub(super) regrouped_contacts: BTreeSet<Uuid>,
    /// Records of companies that were not stored before, or belong to another company now.
    pub(super) moved_companies: Records,
}

impl Neighbours {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            new_contacts,
            relinked_contacts,
            regrouped_contacts,
            moved_companies,
        } = self;
        let records = [new_contacts, relinked_contacts, moved_companies];
        regrouped_contacts.is_empty() && records.iter().all(|records| records.is_empty())
    }
}

/// Adds records of a connection.
pub(super) fn add(records: &mut Records, connection: ConnectionId, source_ids: &[&str]) {
    if !source_ids.is_empty() {
        let of = records.entry(connection).or_default();
        of.extend(source_ids.iter().map(|id| (*id).to_owned()));
    }
}
