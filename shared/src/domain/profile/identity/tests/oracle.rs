//! The same answer by other means: labels that are rewritten, sets that are gathered anew for each question, and nothing
//! remembered between two values. Slow, and close to the words of the rule.

use std::collections::BTreeSet;

use super::random::Case;
use crate::domain::profile::{
    BlockReason, Identities, IdentityKind, IdentityRecord, Link, LinkStatus, Profile, RecordKey,
    Refusal,
};

const KINDS: [IdentityKind; 4] = [
    IdentityKind::ExternalId,
    IdentityKind::Email,
    IdentityKind::Phone,
    IdentityKind::Domain,
];

/// Profiles and links as `resolve` should find them. The steps are not known.
pub(super) fn expected(case: &Case) -> Identities {
    let mut records = case.records.clone();
    records.sort_by_key(|record| (record.source_created_at, record.key.clone()));
    let homes: Vec<usize> = (0..records.len()).map(|n| home(&records, n)).collect();
    let mut oracle = Oracle {
        labels: homes.clone(),
        alive: (0..records.len()).filter(|n| homes[*n] == *n).collect(),
        records,
        case,
        links: Vec::new(),
    };
    oracle.note_merges(&homes);
    oracle.note_unlinkable();
    for kind in KINDS {
        for text in oracle.texts(kind) {
            oracle.apply(kind, &text);
        }
    }
    oracle.links.sort();
    Identities {
        profiles: oracle.profiles(&homes),
        links: oracle.links,
        steps: 0,
    }
}

/// The record that a record's merges lead to.
pub(super) fn home(records: &[IdentityRecord], start: usize) -> usize {
    let next = |n: usize| {
        let survivor = records[n].merged_into.as_ref()?;
        records.iter().position(|other| {
            other.key.connection == records[n].key.connection && other.key.source_id == *survivor
        })
    };
    let mut walked = vec![start];
    while let Some(at) = next(*walked.last().unwrap()) {
        if walked.contains(&at) {
            // The walk has come to a circle, on which the start may be as well.
            let mut circle = vec![at];
            while let Some(more) = next(*circle.last().unwrap()).filter(|more| *more != at) {
                circle.push(more);
            }
            return if circle.contains(&start) { start } else { at };
        }
        walked.push(at);
    }
    *walked.last().unwrap()
}

struct Oracle<'a> {
    records: Vec<IdentityRecord>,
    /// Records with one label are one profile.
    labels: Vec<usize>,
    alive: Vec<usize>,
    case: &'a Case,
    links: Vec<Link>,
}

impl Oracle<'_> {
    fn key(&self, record: usize) -> RecordKey {
        self.records[record].key.clone()
    }

    /// Every text of a kind that some living record holds and that is no blocked one.
    fn texts(&self, kind: IdentityKind) -> BTreeSet<String> {
        let held = self
            .alive
            .iter()
            .flat_map(|record| self.held(*record, kind));
        held.collect()
    }

    /// The identities of a kind that a record holds itself, shared ones included.
    fn held(&self, record: usize, kind: IdentityKind) -> BTreeSet<String> {
        self.records[record]
            .values
            .iter()
            .filter(|value| value.kind() == kind && self.blocked(value).is_none())
            .map(|value| value.text().to_owned())
            .collect()
    }

    fn blocked(&self, value: &crate::domain::profile::IdentityValue) -> Option<BlockReason> {
        match value.blocked() {
            None if self.case.rules.blocks(value) => Some(BlockReason::Tenant),
            blocked => blocked,
        }
    }

    fn holders(&self, kind: IdentityKind, text: &str) -> Vec<usize> {
        let holds = |record: &usize| self.held(*record, kind).contains(text);
        self.alive.iter().copied().filter(holds).collect()
    }

    fn is_shared(&self, kind: IdentityKind, text: &str) -> bool {
        self.holders(kind, text).len() > self.case.rules.max_holders()
            || self.case.shared.contains(&(kind, text.to_owned()))
    }

    /// What the living records of a label hold of a kind and do not share.
    fn held_by_all(&self, label: usize, kind: IdentityKind) -> BTreeSet<String> {
        let members = self
            .alive
            .iter()
            .filter(|record| self.labels[**record] == label);
        members
            .flat_map(|record| self.held(*record, kind))
            .filter(|text| !self.is_shared(kind, text))
            .collect()
    }

    /// Which splits have a record of the label on their left, and which on their right.
    fn sides(&self, label: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
        for (number, split) in self.case.splits.iter().enumerate() {
            for (record, of) in self.labels.iter().enumerate() {
                if *of == label && split.left.contains(&self.records[record].key) {
                    left.insert(number);
                }
                if *of == label && split.right.contains(&self.records[record].key) {
                    right.insert(number);
                }
            }
        }
        (left, right)
    }

    fn splits_between(&self, a: usize, b: usize) -> BTreeSet<usize> {
        let ((a_left, a_right), (b_left, b_right)) = (self.sides(a), self.sides(b));
        let (one, other) = (a_left.intersection(&b_right), a_right.intersection(&b_left));
        one.chain(other).copied().collect()
    }

    fn apply(&mut self, kind: IdentityKind, text: &str) {
        let holders = self.holders(kind, text);
        if self.is_shared(kind, text) || holders.len() < 2 {
            return;
        }
        let mut labels: Vec<usize> = Vec::new();
        for holder in &holders {
            if !labels.contains(&self.labels[*holder]) {
                labels.push(self.labels[*holder]);
            }
        }
        let mut splits = BTreeSet::new();
        for a in &labels {
            for b in labels.iter().filter(|b| *b != a) {
                splits.extend(self.splits_between(*a, *b));
            }
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for label in &labels {
            let belongs = |group: &&mut Vec<usize>| self.is_one_side(*label, group[0], &splits);
            match groups.iter_mut().find(belongs) {
                Some(group) => group.push(*label),
                None => groups.push(vec![*label]),
            }
        }
        let oldest = |of: &Self, group: &[usize]| -> usize {
            let mut holders = holders.iter().copied();
            holders
                .find(|holder| group.contains(&of.labels[*holder]))
                .unwrap()
        };
        let firsts: Vec<usize> = groups.iter().map(|group| oldest(self, group)).collect();
        let apart =
            |a: usize, b: usize| !self.splits_between(groups[a][0], groups[b][0]).is_empty();
        let parted: Vec<usize> = (0..groups.len())
            .filter(|a| (0..groups.len()).any(|b| apart(*a, b)))
            .collect();
        let mut noted: Vec<(usize, usize, LinkStatus, Vec<usize>)> = Vec::new();
        if groups.len() > 1 {
            let candidates: Vec<usize> = parted.iter().map(|n| firsts[*n]).collect();
            for n in (0..groups.len()).filter(|n| *n != parted[0]) {
                let status = if apart(parted[0], n) {
                    LinkStatus::Refused(Refusal::Split)
                } else {
                    LinkStatus::Ambiguous
                };
                noted.push((firsts[parted[0]], firsts[n], status, candidates.clone()));
            }
        }
        let mut joined = Vec::new();
        for (group, first) in groups.iter().zip(&firsts) {
            let (status, candidates) = self.verdict(kind, &holders, group);
            for holder in &holders {
                if holder != first && group.contains(&self.labels[*holder]) {
                    noted.push((*first, *holder, status, candidates.clone()));
                }
            }
            if status == LinkStatus::Linked {
                joined.push(group.clone());
            }
        }
        for (record, other, status, candidates) in noted {
            let link = Link {
                kind,
                value: text.to_owned(),
                record: self.key(record),
                other: Some(self.key(other)),
                status,
                candidates: candidates
                    .into_iter()
                    .map(|record| self.key(record))
                    .collect(),
            };
            self.links.push(link);
        }
        for group in joined {
            for label in &mut self.labels {
                if group.contains(label) {
                    *label = group[0];
                }
            }
        }
    }

    /// Whether two labels are on one and the same side of each of these splits.
    fn is_one_side(&self, a: usize, b: usize, splits: &BTreeSet<usize>) -> bool {
        let ((a_left, a_right), (b_left, b_right)) = (self.sides(a), self.sides(b));
        splits.iter().all(|split| {
            let side = |left: &BTreeSet<usize>, right: &BTreeSet<usize>| {
                (left.contains(split), right.contains(split))
            };
            let (a, b) = (side(&a_left, &a_right), side(&b_left, &b_right));
            a == b && a.0 != a.1
        })
    }

    fn verdict(
        &self,
        kind: IdentityKind,
        holders: &[usize],
        group: &[usize],
    ) -> (LinkStatus, Vec<usize>) {
        let (mut contradicting, mut is_direct) = (BTreeSet::new(), false);
        for stronger in KINDS.into_iter().filter(|stronger| *stronger < kind) {
            for a in group {
                for b in group.iter().filter(|b| *b != a) {
                    let of = |label: &usize| self.held_by_all(*label, stronger);
                    let (of_a, of_b) = (of(a), of(b));
                    if of_a.is_empty() || of_b.is_empty() || !of_a.is_disjoint(&of_b) {
                        continue;
                    }
                    let those = |label: &usize| -> Vec<usize> {
                        let is_of = |holder: &&usize| self.labels[**holder] == *label;
                        holders.iter().filter(is_of).copied().collect()
                    };
                    let carries = |label: &usize| {
                        those(label).into_iter().any(|holder| {
                            let mut held = self.held(holder, stronger).into_iter();
                            held.any(|text| !self.is_shared(stronger, &text))
                        })
                    };
                    contradicting.insert(those(a)[0]);
                    contradicting.insert(those(b)[0]);
                    is_direct |= carries(a) && carries(b);
                }
            }
        }
        let status = match (contradicting.is_empty(), is_direct) {
            (true, _) => LinkStatus::Linked,
            (false, true) => LinkStatus::Ambiguous,
            (false, false) => LinkStatus::Refused(Refusal::Conflict),
        };
        (status, contradicting.into_iter().collect())
    }

    fn note_merges(&mut self, homes: &[usize]) {
        for (n, record) in self.records.iter().enumerate() {
            if homes[n] == n {
                continue;
            }
            let value = record.merged_into.clone().unwrap();
            self.links.push(Link {
                kind: IdentityKind::Merge,
                record: record.key.clone(),
                other: Some(RecordKey {
                    source_id: value.clone(),
                    ..record.key
                }),
                value,
                status: LinkStatus::Linked,
                candidates: Vec::new(),
            });
        }
    }

    fn note_unlinkable(&mut self) {
        let mut links = BTreeSet::new();
        for record in &self.alive {
            for value in &self.records[*record].values {
                let status = match self.blocked(value) {
                    Some(reason) => LinkStatus::Blocked(reason),
                    None if self.is_shared(value.kind(), value.text()) => LinkStatus::Shared,
                    None => continue,
                };
                links.insert(Link {
                    kind: value.kind(),
                    value: value.text().to_owned(),
                    record: self.key(*record),
                    other: None,
                    status,
                    candidates: Vec::new(),
                });
            }
        }
        self.links.extend(links);
    }

    fn profiles(&self, homes: &[usize]) -> Vec<Profile> {
        let mut profiles = Vec::new();
        let mut seen = BTreeSet::new();
        for oldest in &self.alive {
            let label = self.labels[*oldest];
            if !seen.insert(label) {
                continue;
            }
            let of = |is_member: bool| -> Vec<RecordKey> {
                (0..self.records.len())
                    .filter(|n| self.labels[*n] == label && (homes[*n] == *n) == is_member)
                    .map(|n| self.key(n))
                    .collect()
            };
            profiles.push(Profile {
                id: self.records[*oldest].id,
                members: of(true),
                absorbed: of(false),
            });
        }
        profiles
    }
}
