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
            attributes: document(&json!({"seats": 3})),
            location: document(&json!({"city": "Cork"})),
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
            |c| c.profile.attributes = document(&json!({"seats": 4})),
            |c| c.profile.location = document(&json!({"city": "Rome"})),
            |c| c.profile.last_seen_at = None,
            |c| c.profile.last_replied_at = None,
            |c| c.profile.last_contacted_at = None,
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
