//! Sets of records that are known to be one profile, and what each set holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::domain::profile::identity_value::IdentityKind;

/// One of the two sides of a split, by the split's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pin {
    pub(super) split: usize,
    pub(super) is_left: bool,
}

/// What the records of one component hold together.
#[derive(Clone, Debug, Default)]
pub(super) struct Component {
    /// By index, unsorted.
    pub(super) members: Vec<usize>,
    /// The kinds of which a member holds a value.
    kinds: BTreeSet<IdentityKind>,
    /// Values that members hold and that have not joined all their holders. Only such a value can be in two components
    /// once its turn is over.
    unjoined: BTreeSet<usize>,
    pub(super) pins: BTreeSet<Pin>,
}

/// Disjoint sets of records, by index.
#[derive(Debug)]
pub(super) struct Components {
    parents: Vec<usize>,
    sets: BTreeMap<usize, Component>,
    /// What it took, in entries looked at or moved.
    pub(super) steps: u64,
}

impl Components {
    /// Each of these records alone. `kinds` are those of which each record holds a value.
    pub(super) fn of(
        kinds: &[BTreeSet<IdentityKind>],
        alone: impl IntoIterator<Item = usize>,
    ) -> Self {
        let set = |record: usize| Component {
            members: vec![record],
            kinds: kinds[record].clone(),
            ..Component::default()
        };
        Self {
            parents: (0..kinds.len()).collect(),
            sets: alone
                .into_iter()
                .map(|record| (record, set(record)))
                .collect(),
            steps: 0,
        }
    }

    pub(super) fn pin(&mut self, record: usize, pin: Pin) {
        self.of_mut(record).pins.insert(pin);
    }

    /// Notes that a value has not joined all its holders, of whom this record is one.
    pub(super) fn leave_unjoined(&mut self, record: usize, value: usize) {
        self.of_mut(record).unjoined.insert(value);
    }

    /// The record that stands for the component of this one.
    pub(super) fn root(&mut self, mut record: usize) -> usize {
        while self.parents[record] != record {
            self.steps += 1;
            // Halving the path keeps later walks short.
            self.parents[record] = self.parents[self.parents[record]];
            record = self.parents[record];
        }
        record
    }

    pub(super) fn pins(&self, root: usize) -> impl Iterator<Item = Pin> + '_ {
        self.sets[&root].pins.iter().copied()
    }

    /// The splits that part two components.
    pub(super) fn splits_between(&self, a: usize, b: usize) -> impl Iterator<Item = usize> + '_ {
        let (a, b) = (&self.sets[&a].pins, &self.sets[&b].pins);
        let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        let is_opposed = |pin: &&Pin| {
            many.contains(&Pin {
                is_left: !pin.is_left,
                ..**pin
            })
        };
        few.iter().filter(is_opposed).map(|pin| pin.split)
    }

    /// Whether a component holds a value of a kind.
    pub(super) fn holds(&self, root: usize, kind: IdentityKind) -> bool {
        self.sets[&root].kinds.contains(&kind)
    }

    /// Whether two components that hold values of a kind have none of them in common. `values` are all the values of that
    /// kind, each of which has had its turn.
    pub(super) fn differ(&mut self, a: usize, b: usize, values: Range<usize>) -> bool {
        let (a, b) = (&self.sets[&a].unjoined, &self.sets[&b].unjoined);
        let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        let mut steps = 1;
        let is_common = few.range(values).any(|value| {
            steps += 1;
            many.contains(value)
        });
        self.steps += steps;
        !is_common
    }

    /// Makes one component of two. The smaller one moves, so a record moves only a few times however many joins there are.
    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let weight = |set: &Component| set.members.len() + set.unjoined.len() + set.pins.len();
        let (into, from) = if weight(&self.sets[&a]) >= weight(&self.sets[&b]) {
            (a, b)
        } else {
            (b, a)
        };
        self.parents[from] = into;
        let moved = self.sets.remove(&from).unwrap_or_default();
        self.steps += weight(&moved) as u64;
        let set = self.of_mut(into);
        set.members.extend(moved.members);
        set.kinds.extend(moved.kinds);
        set.unjoined.extend(moved.unjoined);
        set.pins.extend(moved.pins);
    }

    /// The components that are left, each by its root.
    pub(super) fn into_sets(self) -> impl Iterator<Item = (usize, Component)> {
        self.sets.into_iter()
    }

    fn of_mut(&mut self, record: usize) -> &mut Component {
        let root = self.root(record);
        self.sets.entry(root).or_default()
    }
}
