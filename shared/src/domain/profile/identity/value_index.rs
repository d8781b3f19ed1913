//! Which records hold which value.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::domain::profile::{
    block_reason::BlockReason,
    identity_link::{Link, LinkStatus},
    identity_record::IdentityRecord,
    identity_rules::{IdentityRules, SharedValues},
    identity_value::{IdentityKind, IdentityValue},
};

/// A value that links its holders, or would but for a contradiction.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) kind: IdentityKind,
    pub(super) text: &'a str,
    /// By index, oldest first.
    pub(super) holders: Vec<usize>,
}

/// The values that are identities.
#[derive(Debug)]
pub(super) struct ValueIndex<'a> {
    /// The strongest kind first, then by text.
    pub(super) values: Vec<Value<'a>>,
    /// For each record the kinds of which it holds a value.
    pub(super) kinds: Vec<BTreeSet<IdentityKind>>,
    /// Where the values of each kind are, the strongest kind first.
    ranges: Vec<(IdentityKind, Range<usize>)>,
}

impl<'a> ValueIndex<'a> {
    /// The index, and the links of values that are no identities. A record that was merged away holds nothing.
    pub(super) fn new(
        records: &[&'a IdentityRecord],
        survivors: &[usize],
        rules: &IdentityRules,
        shared: &SharedValues,
    ) -> (Self, Vec<Link>) {
        let mut unlinkable = Vec::new();
        let mut holders: BTreeMap<(IdentityKind, &str), Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            if survivors[index] != index {
                continue;
            }
            let values: BTreeSet<&IdentityValue> = record.values.iter().collect();
            for value in values {
                match blocked(value, rules) {
                    Some(reason) => {
                        let status = LinkStatus::Blocked(reason);
                        unlinkable.push(alone(record, value.kind(), value.text(), status));
                    }
                    None => holders
                        .entry((value.kind(), value.text()))
                        .or_default()
                        .push(index),
                }
            }
        }
        let mut index = Self {
            values: Vec::new(),
            kinds: vec![BTreeSet::new(); records.len()],
            ranges: Vec::new(),
        };
        for ((kind, text), holders) in holders {
            let is_shared = holders.len() > rules.max_holders()
                || !shared.is_empty() && shared.contains(&(kind, text.to_owned()));
            if is_shared {
                let shared =
                    |holder: &usize| alone(records[*holder], kind, text, LinkStatus::Shared);
                unlinkable.extend(holders.iter().map(shared));
            } else {
                index.push(kind, text, holders);
            }
        }
        (index, unlinkable)
    }

    /// Where the values are of each kind that is stronger than this one.
    pub(super) fn stronger_than(
        &self,
        kind: IdentityKind,
    ) -> impl Iterator<Item = &(IdentityKind, Range<usize>)> {
        self.ranges.iter().filter(move |(other, _)| *other < kind)
    }

    fn push(&mut self, kind: IdentityKind, text: &'a str, holders: Vec<usize>) {
        let at = self.values.len();
        for holder in &holders {
            self.kinds[*holder].insert(kind);
        }
        self.values.push(Value {
            kind,
            text,
            holders,
        });
        match self.ranges.last_mut().filter(|(last, _)| *last == kind) {
            Some((_, range)) => range.end = at + 1,
            None => self.ranges.push((kind, at..at + 1)),
        }
    }
}

fn blocked(value: &IdentityValue, rules: &IdentityRules) -> Option<BlockReason> {
    let by_tenant = || rules.blocks(value).then_some(BlockReason::Tenant);
    value.blocked().or_else(by_tenant)
}

/// The link of a value that says nothing about others.
fn alone(record: &IdentityRecord, kind: IdentityKind, text: &str, status: LinkStatus) -> Link {
    Link {
        kind,
        value: text.to_owned(),
        record: record.key.clone(),
        other: None,
        status,
        candidates: Vec::new(),
    }
}
