//! Which records are one person or one company: a pure function of the set of records.
//!
//! Values join records in the order of their kind's strength, and of their text within a kind, as in Kruskal's
//! algorithm. A value joins all its holders at once or none of them, so the order of arrival has no part in it. Names
//! never join anybody.
//!
//! The answer for all records of a tenant is the answer for each closure of them by itself: for all records that are
//! reached from one over merges and over values that are neither blocked nor shared. A change of one record therefore
//! needs only the closures of what it held before and holds now, and of a value's holders if the change has made the
//! value shared or has ended that.

mod components;
mod joining;
mod survivors;
mod value_index;

use std::collections::BTreeMap;

use uuid::Uuid;

use self::{
    components::{Components, Pin},
    joining::Joining,
    survivors::survivors,
    value_index::ValueIndex,
};
use super::{
    identity_link::{Link, LinkStatus},
    identity_record::IdentityRecord,
    identity_rules::{IdentityRules, SharedValues, Split},
    identity_value::IdentityKind,
    source::RecordKey,
};

/// The profiles of a set of records, and every link between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// By the age of their oldest member.
    pub profiles: Vec<Profile>,
    /// Sorted.
    pub links: Vec<Link>,
    /// What it took, in entries looked at or moved. It grows with the records and the values that they hold.
    pub steps: u64,
}

/// The records of one person or one company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The own id of the oldest member.
    pub id: Uuid,
    /// Oldest first, by creation in the source. Never empty.
    pub members: Vec<RecordKey>,
    /// Records that their source has merged into members, oldest first. They give the profile no value and no id.
    pub absorbed: Vec<RecordKey>,
}

/// Finds the profiles of these records, of which no two have the same key.
#[must_use]
pub fn resolve(
    records: &[IdentityRecord],
    rules: &IdentityRules,
    splits: &[Split],
    shared: &SharedValues,
) -> Identities {
    let mut records: Vec<&IdentityRecord> = records.iter().collect();
    // From here on, a record is its index, and the older of two has the smaller one.
    records.sort_by(|a, b| (a.source_created_at, &a.key).cmp(&(b.source_created_at, &b.key)));
    let survivors = survivors(&records);
    let (index, unlinkable) = ValueIndex::new(&records, &survivors, rules, shared);
    let mut joining = Joining {
        components: components(&records, &survivors, &index, splits),
        records: &records,
        index: &index,
        links: unlinkable,
    };
    joining.links.extend(merges(&records, &survivors));
    for value in 0..index.values.len() {
        joining.join_holders(value);
    }
    let Joining {
        components,
        mut links,
        ..
    } = joining;
    links.sort_unstable();
    let steps = components.steps;
    Identities {
        profiles: profiles(&records, &survivors, components),
        links,
        steps,
    }
}

/// The links of the sources' own merges, each from a record to the one that it names.
fn merges(records: &[&IdentityRecord], survivors: &[usize]) -> Vec<Link> {
    let merged = records.iter().enumerate();
    let merged = merged.filter(|(record, _)| survivors[*record] != *record);
    let merge = |(_, record): (usize, &&IdentityRecord)| {
        let source_id = record.merged_into.clone()?;
        Some(Link {
            kind: IdentityKind::Merge,
            value: source_id.clone(),
            record: record.key.clone(),
            other: Some(RecordKey::new(record.key.connection, source_id)),
            status: LinkStatus::Linked,
            candidates: Vec::new(),
        })
    };
    merged.filter_map(merge).collect()
}

/// Each record alone that was not merged away, with the kinds that it holds and the sides that it is pinned to.
fn components(
    records: &[&IdentityRecord],
    survivors: &[usize],
    index: &ValueIndex<'_>,
    splits: &[Split],
) -> Components {
    let is_alive = |record: &usize| survivors[*record] == *record;
    let mut components = Components::of(&index.kinds, (0..records.len()).filter(is_alive));
    if splits.is_empty() {
        return components;
    }
    let by_key: BTreeMap<&RecordKey, usize> = records
        .iter()
        .enumerate()
        .map(|(record, of)| (&of.key, record))
        .collect();
    for (number, split) in splits.iter().enumerate() {
        for (side, is_left) in [(&split.left, true), (&split.right, false)] {
            for record in side.iter().filter_map(|key| by_key.get(key)) {
                let pin = Pin {
                    split: number,
                    is_left,
                };
                // What a person said of a record holds for the record that it lives on in.
                components.pin(survivors[*record], pin);
            }
        }
    }
    components
}

fn profiles(
    records: &[&IdentityRecord],
    survivors: &[usize],
    mut components: Components,
) -> Vec<Profile> {
    let mut absorbed: Vec<Vec<usize>> = vec![Vec::new(); records.len()];
    for (record, survivor) in survivors.iter().enumerate() {
        if *survivor != record {
            absorbed[components.root(*survivor)].push(record);
        }
    }
    let mut sets: Vec<(Vec<usize>, Vec<usize>)> = components
        .into_sets()
        .map(|(root, set)| {
            let mut members = set.members;
            members.sort_unstable();
            (members, std::mem::take(&mut absorbed[root]))
        })
        .collect();
    sets.sort_unstable();
    let keys = |of: &[usize]| {
        of.iter()
            .map(|record| records[*record].key.clone())
            .collect()
    };
    sets.iter()
        .map(|(members, absorbed)| Profile {
            id: records[members[0]].id,
            members: keys(members),
            absorbed: keys(absorbed),
        })
        .collect()
}

#[cfg(test)]
mod tests;
