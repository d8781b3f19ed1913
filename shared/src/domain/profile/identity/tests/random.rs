//! Records drawn from a seed, of so few values that they meet and contradict each other all the time.

use std::collections::BTreeSet;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use uuid::Uuid;

use crate::domain::{
    ConnectionId, ids,
    profile::{
        IdentityKind, IdentityRecord, IdentityRules, IdentityValue, RecordKey, SharedValues, Split,
    },
};

/// The seeds that a law runs: as many as `PROFILE_SEEDS` says, or from it on as `FROM..TO`.
pub(super) fn seeds(default: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("PROFILE_SEEDS") else {
        return 0..default;
    };
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

/// Everything that identity is a function of.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) records: Vec<IdentityRecord>,
    pub(super) rules: IdentityRules,
    pub(super) splits: Vec<Split>,
    pub(super) shared: SharedValues,
}

/// The case of a seed. Small seeds are small cases, so that the first failure is easy to read.
pub(super) fn case(seed: u64) -> (Case, StdRng) {
    let mut rng = StdRng::seed_from_u64(seed);
    let names = 2 + (seed / 200).min(8);
    let records = (0..rng.random_range(1..=names + 2))
        .map(|number| record(&mut rng, number))
        .collect();
    let rules = IdentityRules::blocking(rng.random_bool(0.2).then(|| value(&mut rng)))
        .with_max_holders(*[2, 3, 4, 25, 25].choose(&mut rng).unwrap());
    let splits = (0..*[0, 0, 1, 1, 2, 3].choose(&mut rng).unwrap())
        .map(|_| split(&mut rng, names))
        .collect();
    let shared = rng.random_bool(0.1).then(|| value(&mut rng));
    let shared = shared
        .into_iter()
        .map(|value| (value.kind(), value.text().to_owned()))
        .collect();
    let case = Case {
        records,
        rules,
        splits,
        shared,
    };
    (case, rng)
}

/// A record under one of the names that the splits and merges of a case use.
pub(super) fn record(rng: &mut StdRng, number: u64) -> IdentityRecord {
    let key = key(number);
    let mut values: Vec<IdentityValue> = Vec::new();
    for (kind, share) in [
        (IdentityKind::ExternalId, 0.35),
        (IdentityKind::Email, 0.7),
        (IdentityKind::Email, 0.2),
        (IdentityKind::Phone, 0.5),
        (IdentityKind::Phone, 0.15),
        (IdentityKind::Domain, 0.15),
    ] {
        if rng.random_bool(share) {
            values.push(value_of(rng, kind));
        }
    }
    IdentityRecord {
        id: ids::contact_id(key.connection, &key.source_id),
        // Some are equally old.
        source_created_at: super::at(rng.random_range(0..6)),
        merged_into: rng
            .random_bool(0.25)
            .then(|| rng.random_range(0..4_u64).to_string()),
        values,
        key,
    }
}

/// Two connections, whose source ids are equal.
pub(super) fn key(number: u64) -> RecordKey {
    RecordKey {
        connection: ConnectionId(Uuid::from_u128(u128::from(number % 2))),
        source_id: (number / 2).to_string(),
    }
}

fn value(rng: &mut StdRng) -> IdentityValue {
    let kind = *[
        IdentityKind::ExternalId,
        IdentityKind::Email,
        IdentityKind::Phone,
    ]
    .choose(rng)
    .unwrap();
    value_of(rng, kind)
}

fn value_of(rng: &mut StdRng, kind: IdentityKind) -> IdentityValue {
    let number = rng.random_range(0..4);
    match kind {
        IdentityKind::ExternalId | IdentityKind::Merge => {
            // The first one stands for nothing.
            IdentityValue::external_id(&number.to_string())
        }
        IdentityKind::Email => IdentityValue::email(&format!("e{number}@x.example")),
        IdentityKind::Phone => IdentityValue::phone(&format!("+49 30 12345{number}")),
        IdentityKind::Domain => IdentityValue::domain(&format!("d{number}.example")),
    }
}

fn split(rng: &mut StdRng, names: u64) -> Split {
    let side = |rng: &mut StdRng| -> BTreeSet<RecordKey> {
        (0..rng.random_range(1..=2))
            .map(|_| key(rng.random_range(0..=names)))
            .collect()
    };
    Split {
        left: side(rng),
        right: side(rng),
    }
}
