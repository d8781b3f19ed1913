//! The cases by name. `laws.rs` has what holds for any records.

mod laws;

use chrono::{DateTime, Utc};
use serde_json::{json, value::RawValue};
use uuid::Uuid;

use super::*;
use crate::domain::{
    ConnectionId, JsonText,
    profile::{IdentityRecord, IdentityRules, SharedValues, Source, resolve},
    records::{Browser, CompanyFields, ContactFields},
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn key(source: Source, name: &str) -> RecordKey {
    RecordKey {
        connection: ConnectionId(Uuid::from_u128(source as u128)),
        source_id: name.to_owned(),
    }
}

fn contact(source: Source, name: &str, fields: ContactFields) -> ContactRecord {
    ContactRecord {
        key: key(source, name),
        source,
        source_updated_at: at(100),
        deleted_at: None,
        external_id: None,
        companies: Vec::new(),
        fields,
    }
}

fn document(json: &str) -> JsonText {
    RawValue::from_string(json.to_owned()).unwrap().into()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn named(name: &str) -> ContactFields {
    ContactFields {
        name: text(name),
        ..ContactFields::default()
    }
}

fn fold(records: &[ContactRecord]) -> ContactProfileFields {
    fold_contact(records, &MergeRules::default())
}

fn bytes(profile: &ContactProfileFields) -> String {
    serde_json::to_string(profile).unwrap()
}

/// The source of a value.
fn source_of(profile: &ContactProfileFields, path: &str) -> Option<Source> {
    profile.provenance.get(path).map(|origin| origin.source)
}

#[test]
fn i8_a_changed_email_parts_a_profile_and_gives_back_both_as_before() {
    let with_email = |source, email: &str| {
        contact(
            source,
            "r",
            ContactFields {
                email: text(email),
                ..named(source_name(source))
            },
        )
    };
    // As a store does it: identity says which records are one, and each profile is folded from its own.
    let profiles = |records: &[ContactRecord]| -> Vec<(Uuid, String)> {
        let identities: Vec<IdentityRecord> = records
            .iter()
            .map(|record| IdentityRecord {
                key: record.key.clone(),
                id: crate::domain::ids::contact_id(record.key.connection, &record.key.source_id),
                source_created_at: at(1),
                merged_into: None,
                values: record
                    .fields
                    .email
                    .iter()
                    .map(|email| IdentityValue::email(email))
                    .collect(),
            })
            .collect();
        let rules = IdentityRules::default();
        let found = resolve(&identities, &rules, &[], &SharedValues::new());
        let fold = |members: &[RecordKey]| -> String {
            let of = records
                .iter()
                .filter(|record| members.contains(&record.key));
            bytes(&fold(&of.cloned().collect::<Vec<_>>()))
        };
        let profiles = found.profiles.iter();
        profiles
            .map(|profile| (profile.id, fold(&profile.members)))
            .collect()
    };
    let (crm, intercom) = (
        with_email(Source::Crm, "a@x.example"),
        with_email(Source::Intercom, "b@x.example"),
    );
    let apart = profiles(&[crm.clone(), intercom.clone()]);
    let merged = profiles(&[crm.clone(), with_email(Source::Intercom, "A@x.example")]);
    assert_eq!((apart.len(), merged.len()), (2, 1));
    assert_eq!(merged[0].0, apart[0].0);
    assert_eq!(profiles(&[intercom, crm]), apart);
}

fn source_name(source: Source) -> &'static str {
    source.as_str()
}

#[test]
fn i13_every_email_is_kept_with_its_source_and_one_is_shown() {
    let emails = |source, first: &str, others: &[&str]| {
        contact(
            source,
            "r",
            ContactFields {
                email: text(first).filter(|email| !email.is_empty()),
                emails: others.iter().map(|email| (*email).to_owned()).collect(),
                ..ContactFields::default()
            },
        )
    };
    let profile = fold(&[
        emails(Source::Intercom, "Jane@x.example", &["other@x.example"]),
        emails(Source::Crm, "", &["work@x.example", "jane@X.example"]),
        emails(Source::Email, "work@x.example", &[]),
    ]);
    assert_eq!(profile.email, text("work@x.example"));
    assert_eq!(
        profile.emails,
        ["work@x.example", "jane@X.example", "other@x.example"]
    );
    assert_eq!(source_of(&profile, "email"), Some(Source::Crm));
    assert_eq!(
        source_of(&profile, "emails.jane@X.example"),
        Some(Source::Crm)
    );
    assert_eq!(
        source_of(&profile, "emails.other@x.example"),
        Some(Source::Intercom)
    );
    assert_eq!(source_of(&profile, "emails.Jane@x.example"), None);
}

#[test]
fn phones_are_one_if_they_are_one_number() {
    let phone = |source, phone: &str| {
        contact(
            source,
            "r",
            ContactFields {
                phone: text(phone),
                ..ContactFields::default()
            },
        )
    };
    let profile = fold(&[
        phone(Source::Intercom, "0049 30 123456"),
        phone(Source::Crm, "+49 (30) 123456"),
        phone(Source::Email, "030 123456"),
    ]);
    assert_eq!(profile.phones, ["+49 (30) 123456", "030 123456"]);
    assert_eq!(profile.phone, text("+49 (30) 123456"));
}

#[test]
fn i16_a_restriction_holds_whatever_the_order_of_sources() {
    let consent = |source, consent| {
        contact(
            source,
            "r",
            ContactFields {
                consent,
                ..ContactFields::default()
            },
        )
    };
    let subscribed = ConsentFields {
        unsubscribed: Some(false),
        hard_bounced: Some(false),
        may_email: Some(true),
        ..ConsentFields::default()
    };
    let crm = consent(Source::Crm, subscribed);
    assert!(fold(std::slice::from_ref(&crm)).consent.may_email);
    for restriction in [
        ConsentFields {
            unsubscribed: Some(true),
            ..ConsentFields::default()
        },
        ConsentFields {
            hard_bounced: Some(true),
            ..ConsentFields::default()
        },
        ConsentFields {
            marked_as_spam: Some(true),
            ..ConsentFields::default()
        },
        ConsentFields {
            may_email: Some(false),
            ..ConsentFields::default()
        },
    ] {
        let intercom = consent(Source::Intercom, restriction);
        let profile = fold(&[crm.clone(), intercom.clone()]);
        assert!(!profile.consent.may_email, "{restriction:?}");
        assert_eq!(
            profile.consent.unsubscribed,
            restriction.unsubscribed.unwrap_or_default()
        );
        // A deleted record has not said yes.
        let deleted = ContactRecord {
            deleted_at: Some(at(200)),
            ..intercom.clone()
        };
        assert!(
            !fold(&[crm.clone(), deleted]).consent.may_email,
            "{restriction:?}"
        );
        // A split parts it.
        assert!(fold(std::slice::from_ref(&crm)).consent.may_email);
        assert!(!fold(&[intercom]).consent.may_email);
    }
    let no_sms = consent(
        Source::Email,
        ConsentFields {
            unsubscribed_from_sms: Some(true),
            ..ConsentFields::default()
        },
    );
    let profile = fold(&[crm, no_sms]);
    assert!(profile.consent.unsubscribed_from_sms && profile.consent.may_email);
    assert_eq!(
        source_of(&profile, "consent.unsubscribed_from_sms"),
        Some(Source::Email)
    );
    assert_eq!(
        source_of(&profile, "consent.unsubscribed"),
        Some(Source::Crm)
    );
    assert_eq!(source_of(&profile, "consent.marked_as_spam"), None);
}

#[test]
fn i18_what_is_empty_falls_back_to_the_next_source() {
    let with = |source, name: &str, attributes: &str| {
        contact(
            source,
            "r",
            ContactFields {
                attributes: document(attributes),
                ..named(name)
            },
        )
    };
    for (name, value) in [("   ", "null"), ("\t", "\"  \""), ("", "[ ]"), (" ", "{}")] {
        let profile = fold(&[
            with(
                Source::Crm,
                name,
                &format!(r#"{{"plan":{value},"seats":3}}"#),
            ),
            with(
                Source::Intercom,
                "Ann",
                r#"{"plan":"pro","seats":4,"none":null}"#,
            ),
        ]);
        assert_eq!(profile.name, text("Ann"));
        assert_eq!(source_of(&profile, "name"), Some(Source::Intercom));
        assert_eq!(
            profile.attributes.get(),
            r#"{"none":null,"plan":"pro","seats":3}"#
        );
        assert_eq!(
            source_of(&profile, "attributes.plan"),
            Some(Source::Intercom)
        );
        assert_eq!(source_of(&profile, "attributes.seats"), Some(Source::Crm));
    }
    // What is not empty is shown, as small as it is.
    let profile = fold(&[
        with(Source::Crm, "0", r#"{"plan":0,"seats":false}"#),
        with(Source::Intercom, "Ann", r#"{"plan":"pro","seats":4}"#),
    ]);
    assert_eq!(profile.attributes.get(), r#"{"plan":0,"seats":false}"#);
    assert_eq!(profile.name, text("0"));
}

#[test]
fn the_first_source_wins_then_the_newest_record_then_the_key() {
    let at_time = |source, name: &str, seconds| ContactRecord {
        source_updated_at: at(seconds),
        ..contact(source, name, named(name))
    };
    let records = [
        at_time(Source::Intercom, "new", 300),
        at_time(Source::Email, "old", 100),
        at_time(Source::Email, "b", 200),
        at_time(Source::Email, "a", 200),
    ];
    assert_eq!(fold(&records).name, text("a"));
    let rules: MergeRules = serde_json::from_value(json!({
        "contacts": {"default": ["analytics"], "fields": {"name": ["intercom"]}}
    }))
    .unwrap();
    assert_eq!(fold_contact(&records, &rules).name, text("new"));
    // The times of sightings are facts, and the order of sources says nothing about facts.
    let seen = |source, seconds| {
        contact(
            source,
            "r",
            ContactFields {
                last_seen_at: Some(at(seconds)),
                signed_up_at: Some(at(seconds)),
                ..ContactFields::default()
            },
        )
    };
    let profile = fold(&[
        seen(Source::Crm, 5),
        seen(Source::Intercom, 9),
        seen(Source::Email, 7),
    ]);
    assert_eq!(
        (profile.last_seen_at, profile.signed_up_at),
        (Some(at(9)), Some(at(5)))
    );
    assert_eq!(source_of(&profile, "last_seen_at"), Some(Source::Intercom));
    // Of equal times, the first source's.
    let profile = fold(&[seen(Source::Intercom, 9), seen(Source::Email, 9)]);
    assert_eq!(source_of(&profile, "last_seen_at"), Some(Source::Email));
}

#[test]
fn deleted_records_count_only_if_all_are_deleted() {
    let deleted = ContactRecord {
        deleted_at: Some(at(1)),
        ..contact(Source::Crm, "gone", named("Gone"))
    };
    let alive = contact(Source::Intercom, "here", named("Here"));
    assert_eq!(fold(&[deleted.clone(), alive]).name, text("Here"));
    assert_eq!(fold(&[deleted]).name, text("Gone"));
}

#[test]
fn the_first_company_is_of_the_first_source_and_no_company_is_lost() {
    let companies = |source, names: &[&str]| ContactRecord {
        companies: names.iter().map(|name| key(source, name)).collect(),
        ..contact(source, "r", ContactFields::default())
    };
    let profile = fold(&[
        companies(Source::Intercom, &["i1", "i2"]),
        companies(Source::Crm, &[]),
        companies(Source::Email, &["e1"]),
    ]);
    let names: Vec<&str> = profile
        .companies
        .iter()
        .map(|key| key.source_id.as_str())
        .collect();
    assert_eq!(names, ["e1", "i1", "i2"]);
    let path = format!("companies.{}/i2", key(Source::Intercom, "").connection);
    assert_eq!(source_of(&profile, &path), Some(Source::Intercom));
}

#[test]
fn a_device_is_shown_once_as_it_was_seen_last() {
    let device = |app_version: &str, seconds| Device {
        platform: Platform::Ios,
        app_name: text("Acme Go"),
        app_version: text(app_version),
        device: text("iPhone14,2"),
        os_version: None,
        last_seen_at: Some(at(seconds)),
    };
    let with = |source, device: Device| {
        contact(
            source,
            "r",
            ContactFields {
                devices: vec![device],
                browser: Some(Browser {
                    name: text(source_name(source)),
                    ..Browser::default()
                }),
                ..ContactFields::default()
            },
        )
    };
    let android = Device {
        platform: Platform::Android,
        ..device("1", 1)
    };
    let profile = fold(&[
        with(Source::Crm, device("1", 10)),
        with(Source::Email, android.clone()),
        with(Source::Intercom, device("2", 20)),
    ]);
    assert_eq!(profile.devices, [device("2", 20), android]);
    assert_eq!(
        source_of(&profile, "devices.ios/Acme Go/iPhone14,2"),
        Some(Source::Intercom)
    );
    assert_eq!(profile.browser.unwrap().name, text("crm"));
    // Of equal times, the first source's.
    let profile = fold(&[
        with(Source::Intercom, device("2", 20)),
        with(Source::Crm, device("1", 20)),
    ]);
    assert_eq!(profile.devices, [device("1", 20)]);
}

#[test]
fn a_location_is_taken_whole_from_a_record_that_has_one() {
    let located = |source, location: &str| {
        contact(
            source,
            "r",
            ContactFields {
                location: document(location),
                ..ContactFields::default()
            },
        )
    };
    let nowhere = r#"{"type":"location","country":null}"#;
    let profile = fold(&[
        located(Source::Crm, nowhere),
        located(Source::Intercom, r#"{"type":"location","city":"Cork"}"#),
    ]);
    assert_eq!(
        profile.location.get(),
        r#"{"type":"location","city":"Cork"}"#
    );
    assert_eq!(source_of(&profile, "location"), Some(Source::Intercom));
    assert_eq!(
        fold(&[located(Source::Crm, nowhere)]).location.get(),
        nowhere
    );
    assert_eq!(fold(&[located(Source::Crm, "{}")]).location.get(), "{}");
}

#[test]
fn a_company_is_folded_by_its_own_rules() {
    let company = |source, fields: CompanyFields| CompanyRecord {
        key: key(source, "k"),
        source,
        source_updated_at: at(1),
        deleted_at: None,
        external_id: text(source_name(source)),
        companies: Vec::new(),
        fields,
    };
    let records = [
        company(
            Source::Intercom,
            CompanyFields {
                name: text("Acme Ltd"),
                plan: text("Pro"),
                user_count: Some(0),
                last_request_at: Some(at(9)),
                monthly_spend: Some(serde_json::from_str("12.50").unwrap()),
                tags: vec!["1".to_owned(), "2".to_owned()],
                ..CompanyFields::default()
            },
        ),
        company(
            Source::Crm,
            CompanyFields {
                name: text("Acme"),
                plan: text(" "),
                user_count: Some(7),
                last_request_at: Some(at(5)),
                tags: vec!["2".to_owned(), "3".to_owned()],
                ..CompanyFields::default()
            },
        ),
    ];
    let rules: MergeRules = serde_json::from_value(json!({
        "contacts": {"default": ["analytics"]},
        "companies": {"fields": {"user_count": ["intercom"]}}
    }))
    .unwrap();
    let profile = fold_company(&records, &rules);
    assert_eq!((profile.name, profile.plan), (text("Acme"), text("Pro")));
    assert_eq!(
        (profile.user_count, profile.last_request_at),
        (Some(0), Some(at(9)))
    );
    assert_eq!(profile.tags, ["2", "3", "1"]);
    assert_eq!(profile.external_ids, ["crm", "intercom"]);
    assert_eq!(profile.monthly_spend.unwrap().to_string(), "12.5");
    assert_eq!(
        profile
            .provenance
            .get("monthly_spend")
            .map(|origin| origin.source),
        Some(Source::Intercom)
    );
}
