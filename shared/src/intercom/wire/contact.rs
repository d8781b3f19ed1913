//! Contacts (`Contact` of the API reference), users and leads alike.

use serde::Deserialize;

use super::{
    contact_extras::ContactExtras,
    document::Document,
    lenient::Lenient,
    object::Object,
    poison::{read_extras, read_object},
    repair::repair,
    scalar::{Flag, Seconds, Text},
    sub_list::{Count, sub_list},
};
use crate::domain::records::{Contact, ContactFields, Poison, SubList};

#[derive(Deserialize)]
struct WireContact {
    id: Text,
    #[serde(default)]
    role: Text,
    #[serde(default)]
    external_id: Text,
    #[serde(default)]
    email: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    phone: Text,
    /// A string from 2.16 on, an integer before.
    #[serde(default)]
    owner_id: Text,
    updated_at: Seconds,
    #[serde(default)]
    created_at: Lenient<Seconds>,
    #[serde(default)]
    last_seen_at: Seconds,
    #[serde(default)]
    last_replied_at: Seconds,
    #[serde(default)]
    last_contacted_at: Seconds,
    #[serde(default)]
    custom_attributes: Option<Document>,
    #[serde(default)]
    location: Option<Document>,
    #[serde(default)]
    companies: Option<Object<CompanyList>>,
    #[serde(default)]
    merge_history: Option<Vec<Object<Merge>>>,
}

/// A list inside an object shows at most ten entries. `has_more` says whether there are others.
#[derive(Default, Deserialize)]
struct CompanyList {
    #[serde(default)]
    data: Option<Vec<Object<CompanyEntry>>>,
    #[serde(default)]
    has_more: Flag,
    #[serde(default)]
    total_count: Count,
}

#[derive(Deserialize)]
struct CompanyEntry {
    id: Text,
}

#[derive(Deserialize)]
struct Merge {
    #[serde(default)]
    source_contact_id: Text,
}

/// Reads one contact of a page. Fields that only profiles show are checked and not kept.
pub fn read_contact(raw: &str) -> Result<Contact, Poison> {
    read_object("contact", raw, |wire: WireContact, sanitised| {
        Ok(Contact {
            source_id: wire.id.key()?.ok_or("the contact has no id")?,
            external_id: wire.external_id.some(),
            // Intercom has one of each.
            emails: wire.email.some().into_iter().collect(),
            phones: wire.phone.some().into_iter().collect(),
            updated_at: wire.updated_at.0.ok_or("the contact has no updated_at")?,
            created_at: wire.created_at.0.0,
            companies: companies(wire.companies)?,
            absorbed: keys(
                wire.merge_history
                    .unwrap_or_default()
                    .into_iter()
                    .map(|Object(merge)| merge.source_contact_id),
            )?,
            sanitised,
            raw: raw.to_owned(),
        })
    })
}

/// Reads what a profile shows of a contact.
pub fn read_contact_fields(raw: &str) -> Result<ContactFields, Poison> {
    read_object("contact", raw, |wire: WireContact, _| {
        let mut extras: ContactExtras = read_extras(raw);
        Ok(ContactFields {
            role: wire.role.some(),
            email: wire.email.some(),
            name: wire.name.some(),
            phone: wire.phone.some(),
            owner: wire.owner_id.id(),
            attributes: wire.custom_attributes.unwrap_or_default().0,
            location: wire.location.unwrap_or_default().0,
            last_seen_at: wire.last_seen_at.0,
            last_replied_at: wire.last_replied_at.0,
            last_contacted_at: wire.last_contacted_at.0,
            signed_up_at: extras.signed_up_at(),
            emails: Vec::new(),
            phones: Vec::new(),
            browser: extras.browser(),
            devices: extras.devices(),
            consent: extras.consent(),
            tags: extras.tags(),
            segments: extras.segments(),
        })
    })
}

/// The companies that a contact shows. A missing list is no empty one.
fn companies(list: Option<Object<CompanyList>>) -> Result<SubList, &'static str> {
    let Object(list) = list.unwrap_or_default();
    let shown = list.data.as_ref().map_or(0, Vec::len);
    let ids = list
        .data
        .map(|entries| keys(entries.into_iter().map(|Object(entry)| entry.id)))
        .transpose()?;
    Ok(match sub_list(ids, shown, list.total_count) {
        SubList::Whole(ids) if list.has_more.0 => SubList::Part(ids),
        list => list,
    })
}

/// The company ids in a response of `GET /contacts/{id}/companies`. Entries without an id are left out.
///
/// # Errors
/// When an entry cannot be read, because the stored list would then be too short.
pub fn company_ids(items: &[&str]) -> Result<Vec<String>, &'static str> {
    let entries = items.iter().map(|raw| {
        serde_json::from_str::<Object<CompanyEntry>>(&repair(raw)).map(|Object(entry)| entry.id)
    });
    keys(
        entries
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "a company of the contact's cannot be read")?
            .into_iter(),
    )
}

/// The ids of a list. Entries without an id are left out.
fn keys(ids: impl Iterator<Item = Text>) -> Result<Vec<String>, &'static str> {
    ids.filter_map(|id| id.key().transpose()).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::records::{Browser, ConsentFields, Device, Platform};

    fn good(raw: &str) -> Contact {
        read_contact(raw).unwrap_or_else(|poison| panic!("{poison:?}"))
    }

    fn shown(raw: &str) -> ContactFields {
        read_contact_fields(raw).unwrap_or_else(|poison| panic!("{poison:?}"))
    }

    #[test]
    fn both_forms_of_an_owner_are_read() {
        for owner in ["127", "\"127\""] {
            let fields = shown(&format!(
                r#"{{"id":"a","updated_at":1700000000,"owner_id":{owner}}}"#
            ));
            assert_eq!(fields.owner.as_deref(), Some("127"));
        }
        let none = shown(r#"{"id":"a","updated_at":1,"owner_id":null}"#);
        assert_eq!(none.owner, None);
    }

    #[test]
    fn only_a_whole_list_of_companies_is_taken_for_whole() {
        let companies =
            |list: &str| good(&format!(r#"{{"id":"a","updated_at":1{list}}}"#)).companies;
        let one = || vec!["c1".to_owned()];
        for (list, expected) in [
            (
                r#","companies":{"data":[{"id":"c1"}],"has_more":false}"#,
                SubList::Whole(one()),
            ),
            (
                r#","companies":{"data":[{"id":"c1"}],"total_count":1}"#,
                SubList::Whole(one()),
            ),
            (
                r#","companies":{"data":[],"total_count":0}"#,
                SubList::Whole(Vec::new()),
            ),
            (
                r#","companies":{"data":[{"id":"c1"}],"has_more":true}"#,
                SubList::Part(one()),
            ),
            (
                r#","companies":{"data":[{"id":"c1"}],"total_count":2}"#,
                SubList::Part(one()),
            ),
            (r#","companies":{"data":null}"#, SubList::Part(Vec::new())),
            (r#","companies":{}"#, SubList::Part(Vec::new())),
            (r#","companies":null"#, SubList::Part(Vec::new())),
            ("", SubList::Part(Vec::new())),
        ] {
            assert_eq!(companies(list), expected, "{list}");
        }
    }

    #[test]
    fn a_contact_of_the_wrong_shape_is_poison_with_its_id() {
        for raw in [
            r#"{"id":"a1","updated_at":"yesterday"}"#,
            r#"{"id":"a1","updated_at":1e300}"#,
            r#"{"id":"a1"}"#,
            r#"{"id":"a1","updated_at":1,"email":{"not":"text"}}"#,
        ] {
            let Err(poison) = read_contact(raw) else {
                panic!("{raw}")
            };
            assert_eq!(
                (poison.source_id.as_str(), poison.raw.as_slice()),
                ("a1", raw.as_bytes())
            );
        }
        let Err(poison) = read_contact("null") else {
            panic!()
        };
        assert!(poison.source_id.starts_with("digest-"));
    }

    #[test]
    fn text_that_postgres_refuses_is_repaired_and_flagged() {
        let raw = r#"{"id":"a","updated_at":1,"name":"A\u0000\ud800B"}"#;
        assert_eq!(shown(raw).name.as_deref(), Some("A\u{fffd}\u{fffd}B"));
        let contact = good(raw);
        assert!(contact.sanitised && contact.raw.contains("\\u0000"));
    }

    #[test]
    fn a_contact_shows_its_browser_its_devices_and_what_it_consents_to() {
        let fields = shown(
            r#"{"id":"a","updated_at":1,"created_at":50,"signed_up_at":60,"browser":"chrome","browser_version":"119.0",
            "browser_language":"en","os":"OS X","android_app_name":null,"android_last_seen_at":null,
            "ios_app_name":"Acme Go","ios_app_version":"4.2","ios_device":"iPhone14,2","ios_os_version":"17.1",
            "ios_last_seen_at":70,"unsubscribed_from_emails":true,"marked_email_as_spam":false,"has_hard_bounced":false,
            "tags":{"type":"list","data":[{"type":"tag","id":"7","url":"/tags/7"},{"id":8}],"has_more":false},
            "segments":{"data":[{"id":"s"}]}}"#,
        );
        let text = |text: &str| Some(text.to_owned());
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        assert_eq!(fields.signed_up_at, at(60));
        assert_eq!(
            fields.browser,
            Some(Browser {
                name: text("chrome"),
                version: text("119.0"),
                language: text("en"),
                os: text("OS X"),
            })
        );
        assert_eq!(
            fields.devices,
            [Device {
                platform: Platform::Ios,
                app_name: text("Acme Go"),
                app_version: text("4.2"),
                device: text("iPhone14,2"),
                os_version: text("17.1"),
                last_seen_at: at(70),
            }]
        );
        let consent = ConsentFields {
            unsubscribed: Some(true),
            marked_as_spam: Some(false),
            hard_bounced: Some(false),
            unsubscribed_from_sms: None,
            may_email: None,
        };
        assert_eq!(fields.consent, consent);
        assert_eq!(fields.tags, ["7", "8"]);
        assert_eq!(fields.segments, ["s"]);
    }

    #[test]
    fn what_cannot_be_read_beside_the_fields_is_empty_and_no_poison() {
        let bare = shown(r#"{"id":"a","updated_at":1}"#);
        for extra in [
            r#""browser":{"name":"chrome"}"#,
            r#""browser":true,"os":[1]"#,
            r#""created_at":"yesterday","signed_up_at":-1"#,
            r#""ios_last_seen_at":1e300"#,
            r#""unsubscribed_from_emails":"yes","has_hard_bounced":1"#,
            r#""tags":[{"id":"7"}],"segments":7"#,
            r#""tags":{"data":[7,null,{"id":{}},{"name":"x"}]}"#,
            r#""browser":"chrome","browser":"safari""#,
        ] {
            let raw = format!(r#"{{"id":"a","updated_at":1,{extra}}}"#);
            assert_eq!(shown(&raw), bare, "{extra}");
            assert_eq!(good(&raw).created_at, None, "{extra}");
        }
        let raw = r#"{"id":"a","updated_at":1,"os":{},"browser":"chrome","created_at":5}"#;
        let browser = shown(raw).browser.unwrap();
        assert_eq!(browser.name.as_deref(), Some("chrome"));
        assert!(good(raw).created_at.is_some());
    }

    #[test]
    fn deep_nesting_is_poison_and_not_a_stack_overflow() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        let raw = format!(r#"{{"id":"a","updated_at":1,"custom_attributes":{{"x":{deep}}}}}"#);
        assert!(read_contact(&raw).is_err());
    }
}
