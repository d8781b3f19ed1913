//! The cases by name. `laws.rs` has what holds for any records.

mod laws;
mod oracle;
mod random;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::domain::{
    ConnectionId, ids,
    profile::{BlockReason, IdentityValue, Refusal, SplitError, split},
};

/// A record of one connection, which is as old as its age is small.
pub(super) fn record(name: &str, age: i64) -> IdentityRecord {
    let connection = ConnectionId(Uuid::from_u128(7));
    IdentityRecord {
        key: key(name),
        id: ids::contact_id(connection, name),
        source_created_at: at(age),
        merged_into: None,
        values: Vec::new(),
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn key(name: &str) -> RecordKey {
    RecordKey {
        connection: ConnectionId(Uuid::from_u128(7)),
        source_id: name.to_owned(),
    }
}

impl IdentityRecord {
    fn external_id(self, raw: &str) -> Self {
        self.with(IdentityValue::external_id(raw))
    }

    fn email(self, raw: &str) -> Self {
        self.with(IdentityValue::email(raw))
    }

    fn phone(self, raw: &str) -> Self {
        self.with(IdentityValue::phone(raw))
    }

    fn domain(self, raw: &str) -> Self {
        self.with(IdentityValue::domain(raw))
    }

    fn merged_into(mut self, survivor: &str) -> Self {
        self.merged_into = Some(survivor.to_owned());
        self
    }

    pub(super) fn with(mut self, value: IdentityValue) -> Self {
        self.values.push(value);
        self
    }
}

const PHONE: &str = "+49 30 123456";

fn found(records: &[IdentityRecord]) -> Identities {
    resolve(
        records,
        &IdentityRules::default(),
        &[],
        &SharedValues::new(),
    )
}

/// The profiles as their members' names, oldest first.
fn names(identities: &Identities) -> Vec<Vec<&str>> {
    identities
        .profiles
        .iter()
        .map(|profile| {
            let members = profile.members.iter();
            members.map(|member| member.source_id.as_str()).collect()
        })
        .collect()
}

/// The links of a kind as `record`, `other`, status and candidates.
fn links(identities: &Identities, kind: IdentityKind) -> Vec<(&str, &str, &str, Vec<&str>)> {
    identities
        .links
        .iter()
        .filter(|link| link.kind == kind)
        .map(|link| {
            (
                link.record.source_id.as_str(),
                link.other
                    .as_ref()
                    .map_or("", |other| other.source_id.as_str()),
                link.status.as_str(),
                link.candidates
                    .iter()
                    .map(|candidate| candidate.source_id.as_str())
                    .collect(),
            )
        })
        .collect()
}

fn orders(records: &[IdentityRecord]) -> Vec<Vec<IdentityRecord>> {
    if records.len() <= 1 {
        return vec![records.to_vec()];
    }
    let mut all = Vec::new();
    for (n, first) in records.iter().enumerate() {
        let mut others = records.to_vec();
        others.remove(n);
        for mut order in orders(&others) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

#[test]
fn i1_an_email_of_two_external_ids_links_nobody_in_any_order() {
    let records = [
        record("r1", 1).external_id("1").email("e@x.example"),
        record("r2", 2).external_id("2").email("e@x.example"),
        record("r3", 3).email("e@x.example"),
    ];
    let expected = found(&records);
    assert_eq!(names(&expected), [["r1"], ["r2"], ["r3"]]);
    assert_eq!(
        links(&expected, IdentityKind::Email),
        [
            ("r1", "r2", "ambiguous", vec!["r1", "r2"]),
            ("r1", "r3", "ambiguous", vec!["r1", "r2"]),
        ]
    );
    let orders = orders(&records);
    assert_eq!(orders.len(), 6);
    for order in orders {
        assert_eq!(found(&order), expected);
    }
}

#[test]
fn i2_a_record_joins_two_others_by_two_values_and_both_are_named() {
    let records = [
        record("a", 1).email("x@x.example"),
        record("b", 2).phone(PHONE),
        record("c", 3).email("x@x.example").phone("0049 30 123456"),
    ];
    let found = found(&records);
    assert_eq!(names(&found), [["a", "b", "c"]]);
    assert_eq!(found.profiles[0].id, records[0].id);
    assert_eq!(
        links(&found, IdentityKind::Email),
        [("a", "c", "linked", vec![])]
    );
    assert_eq!(
        links(&found, IdentityKind::Phone),
        [("b", "c", "linked", vec![])]
    );
}

#[test]
fn i3_the_stronger_kind_links_and_the_weaker_one_is_refused_in_any_order() {
    let records = [
        record("a", 1).external_id("1").email("x@x.example"),
        record("b", 2).external_id("2").phone(PHONE),
        record("c", 3).email("x@x.example").phone(PHONE),
    ];
    for order in orders(&records) {
        let found = found(&order);
        assert_eq!(names(&found), [vec!["a", "c"], vec!["b"]]);
        assert_eq!(
            links(&found, IdentityKind::Phone),
            [("b", "c", "refused", vec!["b", "c"])]
        );
        let refused = found
            .links
            .iter()
            .find(|link| link.kind == IdentityKind::Phone);
        assert_eq!(refused.unwrap().status.reason(), Some("conflict"));
    }
}

#[test]
fn i4_what_many_share_links_nobody_and_what_is_theirs_still_does() {
    for shared in [
        IdentityValue::email("info@acme.example"),
        IdentityValue::phone(PHONE),
    ] {
        let mut records: Vec<IdentityRecord> = (0..40)
            .map(|n| {
                record(&format!("r{n:02}"), n)
                    .with(shared.clone())
                    .email(&format!("person{}@acme.example", n / 2))
            })
            .collect();
        let crowd = found(&records);
        assert_eq!(crowd.profiles.len(), 20);
        let status = if shared.blocked().is_some() {
            "blocked"
        } else {
            "shared"
        };
        let of_shared: Vec<_> = crowd
            .links
            .iter()
            .filter(|link| link.value == shared.text())
            .map(|link| (link.other.clone(), link.status.as_str()))
            .collect();
        assert_eq!(of_shared, vec![(None, status); 40]);
        // A few may share a phone, but then their emails contradict each other.
        records.truncate(4);
        assert_eq!(found(&records).profiles.len(), 2);
    }
}

#[test]
fn i4_a_value_is_shared_above_the_bound_only() {
    let of = |count: usize| -> Vec<IdentityRecord> {
        (0..count)
            .map(|n| record(&format!("r{n}"), 1).phone(PHONE))
            .collect()
    };
    assert_eq!(found(&of(25)).profiles.len(), 1);
    assert_eq!(found(&of(26)).profiles.len(), 26);
    // Records that are not here count as well.
    let shared = SharedValues::from([(IdentityKind::Phone, "+4930123456".to_owned())]);
    let outside = resolve(&of(2), &IdentityRules::default(), &[], &shared);
    assert_eq!(outside.profiles.len(), 2);
}

#[test]
fn i5_what_stands_for_no_id_links_nobody() {
    let long = "9".repeat(600);
    for (raw, reason) in [
        ("0", BlockReason::Placeholder),
        ("-1", BlockReason::Placeholder),
        ("null", BlockReason::Placeholder),
        ("Anonymous", BlockReason::Placeholder),
        ("0000-00", BlockReason::Placeholder),
        (" ", BlockReason::Empty),
        (long.as_str(), BlockReason::TooLong),
    ] {
        let found = found(&[
            record("a", 1).external_id(raw),
            record("b", 2).external_id(raw),
        ]);
        assert_eq!(names(&found), [["a"], ["b"]], "{raw}");
        let statuses: Vec<LinkStatus> = found.links.iter().map(|link| link.status).collect();
        assert_eq!(statuses, [LinkStatus::Blocked(reason); 2], "{raw}");
        assert!(found.links.iter().all(|link| link.value.len() <= 255));
    }
    assert_eq!(
        names(&found(&[
            record("a", 1).external_id("aB3"),
            record("b", 2).external_id("Ab3")
        ])),
        [["a"], ["b"]]
    );
}

#[test]
fn i6_only_the_spelling_of_an_email_is_folded() {
    let records = [
        record("a", 1).email("Jane.Doe+x@ACME.example"),
        record("b", 2).email("jane.doe+x@acme.example"),
        record("c", 3).email("janedoe@acme.example"),
        record("d", 4).email("jane.doe@acme.example"),
    ];
    assert_eq!(
        names(&found(&records)),
        [vec!["a", "b"], vec!["c"], vec!["d"]]
    );
}

#[test]
fn i7_a_phone_without_a_country_is_no_identity() {
    let records = [
        record("a", 1).phone("030 123456"),
        record("b", 2).phone("+49 30 123456"),
        record("c", 3).phone("0049 30 123456"),
        record("d", 4).phone("030 123456"),
    ];
    let found = found(&records);
    assert_eq!(names(&found), [vec!["a"], vec!["b", "c"], vec!["d"]]);
    let blocked: Vec<_> = found
        .links
        .iter()
        .filter_map(|link| link.status.reason())
        .collect();
    assert_eq!(blocked, ["no_country", "no_country"]);
}

#[test]
fn i9_a_split_stays_whatever_comes() {
    let mut records = vec![
        record("a", 1).email("x@x.example").phone(PHONE),
        record("b", 2).email("x@x.example").phone(PHONE),
        record("c", 3).email("x@x.example"),
    ];
    let before = found(&records);
    assert_eq!(names(&before), [["a", "b", "c"]]);
    let splits = [split(&before.profiles[0], &[key("b")]).unwrap()];
    let resolved = |records: &[IdentityRecord], rules: &IdentityRules| {
        resolve(records, rules, &splits, &SharedValues::new())
    };
    let parted = resolved(&records, &IdentityRules::default());
    // Those that were not named stay together.
    assert_eq!(names(&parted), [vec!["a", "c"], vec!["b"]]);
    assert_eq!(parted.profiles[1].id, records[1].id);
    assert_eq!(
        links(&parted, IdentityKind::Email),
        [
            ("a", "b", "refused", vec!["a", "b"]),
            ("a", "c", "linked", vec![])
        ]
    );
    let refused = parted
        .links
        .iter()
        .find(|link| link.kind == IdentityKind::Phone);
    assert_eq!(refused.unwrap().status, LinkStatus::Refused(Refusal::Split));
    // I10: taken back, everything is as before.
    assert_eq!(found(&records), before);
    // A full refill is the same set. A rule change is another answer for the same split.
    let tightened = IdentityRules::blocking([IdentityValue::phone(PHONE)]);
    assert_eq!(
        names(&resolved(&records, &tightened)),
        [vec!["a", "c"], vec!["b"]]
    );
    // A new record with the email could be on either side.
    records.push(record("d", 4).email("x@x.example"));
    let grown = resolved(&records, &IdentityRules::default());
    assert_eq!(names(&grown), [vec!["a", "c"], vec!["b"], vec!["d"]]);
    assert!(links(&grown, IdentityKind::Email).contains(&("a", "d", "ambiguous", vec!["a", "b"])));
    // One that belongs to a side by a stronger value stays there, and does not bring the sides together.
    records[2] = records[2].clone().external_id("7");
    records[3] = records[3].clone().external_id("7");
    assert_eq!(
        names(&resolved(&records, &IdentityRules::default())),
        [vec!["a", "c", "d"], vec!["b"]]
    );
}

#[test]
fn i9_a_split_holds_for_the_record_that_a_split_one_was_merged_into() {
    let records = [
        record("a", 1).email("x@x.example"),
        record("b", 2).email("x@x.example").merged_into("c"),
        record("c", 3).email("x@x.example"),
    ];
    let splits = [Split {
        left: [key("a")].into(),
        right: [key("b")].into(),
    }];
    let rules = IdentityRules::default();
    let found = resolve(&records, &rules, &splits, &SharedValues::new());
    assert_eq!(names(&found), [["a"], ["c"]]);
    // Only the source itself can take it back, by a merge of the two.
    let mut merged = records.clone();
    merged[0].merged_into = Some("c".to_owned());
    let found = resolve(&merged, &rules, &splits, &SharedValues::new());
    assert_eq!(names(&found), [["c"]]);
}

#[test]
fn i11_a_split_that_parts_nothing_says_why() {
    let records = [
        record("a", 1).email("x@x.example"),
        record("b", 2).email("x@x.example"),
        record("gone", 3).merged_into("a"),
        record("z", 4),
    ];
    let found = found(&records);
    let profile = &found.profiles[0];
    for (named, expected) in [
        (vec![], SplitError::Nothing),
        (vec![key("a"), key("b")], SplitError::Everything),
        (vec![key("z")], SplitError::Unknown("z".to_owned())),
        (
            vec![key("nowhere")],
            SplitError::Unknown("nowhere".to_owned()),
        ),
        (
            vec![key("a"), key("gone")],
            SplitError::Merged("gone".to_owned()),
        ),
    ] {
        assert_eq!(split(profile, &named).unwrap_err(), expected);
    }
    // The last record cannot be parted from itself.
    assert_eq!(
        split(&found.profiles[1], &[key("z")]),
        Err(SplitError::Everything)
    );
}

#[test]
fn i14_a_chain_of_merges_belongs_to_its_survivor() {
    let records = [
        record("a", 1).email("x@x.example").merged_into("b"),
        record("b", 2).external_id("1").merged_into("c"),
        record("c", 3),
        record("other", 4).email("x@x.example").external_id("1"),
        record("orphan", 5).merged_into("nowhere"),
    ];
    for order in [records.to_vec(), records.iter().rev().cloned().collect()] {
        let found = found(&order);
        // What was merged away gives no value and no id.
        assert_eq!(names(&found), [["c"], ["other"], ["orphan"]]);
        assert_eq!(found.profiles[0].absorbed, [key("a"), key("b")]);
        assert_eq!(found.profiles[0].id, records[2].id);
        assert_eq!(
            links(&found, IdentityKind::Merge),
            [("a", "b", "linked", vec![]), ("b", "c", "linked", vec![])]
        );
    }
}

#[test]
fn i14_a_merge_is_of_one_connection() {
    let mut foreign = record("c", 1);
    foreign.key.connection = ConnectionId(Uuid::from_u128(8));
    let found = found(&[foreign, record("a", 2).merged_into("c")]);
    assert_eq!(names(&found), [["c"], ["a"]]);
}

#[test]
fn i15_a_tightened_rule_parts_what_a_looser_one_joined() {
    let records: Vec<IdentityRecord> = (0..4)
        .map(|n| record(&format!("r{n}"), n).email("x@x.example"))
        .collect();
    assert_eq!(found(&records).profiles.len(), 1);
    let blocking = IdentityRules::blocking([IdentityValue::email(" X@x.example")]);
    let tight = IdentityRules::default().with_max_holders(3);
    for (rules, status) in [(blocking, "blocked"), (tight, "shared")] {
        let fresh = resolve(&records, &rules, &[], &SharedValues::new());
        assert_eq!(fresh.profiles.len(), 4);
        assert!(
            fresh
                .links
                .iter()
                .all(|link| link.status.as_str() == status)
        );
    }
}

#[test]
fn i17_a_domain_joins_companies_unless_anybody_may_have_it() {
    let differing = [
        record("a", 1).external_id("1").domain("www.acme.com"),
        record("b", 2).external_id("2").domain("acme.com"),
    ];
    let apart = found(&differing);
    assert_eq!(names(&apart), [["a"], ["b"]]);
    assert_eq!(
        links(&apart, IdentityKind::Domain),
        [("a", "b", "ambiguous", vec!["a", "b"])]
    );
    let one = [
        record("a", 1).external_id("1").domain("eu.acme.com"),
        record("b", 2).domain("acme.com"),
    ];
    assert_eq!(names(&found(&one)), [["a", "b"]]);
    let public = [
        record("a", 1).domain("gmail.com"),
        record("b", 2).domain("gmail.com"),
    ];
    assert_eq!(names(&found(&public)), [["a"], ["b"]]);
    assert_eq!(
        names(&found(&[record("a", 1), record("b", 2)])),
        [["a"], ["b"]]
    );
}

#[test]
fn i19_thousands_of_records_in_one_component_take_a_bounded_number_of_steps() {
    const RECORDS: i64 = 5_000;
    // What is looked at per record: its values, its way to the root, and the moves of smaller sets.
    let bound = RECORDS as u64 * 60;
    let email = |n: i64| format!("p{n}@x.example");
    let chain: Vec<IdentityRecord> = (0..RECORDS)
        .map(|n| {
            record(&format!("r{n:04}"), n)
                .email(&email(n))
                .email(&email(n + 1))
                .phone(PHONE)
        })
        .collect();
    let found_chain = found(&chain);
    assert_eq!(found_chain.profiles.len(), 1);
    assert_eq!(found_chain.profiles[0].members.len(), RECORDS as usize);
    // The value that all of them share is named, and has no part in it.
    let phones = links(&found_chain, IdentityKind::Phone);
    assert_eq!(phones.len(), RECORDS as usize);
    assert!(phones.iter().all(|(_, _, status, _)| *status == "shared"));
    assert!(found_chain.steps < bound, "{} steps", found_chain.steps);

    // Two large components that contradict each other at every value of theirs.
    let rivals: Vec<IdentityRecord> = (0..RECORDS)
        .map(|n| {
            record(&format!("r{n:04}"), n)
                .external_id(if n % 2 == 0 { "even" } else { "odd" })
                .email(&email(n / 2))
        })
        .collect();
    let rules = IdentityRules::default().with_max_holders(RECORDS as usize);
    let found = resolve(&rivals, &rules, &[], &SharedValues::new());
    assert_eq!(found.profiles.len(), 2);
    assert_eq!(
        links(&found, IdentityKind::Email).len(),
        RECORDS as usize / 2
    );
    assert!(found.steps < bound, "{} steps", found.steps);
}
