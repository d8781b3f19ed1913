//! What holds for any records, drawn from seeds.
//!
//! `make laws` runs more of them. `PROFILE_SEEDS=41..42` runs one again.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, rngs::StdRng, seq::SliceRandom};

use super::{
    oracle,
    random::{Case, case, key, record, seeds},
};
use crate::domain::profile::{
    Identities, IdentityKind, IdentityRecord, IdentityValue, Link, LinkStatus, Profile, RecordKey,
    SharedValues, resolve,
};

/// A few seconds without optimisation.
const SEEDS: u64 = 1_000;

fn each_case(law: impl Fn(&Case, &mut StdRng)) {
    for seed in seeds(SEEDS) {
        let (case, mut rng) = case(seed);
        let checked = std::panic::AssertUnwindSafe(|| law(&case, &mut rng));
        if let Err(panic) = std::panic::catch_unwind(checked) {
            eprintln!("PROFILE_SEEDS={seed}..{}: {case:?}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

impl Case {
    fn resolve(&self) -> Answer {
        self.resolve_some(&self.records, &self.shared)
    }

    fn resolve_some(&self, records: &[IdentityRecord], shared: &SharedValues) -> Answer {
        Answer::from(resolve(records, &self.rules, &self.splits, shared))
    }

    /// The identities that a record holds, those that the tenant blocks left out.
    fn identities<'a>(
        &'a self,
        record: &'a IdentityRecord,
    ) -> impl Iterator<Item = &'a IdentityValue> {
        let is_identity =
            |value: &&IdentityValue| value.blocked().is_none() && !self.rules.blocks(value);
        record.values.iter().filter(is_identity)
    }
}

/// Profiles and links as sets.
#[derive(Clone, Debug, Default, PartialEq)]
struct Answer {
    profiles: BTreeMap<RecordKey, Profile>,
    links: BTreeSet<Link>,
}

impl From<Identities> for Answer {
    fn from(found: Identities) -> Self {
        let count = (found.profiles.len(), found.links.len());
        let answer = Self {
            profiles: found
                .profiles
                .into_iter()
                .map(|profile| (profile.members[0].clone(), profile))
                .collect(),
            links: found.links.into_iter().collect(),
        };
        assert_eq!(
            (answer.profiles.len(), answer.links.len()),
            count,
            "nothing is listed twice"
        );
        answer
    }
}

/// What a store would keep: records, and the answer for them, of which a change renews only what it touches.
struct Kept<'a> {
    case: &'a Case,
    records: BTreeMap<RecordKey, IdentityRecord>,
    answer: Answer,
}

impl<'a> Kept<'a> {
    fn of(case: &'a Case) -> Self {
        let records = case.records.iter();
        Self {
            case,
            records: records
                .map(|record| (record.key.clone(), record.clone()))
                .collect(),
            answer: case.resolve(),
        }
    }

    /// Stores, replaces or removes one record, and resolves the closures that this touches.
    fn change(&mut self, key: &RecordKey, new: Option<&IdentityRecord>) {
        let mut touched = BTreeSet::new();
        let old = self.records.get(key).cloned();
        let shared_before = self.shared();
        self.note_neighbours(old.as_ref(), &shared_before, &mut touched);
        match new {
            Some(new) => self.records.insert(key.clone(), new.clone()),
            None => self.records.remove(key),
        };
        let shared = self.shared();
        self.note_neighbours(new, &shared, &mut touched);
        // A value that links its holders only since this change, or no longer does.
        for (kind, text) in shared_before.symmetric_difference(&shared) {
            touched.extend(self.holders(*kind, text));
        }
        touched.retain(|key| self.records.contains_key(key));
        let closure = self.closure(touched, &shared);
        let is_of = |record: &RecordKey| closure.contains(record) || record == key;
        self.answer.profiles.retain(|_, profile| {
            let touches = profile.members.iter().chain(&profile.absorbed).any(is_of);
            !touches
        });
        self.answer.links.retain(|link| !is_of(&link.record));
        let records: Vec<IdentityRecord> = closure
            .iter()
            .map(|key| self.records[key].clone())
            .collect();
        let renewed = self.case.resolve_some(&records, &shared);
        self.answer.profiles.extend(renewed.profiles);
        self.answer.links.extend(renewed.links);
    }

    /// The records that a record is tied to by its merge, by merges into it, and by what it holds and is not shared.
    fn note_neighbours(
        &self,
        record: Option<&IdentityRecord>,
        shared: &SharedValues,
        into: &mut BTreeSet<RecordKey>,
    ) {
        let Some(record) = record else { return };
        into.insert(record.key.clone());
        into.extend(self.merge_neighbours(record));
        for value in self.case.identities(record) {
            if !shared.contains(&(value.kind(), value.text().to_owned())) {
                into.extend(self.holders(value.kind(), value.text()));
            }
        }
    }

    fn merge_neighbours(&self, record: &IdentityRecord) -> Vec<RecordKey> {
        let into = |from: &IdentityRecord| {
            let source_id = from.merged_into.clone()?;
            Some(RecordKey {
                connection: from.key.connection,
                source_id,
            })
        };
        let absorbed = self
            .records
            .values()
            .filter(|other| into(other).as_ref() == Some(&record.key));
        absorbed
            .map(|other| other.key.clone())
            .chain(into(record))
            .collect()
    }

    fn holders(&self, kind: IdentityKind, text: &str) -> Vec<RecordKey> {
        let holds = |record: &&IdentityRecord| {
            let mut values = self.case.identities(record);
            values.any(|value| value.kind() == kind && value.text() == text)
        };
        let holders = self.records.values().filter(holds);
        holders.map(|record| record.key.clone()).collect()
    }

    /// Values that more records hold than may. A record that was merged away holds none, as long as its survivor is known.
    fn shared(&self) -> SharedValues {
        let all: Vec<IdentityRecord> = self.records.values().cloned().collect();
        let found = resolve(&all, &self.case.rules, &[], &self.case.shared);
        let shared = found
            .links
            .into_iter()
            .filter(|link| link.status == LinkStatus::Shared);
        shared.map(|link| (link.kind, link.value)).collect()
    }

    /// All records that are reached from these.
    fn closure(&self, from: BTreeSet<RecordKey>, shared: &SharedValues) -> BTreeSet<RecordKey> {
        let (mut reached, mut open) = (BTreeSet::new(), Vec::from_iter(from));
        while let Some(key) = open.pop() {
            let Some(record) = self.records.get(&key) else {
                continue;
            };
            if !reached.insert(key) {
                continue;
            }
            open.extend(self.merge_neighbours(record));
            for value in self.case.identities(record) {
                if !shared.contains(&(value.kind(), value.text().to_owned())) {
                    open.extend(self.holders(value.kind(), value.text()));
                }
            }
        }
        reached
    }
}

#[test]
fn another_algorithm_finds_the_same() {
    each_case(|case, _| {
        let found = Identities {
            steps: 0,
            ..resolve(&case.records, &case.rules, &case.splits, &case.shared)
        };
        assert_eq!(found, oracle::expected(case));
    });
}

#[test]
fn the_order_of_arrival_changes_nothing() {
    each_case(|case, rng| {
        let found = case.resolve();
        let mut shuffled = case.clone();
        for _ in 0..3 {
            shuffled.records.shuffle(rng);
            for record in &mut shuffled.records {
                record.values.shuffle(rng);
            }
            shuffled.splits.shuffle(rng);
            assert_eq!(shuffled.resolve(), found);
        }
    });
}

/// Each record is in one profile, whose id is that of its oldest member, and a link that holds is within a profile.
#[test]
fn profiles_part_the_records_and_links_hold_within_them() {
    each_case(|case, _| {
        let found = case.resolve();
        let mut home: BTreeMap<&RecordKey, &RecordKey> = BTreeMap::new();
        for (first, profile) in &found.profiles {
            for record in profile.members.iter().chain(&profile.absorbed) {
                assert!(
                    home.insert(record, first).is_none(),
                    "{record:?} is in two profiles"
                );
            }
            let members = case
                .records
                .iter()
                .filter(|record| profile.members.contains(&record.key));
            let oldest = members.min_by_key(|record| (record.source_created_at, &record.key));
            assert_eq!(profile.id, oldest.unwrap().id);
        }
        assert_eq!(home.len(), case.records.len());
        for link in found
            .links
            .iter()
            .filter(|link| link.status == LinkStatus::Linked)
        {
            assert_eq!(
                home[&link.record],
                home[link.other.as_ref().unwrap()],
                "{link:?}"
            );
        }
    });
}

#[test]
fn what_is_said_twice_is_said_once() {
    each_case(|case, _| {
        let mut twice = case.clone();
        for record in &mut twice.records {
            record.values.extend(record.values.clone());
        }
        twice.splits.extend(case.splits.clone());
        assert_eq!(twice.resolve(), case.resolve());
        assert_eq!(case.resolve(), case.resolve());
    });
}

/// Locality: each closure by itself is resolved as it is among all records.
#[test]
fn closures_are_resolved_alone_as_among_all() {
    each_case(|case, _| {
        let kept = Kept::of(case);
        let shared = kept.shared();
        let (mut left, mut found) = (kept.records.clone(), Answer::default());
        while let Some((key, _)) = left.pop_first() {
            let closure = kept.closure(BTreeSet::from([key]), &shared);
            let records: Vec<IdentityRecord> = closure
                .iter()
                .map(|key| kept.records[key].clone())
                .collect();
            let answer = case.resolve_some(&records, &shared);
            found.profiles.extend(answer.profiles);
            found.links.extend(answer.links);
            left.retain(|key, _| !closure.contains(key));
        }
        assert_eq!(found, case.resolve());
    });
}

/// A change renews only what it touches, and what is taken back leaves nothing behind.
#[test]
fn changes_one_by_one_give_what_all_of_them_give_and_can_be_taken_back() {
    each_case(|case, rng| {
        let mut kept = Kept::of(case);
        let before = kept.answer.clone();
        let mut undo = Vec::new();
        for _ in 0..rng.random_range(1..=4) {
            let number = rng.random_range(0..12);
            let key = key(number);
            undo.push((key.clone(), kept.records.get(&key).cloned()));
            let new = rng.random_bool(0.7).then(|| record(rng, number));
            kept.change(&key, new.as_ref());
            let all: Vec<IdentityRecord> = kept.records.values().cloned().collect();
            assert_eq!(kept.answer, case.resolve_some(&all, &case.shared));
        }
        for (key, old) in undo.into_iter().rev() {
            kept.change(&key, old.as_ref());
        }
        assert_eq!(kept.answer, before);
    });
}

#[test]
fn a_split_holds_whatever_is_added() {
    each_case(|case, rng| {
        let mut grown = case.clone();
        for number in 12..12 + rng.random_range(0..6) {
            grown.records.push(record(rng, number));
        }
        let found = grown.resolve();
        let survivor = |gone: &RecordKey| {
            let at = grown.records.iter().position(|record| record.key == *gone);
            grown.records[oracle::home(&grown.records, at.unwrap())]
                .key
                .clone()
        };
        for profile in found.profiles.values() {
            for split in &grown.splits {
                // Of a record that its source has merged away, the split holds for the survivor.
                let survivors = |side: &BTreeSet<RecordKey>| -> BTreeSet<RecordKey> {
                    let mut all = profile.members.iter().filter(|key| side.contains(key));
                    let mut survivors: BTreeSet<RecordKey> = all.by_ref().cloned().collect();
                    for gone in profile.absorbed.iter().filter(|key| side.contains(key)) {
                        survivors.insert(survivor(gone));
                    }
                    survivors
                };
                let (left, right) = (survivors(&split.left), survivors(&split.right));
                let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
                let together: Vec<_> = pairs.filter(|(l, r)| l != r).collect();
                assert!(
                    together.is_empty(),
                    "{together:?} are together in {profile:?}"
                );
            }
        }
    });
}
