//! Each column alone: a right copy, then one that is wrong in one place. Damage to the truth, as in
//! `tests/exact.rs`, shows in the source record and in the profile at once and cannot tell them apart.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods' own lifetimes are not general enough"
)]

use chrono::{DateTime, Utc};
use intercom_simulator::{Kind, TruthLine};
use serde_json::{Value, json, value::RawValue};
use shared::{
    domain::records::{CompanyFields, ContactFields},
    store::reads::{StoredCompany, StoredContact, StoredConversation, StoredPart, StoredThread},
};
use uuid::Uuid;

use super::{check::Comparison, truth::Shape};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
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

fn contact() -> (TruthLine, StoredContact) {
    let object = json!({
        "id": "c", "role": "user", "email": "a@b.example", "name": "Ann", "phone": "+1", "external_id": "7",
        "owner_id": "9", "updated_at": 100, "last_seen_at": 50, "last_replied_at": 60, "last_contacted_at": 70,
        "custom_attributes": {"seats": 3}, "location": {"city": "Cork"}
    });
    let stored = StoredContact {
        source_id: "c".to_owned(),
        external_id: Some("7".to_owned()),
        fields: json!({
            "role": "user", "email": "a@b.example", "name": "Ann", "phone": "+1", "owner": "9",
            "attributes": {"seats": 3}, "location": {"city": "Cork"}, "last_seen_at": "1970-01-01T00:00:50Z",
            "last_replied_at": "1970-01-01T00:01:00Z", "last_contacted_at": "1970-01-01T00:01:10Z"
        }),
        source_updated_at: at(100),
        merged_into: None,
        deleted_at: None,
        sanitised: false,
        raw: object.to_string().into_bytes(),
        profile: ContactFields {
            role: Some("user".to_owned()),
            email: Some("a@b.example".to_owned()),
            name: Some("Ann".to_owned()),
            phone: Some("+1".to_owned()),
            owner: Some("9".to_owned()),
            attributes: json!({"seats": 3}),
            location: json!({"city": "Cork"}),
            last_seen_at: Some(at(50)),
            last_replied_at: Some(at(60)),
            last_contacted_at: Some(at(70)),
        },
    };
    (line(Kind::Contact, "c", None, &object), stored)
}

#[test]
fn each_column_of_a_contact() {
    let (line, stored) = contact();
    each_is_noticed(
        &[line],
        &stored,
        |check, stored| check.contact(stored),
        &[
            |c| c.external_id = None,
            |c| c.source_updated_at = at(99),
            |c| c.merged_into = Some("x".to_owned()),
            |c| c.deleted_at = Some(at(1)),
            |c| c.raw.truncate(5),
            |c| c.raw = br#"{"id":"c"}"#.to_vec(),
            |c| c.fields["role"] = json!("lead"),
            |c| c.fields["email"] = json!(null),
            |c| c.fields["name"] = json!("ann"),
            |c| c.fields["phone"] = json!("+2"),
            |c| c.fields["owner"] = json!("8"),
            |c| c.fields["attributes"] = json!({}),
            |c| c.fields["location"] = json!({}),
            |c| c.fields["last_seen_at"] = json!(null),
            |c| c.fields["last_replied_at"] = json!("1970-01-01T00:01:01Z"),
            |c| c.fields["last_contacted_at"] = json!("yesterday"),
            |c| c.profile.role = None,
            |c| c.profile.email = None,
            |c| c.profile.name = None,
            |c| c.profile.phone = None,
            |c| c.profile.owner = None,
            |c| c.profile.attributes = json!({"seats": 4}),
            |c| c.profile.location = json!({"city": "Rome"}),
            |c| c.profile.last_seen_at = None,
            |c| c.profile.last_replied_at = None,
            |c| c.profile.last_contacted_at = None,
        ],
    );
}

#[test]
fn a_merged_contact_names_its_survivor_or_whoever_that_was_merged_into() {
    let (mut gone, mut stored) = contact();
    let object = json!({"id": "d", "updated_at": 1});
    let next = TruthLine {
        deleted: true,
        merged_into: Some("e".to_owned()),
        ..line(Kind::Contact, "d", None, &object)
    };
    gone.deleted = true;
    gone.merged_into = Some("d".to_owned());
    let truth = [gone, next];
    for (named, different) in [(Some("d"), 0), (Some("e"), 0), (Some("f"), 1), (None, 1)] {
        stored.merged_into = named.map(str::to_owned);
        assert_eq!(
            found(&truth, |check| check.contact(&stored)),
            (0, 0, different),
            "{named:?}"
        );
    }
}

#[test]
fn each_column_of_a_company() {
    let object = json!({
        "id": "k", "company_id": "7", "name": "Acme", "website": "https://www.acme.example/", "plan": {"name": "Pro"},
        "size": 5, "industry": "Rail", "user_count": 6, "session_count": 8, "custom_attributes": {"a": 1.5}, "updated_at": 100
    });
    let stored = StoredCompany {
        source_id: "k".to_owned(),
        external_id: Some("7".to_owned()),
        fields: json!({
            "name": "Acme", "domain": "acme.example", "plan": "Pro", "size": 5, "industry": "Rail", "user_count": 6,
            "session_count": 8, "attributes": {"a": 1.5}
        }),
        source_updated_at: at(100),
        deleted_at: None,
        sanitised: false,
        raw: object.to_string().into_bytes(),
        profile: CompanyFields {
            name: Some("Acme".to_owned()),
            domain: Some("acme.example".to_owned()),
            plan: Some("Pro".to_owned()),
            size: Some(5),
            industry: Some("Rail".to_owned()),
            user_count: Some(6),
            session_count: Some(8),
            attributes: json!({"a": 1.5}),
        },
    };
    let truth = [line(Kind::Company, "k", None, &object)];
    each_is_noticed(
        &truth,
        &stored,
        |check, stored| check.company(stored),
        &[
            |c| c.external_id = None,
            |c| c.source_updated_at = at(99),
            |c| c.deleted_at = Some(at(1)),
            |c| c.raw = b"{}".to_vec(),
            |c| c.fields["name"] = json!("acme"),
            |c| c.fields["domain"] = json!("www.acme.example"),
            |c| c.fields["plan"] = json!(null),
            |c| c.fields["size"] = json!(4),
            |c| c.fields["industry"] = json!(null),
            |c| c.fields["user_count"] = json!(0),
            |c| c.fields["session_count"] = json!(null),
            |c| c.fields["attributes"] = json!({"a": 1}),
            |c| c.profile.name = None,
            |c| c.profile.domain = None,
            |c| c.profile.plan = None,
            |c| c.profile.size = None,
            |c| c.profile.industry = None,
            |c| c.profile.user_count = None,
            |c| c.profile.session_count = None,
            |c| c.profile.attributes = json!({}),
        ],
    );
}

/// A conversation with a first message and one part, and the copy of all three.
struct Talk {
    truth: Vec<TruthLine>,
    stored: StoredConversation,
    first: StoredPart,
    part: StoredPart,
}

fn talk() -> Talk {
    let source = json!({"type": "email", "id": "5", "body": "hi", "author": {"type": "user", "id": "c", "name": "Ann"}, "redacted": false});
    let conversation = json!({
        "id": "v", "title": "T", "state": "open", "open": true, "priority": "high", "admin_assignee_id": 3,
        "team_assignee_id": 4, "tags": {"tags": [{"name": "b"}, {"name": "a"}]}, "source": source,
        "contacts": {"contacts": [{"id": "c"}]}, "created_at": 10, "updated_at": 30, "statistics": {"count_conversation_parts": 1}
    });
    let part = json!({
        "id": "p", "part_type": "note", "body": "<p>x</p>", "author": {"type": "admin", "id": "3", "name": "Bo"},
        "redacted": false, "created_at": 20, "updated_at": 25
    });
    let id = Uuid::from_u128(1);
    let text = |text: &str| Some(text.to_owned());
    let stored = StoredConversation {
        id,
        source_id: "v".to_owned(),
        title: text("T"),
        state: text("open"),
        open: true,
        priority: text("high"),
        admin_assignee_id: text("3"),
        team_assignee_id: text("4"),
        tags: vec!["b".to_owned(), "a".to_owned()],
        contacts: vec!["c".to_owned()],
        source_created_at: at(10),
        source_updated_at: at(30),
        deleted_at: None,
        sanitised: false,
        raw: conversation.to_string().into_bytes(),
        thread: Some(StoredThread {
            status: "complete".to_owned(),
            held: 1,
            expected: Some(1),
        }),
    };
    let held_part = StoredPart {
        conversation_id: id,
        conversation_source_id: "v".to_owned(),
        source_id: "p".to_owned(),
        kind: "note".to_owned(),
        author_kind: text("admin"),
        author_source_id: text("3"),
        author_name: text("Bo"),
        body: text("<p>x</p>"),
        redacted: false,
        internal: true,
        source_created_at: at(20),
        source_updated_at: at(25),
        sanitised: false,
        raw: part.to_string().into_bytes(),
    };
    let first = StoredPart {
        source_id: "source".to_owned(),
        kind: "source".to_owned(),
        author_kind: text("user"),
        author_source_id: text("c"),
        author_name: text("Ann"),
        body: text("hi"),
        internal: false,
        source_created_at: at(10),
        source_updated_at: at(30),
        raw: source.to_string().into_bytes(),
        ..held_part.clone()
    };
    let truth = vec![
        line(Kind::Conversation, "v", None, &conversation),
        line(Kind::Part, "p", Some("v"), &part),
    ];
    Talk {
        truth,
        stored,
        first,
        part: held_part,
    }
}

#[test]
fn each_column_of_a_conversation_and_of_its_thread() {
    let Talk {
        truth,
        stored,
        first,
        part,
    } = talk();
    let feed = |check: &mut Comparison<'_>, stored: &StoredConversation| {
        check.conversation(stored);
        check.part(&first);
        check.part(&part);
    };
    each_is_noticed(
        &truth,
        &stored,
        feed,
        &[
            |v| v.title = None,
            |v| v.state = None,
            |v| v.open = false,
            |v| v.priority = None,
            |v| v.admin_assignee_id = None,
            |v| v.team_assignee_id = None,
            |v| v.tags.reverse(),
            |v| v.contacts.clear(),
            |v| v.source_created_at = at(11),
            |v| v.source_updated_at = at(31),
            |v| v.deleted_at = Some(at(1)),
            |v| v.raw = b"{}".to_vec(),
            |v| v.thread.as_mut().unwrap().status = "pending".to_owned(),
            |v| v.thread.as_mut().unwrap().status = "truncated".to_owned(),
            |v| v.thread.as_mut().unwrap().expected = None,
            |v| v.thread.as_mut().unwrap().expected = Some(2),
        ],
    );
    // A thread that claims more or less than there is differs from the truth and from its own parts.
    for claimed in [0, 2] {
        let mut wrong = stored.clone();
        wrong.thread.as_mut().unwrap().held = claimed;
        assert_eq!(
            found(&truth, |check| feed(check, &wrong)),
            (0, 0, 2),
            "{claimed}"
        );
    }
    let none = StoredConversation {
        thread: None,
        ..stored
    };
    assert_eq!(found(&truth, |check| feed(check, &none)), (0, 0, 2));
}

#[test]
fn each_column_of_a_part_and_of_a_first_message() {
    let Talk {
        truth,
        stored,
        first,
        part,
    } = talk();
    let changes: [fn(&mut StoredPart); 10] = [
        |p| p.kind = "other".to_owned(),
        |p| p.author_kind = None,
        |p| p.author_source_id = None,
        |p| p.author_name = None,
        |p| p.body = None,
        |p| p.redacted = true,
        |p| p.internal = !p.internal,
        |p| p.source_created_at = at(12),
        |p| p.source_updated_at = at(31),
        |p| p.raw = b"{}".to_vec(),
    ];
    let with_part = |check: &mut Comparison<'_>, part: &StoredPart| {
        check.conversation(&stored);
        check.part(&first);
        check.part(part);
    };
    each_is_noticed(&truth, &part, with_part, &changes);
    let with_first = |check: &mut Comparison<'_>, first: &StoredPart| {
        check.conversation(&stored);
        check.part(first);
        check.part(&part);
    };
    each_is_noticed(&truth, &first, with_first, &changes);
}

#[test]
fn a_part_of_another_conversation_does_not_stand_in() {
    let Talk {
        truth,
        stored,
        first,
        mut part,
    } = talk();
    part.conversation_source_id = "w".to_owned();
    let (missing, extra, _) = found(&truth, |check| {
        check.conversation(&stored);
        check.part(&first);
        check.part(&part);
    });
    assert_eq!((missing, extra), (1, 1));
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
