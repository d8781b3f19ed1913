//! One kind of object: entries by id, and the indexes that lists and searches walk.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Head, Id, Index};

/// What a table needs to know of an object.
pub(crate) trait Entry {
    fn head(&self) -> &Head;
    /// The place in the order that an unsorted search uses.
    fn unsorted(&self) -> i64 {
        0
    }
    /// A second sort value that has its own index.
    fn rank(&self) -> i64 {
        0
    }
}

/// Live and dead objects. Only live ones are indexed.
#[derive(Debug)]
pub(crate) struct Table<E> {
    entries: HashMap<Arc<str>, E>,
    /// Ids of objects that lists and searches no longer show.
    dead: BTreeSet<Id>,
    /// By [`Entry::unsorted`], which is 0 for most kinds: by id.
    pub(crate) by_id: Index,
    pub(crate) by_updated: Index,
    pub(crate) by_created: Index,
    pub(crate) by_rank: Index,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            dead: BTreeSet::new(),
            by_id: Index::new(),
            by_updated: Index::new(),
            by_created: Index::new(),
            by_rank: Index::new(),
        }
    }
}

impl<E: Entry> Table<E> {
    /// A live or dead object.
    pub(crate) fn get(&self, id: &str) -> Option<&E> {
        self.entries.get(id)
    }

    /// A live object.
    pub(crate) fn live(&self, id: &str) -> Option<&E> {
        self.get(id).filter(|entry| entry.head().state.is_live())
    }

    /// How many are live.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds or replaces an object and keeps the indexes right.
    pub(crate) fn put(&mut self, entry: E) {
        let id = entry.head().id.clone();
        if let Some(old) = self.entries.remove(&id.0) {
            self.unlist(&old);
        }
        if entry.head().state.is_live() {
            self.by_id.insert((entry.unsorted(), id.clone()));
            self.by_updated
                .insert((entry.head().updated_at, id.clone()));
            self.by_created
                .insert((entry.head().created_at, id.clone()));
            self.by_rank.insert((entry.rank(), id.clone()));
        } else {
            self.dead.insert(id.clone());
        }
        self.entries.insert(id.0, entry);
    }

    /// Takes an object out, to be changed and [`Table::put`] back.
    pub(crate) fn take(&mut self, id: &str) -> Option<E> {
        let entry = self.entries.remove(id)?;
        self.unlist(&entry);
        Some(entry)
    }

    /// Takes a live object out.
    pub(crate) fn take_live(&mut self, id: &str) -> Option<E> {
        self.live(id)?;
        self.take(id)
    }

    /// Live objects first, in id order, then dead ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        self.by_id
            .iter()
            .map(|(_, id)| id)
            .chain(&self.dead)
            .filter_map(|id| self.entries.get(&id.0))
    }

    fn unlist(&mut self, entry: &E) {
        let head = entry.head();
        let id = &head.id;
        self.by_id.remove(&(entry.unsorted(), id.clone()));
        self.by_updated.remove(&(head.updated_at, id.clone()));
        self.by_created.remove(&(head.created_at, id.clone()));
        self.by_rank.remove(&(entry.rank(), id.clone()));
        self.dead.remove(id);
    }
}
