//! Joins the holders of values, one value after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    components::{Components, Pin},
    value_index::ValueIndex,
};
use crate::domain::profile::{
    identity_link::{Link, LinkStatus, Refusal},
    identity_record::IdentityRecord,
};

/// The state between two values.
pub(super) struct Joining<'a> {
    pub(super) components: Components,
    pub(super) records: &'a [&'a IdentityRecord],
    pub(super) index: &'a ValueIndex<'a>,
    pub(super) links: Vec<Link>,
}

/// A component that meets others at a value.
struct Meeting {
    root: usize,
    /// Those of its records that hold the value themselves, oldest first.
    holders: Vec<usize>,
}

/// Components that meet at a value and that no split parts, oldest holder first. A component of which the splits do not
/// say on which side it belongs is a group of its own.
struct Group {
    meetings: Vec<Meeting>,
}

impl Group {
    fn oldest(&self) -> usize {
        self.meetings[0].holders[0]
    }
}

impl Joining<'_> {
    /// Joins the holders of a value, or notes why it joins nobody.
    pub(super) fn join_holders(&mut self, value: usize) {
        let groups = self.groups(&self.index.values[value].holders);
        let is_whole = groups.len() == 1;
        for group in &groups {
            let status = self.join_group(value, group);
            if status != LinkStatus::Linked || !is_whole {
                for meeting in &group.meetings {
                    self.components.leave_unjoined(meeting.root, value);
                }
            }
        }
        if !is_whole {
            self.note_splits(value, &groups);
        }
    }

    /// The components of these holders, in groups. Without a split there is one group.
    fn groups(&mut self, holders: &[usize]) -> Vec<Group> {
        let meetings = self.meetings(holders);
        let splits = self.splits_between(&meetings);
        // Components on the same sides of all these splits are one group.
        let mut groups: Vec<(Vec<Pin>, Group)> = Vec::new();
        for meeting in meetings {
            let pins = self.components.pins(meeting.root);
            let sides: Vec<Pin> = pins.filter(|pin| splits.contains(&pin.split)).collect();
            let has_one_side_of_each = sides.len() == splits.len()
                && sides.windows(2).all(|pair| pair[0].split != pair[1].split);
            let group = groups
                .iter_mut()
                .find(|(of, _)| has_one_side_of_each && *of == sides);
            match group {
                Some((_, group)) => group.meetings.push(meeting),
                None => groups.push((
                    sides,
                    Group {
                        meetings: vec![meeting],
                    },
                )),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    fn meetings(&mut self, holders: &[usize]) -> Vec<Meeting> {
        let mut meetings: Vec<Meeting> = Vec::new();
        let mut by_root = BTreeMap::new();
        for holder in holders {
            let root = self.components.root(*holder);
            let number = *by_root.entry(root).or_insert(meetings.len());
            if number == meetings.len() {
                meetings.push(Meeting {
                    root,
                    holders: Vec::new(),
                });
            }
            meetings[number].holders.push(*holder);
        }
        self.components.steps += holders.len() as u64;
        meetings
    }

    /// The splits that part two of these components.
    fn splits_between(&mut self, meetings: &[Meeting]) -> BTreeSet<usize> {
        let is_pinned = |meeting: &&Meeting| self.components.pins(meeting.root).next().is_some();
        let pinned: Vec<&Meeting> = meetings.iter().filter(is_pinned).collect();
        let mut splits = BTreeSet::new();
        for (n, a) in pinned.iter().enumerate() {
            for b in &pinned[n + 1..] {
                self.components.steps += 1;
                splits.extend(self.components.splits_between(a.root, b.root));
            }
        }
        splits
    }

    /// Makes the components of a group one, unless they contradict each other. Notes the links between its holders.
    fn join_group(&mut self, value: usize, group: &Group) -> LinkStatus {
        let (status, candidates) = self.verdict(value, group);
        if status == LinkStatus::Linked {
            for meeting in &group.meetings[1..] {
                self.components.join(group.meetings[0].root, meeting.root);
            }
        }
        let holders = group.meetings.iter().flat_map(|meeting| &meeting.holders);
        for holder in holders.filter(|holder| **holder != group.oldest()) {
            self.note(value, group.oldest(), *holder, status, &candidates);
        }
        status
    }

    /// Whether the components of a group may be one, by the values of stronger kinds that they hold. If not, the oldest
    /// holder in each component that contradicts another one.
    fn verdict(&mut self, value: usize, group: &Group) -> (LinkStatus, Vec<usize>) {
        let (mut contradicting, mut is_direct) = (BTreeSet::new(), false);
        let index = self.index;
        for (kind, values) in index.stronger_than(index.values[value].kind) {
            // Most components hold nothing that is stronger, and contradict nobody.
            let holds = |meeting: &&Meeting| self.components.holds(meeting.root, *kind);
            let meetings: Vec<&Meeting> = group.meetings.iter().filter(holds).collect();
            for (n, a) in meetings.iter().enumerate() {
                for b in &meetings[n + 1..] {
                    if self.components.differ(a.root, b.root, values.clone()) {
                        contradicting.extend([a.holders[0], b.holders[0]]);
                        let carries = |meeting: &Meeting| {
                            let mut holders = meeting.holders.iter();
                            holders.any(|holder| index.kinds[*holder].contains(kind))
                        };
                        is_direct |= carries(a) && carries(b);
                    }
                }
            }
        }
        let status = if contradicting.is_empty() {
            LinkStatus::Linked
        } else if is_direct {
            LinkStatus::Ambiguous
        } else {
            LinkStatus::Refused(Refusal::Conflict)
        };
        (status, contradicting.into_iter().collect())
    }

    /// Notes the links between groups.
    fn note_splits(&mut self, value: usize, groups: &[Group]) {
        let roots: Vec<usize> = groups
            .iter()
            .map(|group| self.components.root(group.oldest()))
            .collect();
        let components = &self.components;
        let are_apart = |a: usize, b: usize| {
            let mut splits = components.splits_between(roots[a], roots[b]);
            splits.next().is_some()
        };
        let parted: Vec<usize> = (0..groups.len())
            .filter(|a| (0..groups.len()).any(|b| are_apart(*a, b)))
            .collect();
        let Some(centre) = parted.first().copied() else {
            return;
        };
        let candidates: Vec<usize> = parted.iter().map(|n| groups[*n].oldest()).collect();
        let others: Vec<(usize, LinkStatus)> = (0..groups.len())
            .filter(|n| *n != centre)
            .map(|n| {
                let status = if are_apart(centre, n) {
                    LinkStatus::Refused(Refusal::Split)
                } else {
                    LinkStatus::Ambiguous
                };
                (groups[n].oldest(), status)
            })
            .collect();
        for (other, status) in others {
            self.note(value, groups[centre].oldest(), other, status, &candidates);
        }
    }

    fn note(
        &mut self,
        value: usize,
        record: usize,
        other: usize,
        status: LinkStatus,
        candidates: &[usize],
    ) {
        let value = &self.index.values[value];
        let key = |record: usize| self.records[record].key.clone();
        self.links.push(Link {
            kind: value.kind,
            value: value.text.to_owned(),
            record: key(record),
            other: Some(key(other)),
            status,
            candidates: candidates.iter().copied().map(key).collect(),
        });
    }
}
