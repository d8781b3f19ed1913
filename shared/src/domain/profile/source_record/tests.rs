use super::*;
use crate::domain::{
    profile::{ContactRecord, MergeRules, RecordKey, Source, fold_contact},
    records::Platform,
};

const CONTACT: &str = r#"{"source_id":"003A","source_updated_at":"2026-11-29T12:00:00+02:00","company":"001A","fields":{
    "external_id":"42","created_at":"2026-01-01T00:00:00Z","email":"ann@acme.example","emails":["ann@home.example"],
    "name":"Ann","phone":null,"phones":["+49 30 123456"],"attributes":{"plan":"pro","n":12345678901234567890123},
    "location":{"city":"Cork"},"last_seen_at":"2026-11-01T00:00:00Z","tags":["vip"],
    "browser":{"name":"chrome"},"devices":[{"platform":"ios","device":"iPhone"}],
    "consent":{"unsubscribed":true}}}"#;

fn contact(fields: &str) -> Result<SourceRecord<ContactFields>, SourceRecordError> {
    read_source_contact(&format!(
        r#"{{"source_id":"1","source_updated_at":"2026-11-29T12:00:00Z","fields":{fields}}}"#
    ))
}

#[test]
fn a_contact_is_read_as_it_is_sent() {
    let record = read_source_contact(CONTACT).unwrap();
    assert_eq!(
        (record.source_id.as_str(), record.company.as_deref()),
        ("003A", Some("001A"))
    );
    assert_eq!(
        record.source_updated_at.to_rfc3339(),
        "2026-11-29T10:00:00+00:00"
    );
    assert_eq!(
        record.source_created_at.unwrap().to_rfc3339(),
        "2026-01-01T00:00:00+00:00"
    );
    assert_eq!(record.external_id.as_deref(), Some("42"));
    let fields = &record.fields;
    assert_eq!(
        fields.attributes.get(),
        r#"{"plan":"pro","n":12345678901234567890123}"#
    );
    assert_eq!((fields.phone.as_deref(), fields.emails.len()), (None, 1));
    assert_eq!(fields.devices[0].platform, Platform::Ios);
    assert_eq!(fields.consent.unsubscribed, Some(true));
    // It is a record like any other.
    let profile = fold_contact(
        &[ContactRecord {
            key: RecordKey {
                connection: crate::domain::ConnectionId::new(),
                source_id: record.source_id,
            },
            source: Source::Crm,
            source_updated_at: record.source_updated_at,
            deleted_at: None,
            external_id: record.external_id,
            companies: Vec::new(),
            fields: record.fields,
        }],
        &MergeRules::default(),
    );
    assert_eq!(profile.phone.as_deref(), Some("+49 30 123456"));
    assert_eq!(profile.emails, ["ann@acme.example", "ann@home.example"]);
    assert!(!profile.consent.may_email);
}

#[test]
fn a_company_is_read_as_it_is_sent() {
    let raw = r#"{"source_id":"001A","source_updated_at":"2026-11-29T12:00:00Z","fields":{"name":"Acme",
        "domain":"acme.example","monthly_spend":12.5,"size":7,"tags":["1"]}}"#;
    let record = read_source_company(raw).unwrap();
    assert_eq!(
        (record.fields.name.as_deref(), record.fields.size),
        (Some("Acme"), Some(7))
    );
    assert_eq!(record.fields.monthly_spend.unwrap().to_string(), "12.5");
    let with_company = raw.replace(r#""fields":"#, r#""company":"x","fields":"#);
    assert_eq!(
        read_source_company(&with_company).unwrap_err().code(),
        "unknown_field"
    );
}

#[test]
fn without_fields_a_record_says_only_that_it_exists() {
    for raw in [
        r#"{"source_id":"1","source_updated_at":"2026-11-29T12:00:00Z"}"#,
        r#"{"source_id":"1","source_updated_at":"2026-11-29T12:00:00Z","fields":null,"company":null}"#,
    ] {
        let record = read_source_contact(raw).unwrap();
        assert_eq!(
            (record.fields, record.source_created_at),
            (ContactFields::default(), None)
        );
    }
}

#[test]
fn what_cannot_be_taken_is_refused_by_its_name() {
    let long = |bytes: usize| "x".repeat(bytes);
    let entries = vec![r#""t""#; 101].join(",");
    for (fields, code, text) in [
        (
            r#"{"emial":"a"}"#.to_owned(),
            "unknown_field",
            r#""fields.emial" is not known: use one of attributes, "#,
        ),
        (
            r#"{"plan":"a"}"#.to_owned(),
            "unknown_field",
            r#""fields.plan" is not known: "#,
        ),
        (
            r#"{"email":7}"#.to_owned(),
            "unreadable_field",
            "fields.email cannot be read: send a text",
        ),
        (
            r#"{"emails":"a"}"#.to_owned(),
            "unreadable_field",
            "fields.emails cannot be read: send a list of texts",
        ),
        (
            r#"{"name":"a\u0000"}"#.to_owned(),
            "unreadable_field",
            "fields.name cannot be read: send a text",
        ),
        (
            r#"{"name":"\ud800"}"#.to_owned(),
            "unreadable_field",
            "fields.name cannot be read: send a text",
        ),
        (
            r#"{"attributes":{"a":["\u0000"]}}"#.to_owned(),
            "unreadable_field",
            "fields.attributes cannot be read",
        ),
        (
            r#"{"attributes":[]}"#.to_owned(),
            "unreadable_field",
            "fields.attributes cannot be read: send an object",
        ),
        (
            r#"{"last_seen_at":1700000000}"#.to_owned(),
            "unreadable_field",
            "fields.last_seen_at cannot be read: send a time",
        ),
        (
            r#"{"created_at":"+12026-01-01T00:00:00Z"}"#.to_owned(),
            "unreadable_field",
            "fields.created_at cannot be read",
        ),
        (
            r#"{"consent":{"subscribed":true}}"#.to_owned(),
            "unreadable_field",
            "fields.consent cannot be read: send an object of unsub",
        ),
        (
            r#"{"devices":[{"platform":"symbian"}]}"#.to_owned(),
            "unreadable_field",
            "fields.devices cannot be read: send a list",
        ),
        (
            r#"{"browser":[]}"#.to_owned(),
            "unreadable_field",
            "fields.browser cannot be read: send an object",
        ),
        (
            r#"{"location":["Cork"]}"#.to_owned(),
            "unreadable_field",
            "fields.location cannot be read: send an object",
        ),
        (
            r#"{"devices":[["ios"]]}"#.to_owned(),
            "unreadable_field",
            "fields.devices cannot be read: send a list",
        ),
        (
            r#"{"devices":[{"platform":{"ios":null}}]}"#.to_owned(),
            "unreadable_field",
            "fields.devices cannot be read: send a list",
        ),
        (
            "[]".to_owned(),
            "unreadable_field",
            "fields cannot be read: send an object",
        ),
        (
            format!(r#"{{"name":"{}"}}"#, long(2_049)),
            "too_long",
            "fields.name is too long: send at most 2048 bytes",
        ),
        (
            format!(r#"{{"tags":["{}"]}}"#, long(2_049)),
            "too_long",
            "fields.tags is too long",
        ),
        (
            format!(r#"{{"tags":[{entries}]}}"#),
            "too_many",
            "fields.tags has too many entries: send at most 100",
        ),
        (
            format!(r#"{{"attributes":{{"a":"{}"}}}}"#, long(65_536)),
            "too_large",
            "the record has ",
        ),
    ] {
        let error = contact(&fields).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(SourceRecordError::CODES.contains(&code), "{code}");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    for (raw, code, text) in [
        (
            "7",
            "unreadable_field",
            "the record cannot be read: send an object",
        ),
        (
            r#"{"source_id":"1","fields":{}}"#,
            "missing_field",
            "source_updated_at is missing",
        ),
        (
            r#"{"source_updated_at":"2026-11-29T12:00:00Z"}"#,
            "missing_field",
            "source_id is missing",
        ),
        (
            r#"{"source_id":" ","fields":{}}"#,
            "unreadable_field",
            "source_id cannot be read: send a text that is not blank",
        ),
        (
            r#"{"source_id":"1","id":"1"}"#,
            "unknown_field",
            r#""id" is not known: use one of company, deleted, fields, source_id, source_updated_at"#,
        ),
    ] {
        let error = read_source_contact(raw).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    assert!(contact(&format!(r#"{{"name":"{}"}}"#, long(2_048))).is_ok());
    let company =
        r#"{"source_id":"1","source_updated_at":"2026-11-29T12:00:00Z","fields":{"size":-1}}"#;
    assert!(
        read_source_company(company)
            .unwrap_err()
            .to_string()
            .contains("not negative")
    );
}

#[test]
fn an_event_says_whose_it_is_what_and_when() {
    let event = |more: &str| {
        read_source_event(&format!(
            r#"{{"source_id":"1","source_updated_at":"2026-11-29T12:00:00Z",{more}}}"#
        ))
    };
    let read = event(
        r#""fields":{"contact":"7","kind":"page_view","occurred_at":"2026-11-01T00:00:00Z","title":"Pricing","attributes":{"n":1}}"#,
    );
    let read = read.unwrap();
    let stored = read.clone().into_event("raw".to_owned()).unwrap();
    assert_eq!(
        (stored.contact.as_str(), stored.occurred_at.to_rfc3339()),
        ("7", "2026-11-01T00:00:00+00:00".to_owned())
    );
    let fields = read.fields.unwrap();
    assert_eq!(
        (fields.kind.as_str(), fields.title.as_deref()),
        ("page_view", Some("Pricing"))
    );
    assert_eq!(fields.attributes.get(), r#"{"n":1}"#);

    // What was deleted is nobody's.
    let deleted = event(r#""deleted":true"#).unwrap();
    assert!(deleted.is_deleted && deleted.into_event(String::new()).is_none());
    for (fields, missing) in [
        ("", "fields.contact"),
        (r#""contact":"7""#, "fields.kind"),
        (r#""contact":"7","kind":"x""#, "fields.occurred_at"),
    ] {
        let error = event(&format!(r#""fields":{{{fields}}}"#)).unwrap_err();
        assert_eq!(error, SourceRecordError::Missing(missing));
    }
    // It is no person, so it has no id of one.
    let error = event(
        r#""fields":{"contact":"7","kind":"x","occurred_at":"2026-11-01T00:00:00Z","external_id":"7"}"#,
    );
    assert_eq!(error.unwrap_err().code(), "unknown_field");
}
