//! What one workspace holds, in memory: rendered objects with sorted indexes beside them.

mod entries;
mod index;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

pub(crate) use entries::{
    CompanyEntry, ContactEntry, ConversationEntry, Head, Merge, Note, PartEntry, State,
};
pub(crate) use index::{Id, Index, Walk};
pub(crate) use table::{Entry, Table};

use crate::generate::Reference;

/// Kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user or lead.
    Contact,
    /// A company.
    Company,
    /// A conversation without its parts.
    Conversation,
    /// A conversation part.
    Part,
    /// That a contact belongs to a company.
    Link,
    /// A teammate.
    Admin,
    /// A team.
    Team,
    /// A tag.
    Tag,
    /// A segment.
    Segment,
}

/// All objects of a workspace.
#[derive(Debug)]
pub(crate) struct Store {
    /// Moves with every change, so that counts can be remembered between changes.
    pub(crate) generation: u64,
    pub(crate) contacts: Table<ContactEntry>,
    pub(crate) companies: Table<CompanyEntry>,
    pub(crate) conversations: Table<ConversationEntry>,
    /// Live contacts of each company.
    pub(crate) members: HashMap<Arc<str>, BTreeSet<Id>>,
    /// Users by the customer's own id.
    pub(crate) external_ids: HashMap<String, Arc<str>>,
    /// Deleted conversations by the moment of deletion. The value is `metrics_retained`.
    pub(crate) deleted_conversations: BTreeMap<(i64, Id), bool>,
    pub(crate) reference: Reference,
    /// Names the next object of each kind.
    pub(crate) next: Counters,
}

/// How many objects of each kind were ever made. Ids follow from it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) contact: u64,
    pub(crate) company: u64,
    pub(crate) conversation: u64,
    pub(crate) part: u64,
    pub(crate) note: u64,
}

impl Store {
    pub(crate) fn new(reference: Reference) -> Self {
        Self {
            generation: 0,
            contacts: Table::default(),
            companies: Table::default(),
            conversations: Table::default(),
            members: HashMap::new(),
            external_ids: HashMap::new(),
            deleted_conversations: BTreeMap::new(),
            reference,
            next: Counters::default(),
        }
    }

    /// A live contact, fairly random.
    pub(crate) fn some_contact(&self, rng: &mut SmallRng) -> Option<String> {
        some(&self.contacts.by_created, rng)
    }

    /// Whether any live contact belongs to the company.
    pub(crate) fn has_users(&self, company: &str) -> bool {
        self.members.get(company).is_some_and(|set| !set.is_empty())
    }
}

/// A fairly random id of an index, without walking it: a random moment, then a few steps on.
pub(crate) fn some(index: &Index, rng: &mut SmallRng) -> Option<String> {
    let (first, last) = (index.first()?, index.last()?);
    let place = rng.random_range(first.0..=last.0);
    let steps = rng.random_range(0..7);
    index
        .range((place, Id(Arc::from("")))..)
        .chain(index)
        .nth(steps)
        .or_else(|| index.first())
        .map(|(_, id)| id.0.to_string())
}
