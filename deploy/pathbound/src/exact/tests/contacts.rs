//! Contacts, column by column.

use super::*;

fn contact() -> (TruthLine, StoredContact) {
    let object = json!({
        "id": "c", "role": "user", "email": "a@b.example", "name": "Ann", "phone": "+1", "external_id": "7",
        "owner_id": "9", "updated_at": 100, "last_seen_at": 50, "last_replied_at": 60, "last_contacted_at": 70,
        "custom_attributes": {"seats": 3}, "location": {"city": "Cork"}
    });
    let stored = StoredContact {
        source_id: "c".to_owned(),
        external_id: Some("7".to_owned()),
        source_updated_at: at(100),
        merged_into: None,
        deleted_at: None,
        sanitised: false,
        raw: object.to_string().into_bytes(),
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
            |c| set(&mut c.raw, "role", &json!("lead")),
            |c| set(&mut c.raw, "email", &json!(null)),
            |c| set(&mut c.raw, "name", &json!("ann")),
            |c| set(&mut c.raw, "phone", &json!("+2")),
            |c| set(&mut c.raw, "owner_id", &json!("8")),
            |c| set(&mut c.raw, "custom_attributes", &json!({})),
            |c| set(&mut c.raw, "location", &json!({})),
            |c| set(&mut c.raw, "last_seen_at", &json!(null)),
            |c| set(&mut c.raw, "last_replied_at", &json!(61)),
            |c| set(&mut c.raw, "last_contacted_at", &json!(71)),
        ],
    );
}

#[test]
fn a_merged_contact_names_any_survivor_along_the_chain() {
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
