//! Objects, each read alone: a record whose every word can be stored, or poison with all its bytes.

use shared::{
    domain::{
        JsonText,
        records::{
            Company, CompanyFields, Contact, ContactFields, Conversation, Part, Poison,
            ReferenceItem,
        },
    },
    intercom::wire::{
        Deleted, ReferenceKind, company_ids, read_attachments, read_company, read_company_fields,
        read_contact, read_contact_fields, read_conversation, read_conversation_extras,
        read_deleted, read_reference, read_thread,
    },
};

use crate::{holdable, holdable_whole, text};

/// The longest id that is stored anywhere.
const LONGEST_ID: usize = 255;
/// What a reason may come to.
const LONGEST_REASON: usize = 256;

fn id(id: &str) {
    holdable(id);
    assert!((1..=LONGEST_ID).contains(&id.len()), "{id:?} is an id");
}

fn words<const N: usize>(words: [Option<&String>; N]) {
    words.into_iter().flatten().for_each(|word| holdable(word));
}

/// Poison is the object, byte for byte, under an id that can be stored and with a reason of some words.
fn poison(poison: &Poison, raw: &str) {
    assert_eq!(poison.raw, raw.as_bytes());
    id(&poison.source_id);
    holdable(&poison.reason);
    assert!(
        !poison.reason.is_empty() && poison.reason.len() <= LONGEST_REASON,
        "{:?}",
        poison.reason
    );
}

/// Reads twice: equal bytes are read alike. What is good passes `check`, what is bad is all there.
fn each<T: std::fmt::Debug>(
    raw: &str,
    read: impl Fn(&str) -> Result<T, Poison>,
    check: impl Fn(&T),
) {
    let (once, twice) = (read(raw), read(raw));
    assert_eq!(format!("{once:?}"), format!("{twice:?}"));
    match once {
        Ok(record) => check(&record),
        Err(bad) => poison(&bad, raw),
    }
}

fn contact_holds(contact: &Contact, raw: &str) {
    let Contact {
        source_id,
        external_id,
        companies,
        absorbed,
        sanitised,
        raw: kept,
        ..
    } = contact;
    assert_eq!(kept, raw);
    id(source_id);
    companies
        .entries()
        .iter()
        .chain(absorbed)
        .for_each(|other| id(other));
    words([external_id.as_ref()]);
    let (emails, phones) = (&contact.emails, &contact.phones);
    let texts = emails.iter().chain(phones);
    texts.for_each(|text| holdable(text));
    // Of text, nothing is made more of than there is: a character that replaces an escape is no longer than it.
    let said = emails.iter().chain(phones).map(String::len).sum::<usize>();
    assert!(said <= raw.len());
    assert!(!sanitised || raw.contains("\\u"));
    let shown = read_contact_fields(raw).expect("a contact that is stored can be shown");
    contact_shows(&shown);
}

fn contact_shows(fields: &ContactFields) {
    words(
        [
            &fields.role,
            &fields.email,
            &fields.name,
            &fields.phone,
            &fields.owner,
        ]
        .map(Option::as_ref),
    );
    for document in [&fields.attributes, &fields.location].map(JsonText::parsed) {
        holdable_whole(&document);
        assert!(document.is_object());
    }
    // The browser, the devices and the rest.
    let names = [&fields.tags, &fields.segments].into_iter().flatten();
    names.for_each(|name| id(name));
    holdable_whole(&serde_json::to_value(&fields.browser).unwrap());
    holdable_whole(&serde_json::to_value(&fields.devices).unwrap());
}

fn company_holds(company: &Company, raw: &str) {
    let Company {
        source_id,
        external_id,
        raw: kept,
        ..
    } = company;
    assert_eq!(kept, raw);
    id(source_id);
    words([external_id.as_ref()]);
    let shown = read_company_fields(raw).expect("a company that is stored can be shown");
    company_shows(&shown);
}

fn company_shows(fields: &CompanyFields) {
    words([&fields.name, &fields.domain, &fields.plan, &fields.industry].map(Option::as_ref));
    holdable_whole(&fields.attributes.parsed());
    assert!(
        fields
            .domain
            .as_ref()
            .is_none_or(|domain| domain.len() <= 253)
    );
}

fn conversation_holds(conversation: &Conversation) {
    id(&conversation.source_id);
    let Conversation {
        title,
        state,
        priority,
        admin_assignee_id,
        team_assignee_id,
        ..
    } = conversation;
    words([title, state, priority, admin_assignee_id, team_assignee_id].map(Option::as_ref));
    conversation
        .company_source_id
        .iter()
        .for_each(|company| id(company));
    conversation
        .contacts
        .entries()
        .iter()
        .for_each(|contact| id(contact));
    conversation
        .tags
        .iter()
        .flatten()
        .for_each(|tag| holdable(tag));
    assert!(conversation.part_count.is_none_or(|count| count >= 0));
    conversation.first_message.iter().for_each(part_holds);
}

fn part_holds(part: &Part) {
    id(&part.source_id);
    holdable(&part.kind);
    words(
        [
            &part.author_kind,
            &part.author_source_id,
            &part.author_name,
            &part.body,
        ]
        .map(Option::as_ref),
    );
    assert_eq!(part.internal, part.kind == "note");
}

#[test]
fn contact() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        each(&raw, read_contact, |contact| contact_holds(contact, &raw));
        if let Ok(ids) = company_ids(&[&raw]) {
            assert!(ids.len() <= 1);
            ids.iter().for_each(|company| id(company));
        }
    });
}

#[test]
fn company() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        each(&raw, read_company, |company| company_holds(company, &raw));
    });
}

#[test]
fn conversation() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        each(&raw, read_conversation, |conversation| {
            assert_eq!(conversation.raw, raw);
            conversation_holds(conversation);
        });
        let extras = read_conversation_extras(&raw);
        assert_eq!(extras, read_conversation_extras(&raw));
        holdable_whole(&serde_json::to_value(&extras).unwrap());
        holdable_whole(&serde_json::to_value(read_attachments(&raw)).unwrap());
    });
}

/// A thread and its parts. Every part that was sent is held or quarantined, and none is in the stub's bytes.
#[test]
fn thread() {
    check!().for_each(|bytes: &[u8]| {
        let body = text(bytes);
        let read = read_thread(&body);
        assert_eq!(format!("{read:?}"), format!("{:?}", read_thread(&body)));
        let Ok((read, poisons)) = read else { return };
        let sent = parts_sent(&body);
        match read {
            Ok(thread) => {
                conversation_holds(&thread.conversation);
                thread.parts.iter().for_each(part_holds);
                assert_eq!(thread.parts.len() + poisons.len(), sent, "no part is lost");
                assert!(thread.total_count.is_none_or(|count| count >= 0));
                assert!(thread.conversation.raw.len() < body.len());
                let of_this = format!("{}/", thread.conversation.source_id);
                for poison in &poisons {
                    assert!(poison.source_id.starts_with(&of_this));
                    assert!(body.contains(std::str::from_utf8(&poison.raw).unwrap()));
                }
                // The stub without its parts is what a list would have shown.
                assert!(read_conversation(&thread.conversation.raw).is_ok());
            }
            Err(bad) => {
                id(&bad.source_id);
                assert!(poisons.is_empty());
            }
        }
    });
}

/// Counted by other means than the parser's.
fn parts_sent(body: &str) -> usize {
    #[derive(serde::Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        conversation_parts: Inner<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        conversation_parts: Vec<&'a serde_json::value::RawValue>,
    }
    serde_json::from_str::<Outer<'_>>(body)
        .map_or(0, |outer| outer.conversation_parts.conversation_parts.len())
}

/// Parts alone, each in a thread that is otherwise good.
#[test]
fn part() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        let body = format!(
            r#"{{"id":"1","created_at":1,"updated_at":2,"conversation_parts":{{"conversation_parts":[{raw},{{"id":"2","created_at":3}}]}}}}"#
        );
        // What is no JSON value breaks the list, or adds to it.
        if serde_json::from_str::<&serde_json::value::RawValue>(&raw).is_err() {
            return;
        }
        let (Ok(thread), poisons) = read_thread(&body).unwrap() else { panic!("the stub is good") };
        assert_eq!(thread.parts.len() + poisons.len(), 2);
        assert!(thread.parts.iter().any(|part| part.source_id == "2"), "its neighbour lands");
        thread.parts.iter().for_each(part_holds);
        poisons.iter().for_each(|bad| assert_eq!(bad.raw, raw.trim().as_bytes()));
    });
}

#[test]
fn reference() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        for kind in ReferenceKind::ALL {
            each(
                &raw,
                |raw| read_reference(kind, raw),
                |item: &ReferenceItem| {
                    id(&item.source_id);
                    words([item.name.as_ref()]);
                    let doc = serde_json::from_str(&item.doc).unwrap();
                    holdable_whole(&doc);
                    // Numbers may be written longer than they came: 1e9 is 1000000000.0.
                    assert!(item.doc.len() <= 32 * raw.len() + 2);
                },
            );
        }
    });
}

#[test]
fn deleted() {
    check!().for_each(|bytes: &[u8]| {
        let raw = text(bytes);
        each(
            &raw,
            read_deleted,
            |Deleted {
                 source_id,
                 deleted_at,
             }| {
                id(source_id);
                assert!((0..253_402_300_800).contains(&deleted_at.timestamp()));
            },
        );
    });
}
