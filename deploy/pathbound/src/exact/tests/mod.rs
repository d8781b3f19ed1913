//! Each column alone: a right copy, then one that is wrong in one place.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods' own lifetimes are not general enough"
)]

mod companies;
mod contacts;
mod conversations;

use chrono::{DateTime, Utc};
use intercom_simulator::{Kind, TruthLine};
use serde_json::{Value, json, value::RawValue};
use shared::store::reads::{
    StoredCompany, StoredContact, StoredConversation, StoredPart, StoredThread,
};
use uuid::Uuid;

use super::{check::Comparison, truth::Shape};
use conversations::talk;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Sets a member of a raw record.
fn set(raw: &mut Vec<u8>, member: &str, value: &Value) {
    let mut object: Value = serde_json::from_slice(raw).unwrap();
    object[member] = value.clone();
    *raw = object.to_string().into_bytes();
}

fn line(kind: Kind, id: &str, parent: Option<&str>, object: &Value) -> TruthLine {
    TruthLine {
        kind,
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        company: None,
        deleted: false,
        merged_into: None,
        hidden: false,
        updated_at: object["updated_at"].as_i64(),
        object: RawValue::from_string(object.to_string()).unwrap(),
    }
}

/// Differences (and extras and missings) that a check finds.
fn found(truth: &[TruthLine], feed: impl FnOnce(&mut Comparison<'_>)) -> (u64, u64, u64) {
    let mut check = Comparison::new(truth, Shape::Current);
    feed(&mut check);
    let report = check.finish();
    (report.missing, report.extra, report.different)
}

/// The right one passes, and each change alone is one difference.
fn each_is_noticed<T: Clone>(
    truth: &[TruthLine],
    right: &T,
    feed: impl Fn(&mut Comparison<'_>, &T),
    changes: &[fn(&mut T)],
) {
    assert_eq!(found(truth, |check| feed(check, right)), (0, 0, 0));
    for (number, change) in changes.iter().enumerate() {
        let mut wrong = right.clone();
        change(&mut wrong);
        assert_eq!(
            found(truth, |check| feed(check, &wrong)),
            (0, 0, 1),
            "change {number}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_expected_and_what_is_empty_is_all_missing() {
    let bad = [
        line(
            Kind::Contact,
            "a",
            None,
            &json!({"id": "a", "updated_at": "yesterday"}),
        ),
        line(
            Kind::Contact,
            "b",
            None,
            &json!({"id": "b", "updated_at": 1, "email": {"not": "text"}}),
        ),
        line(
            Kind::Part,
            "p",
            Some("v"),
            &json!({"id": "p", "created_at": "no"}),
        ),
    ];
    assert_eq!(found(&bad, |_| {}), (0, 0, 0));
    // A conversation, its first message and its part.
    assert_eq!(found(&talk().truth, |_| {}), (3, 0, 0));
}
