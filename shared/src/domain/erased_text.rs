//! What is left of a conversation of several people once one of them is erased.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::records::{Conversation, Part, SubList};

/// The kind of a part that an erased person wrote. It keeps its place, so that the thread is as long as its source says.
pub const ERASED_PART: &str = "erased";

/// A JSON object whose members stay as they were sent, whatever digits their numbers have.
type Members = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: serde_json::Value,
}

#[derive(Deserialize)]
struct Rating {
    #[serde(default)]
    contact: Option<Named>,
}

/// Whether one of these people wrote a part. Teammates and bots have ids of their own kind.
#[must_use]
pub fn is_by(part: &Part, people: &BTreeSet<String>) -> bool {
    may_be_by_contact(part)
        && (part.author_source_id.as_ref()).is_some_and(|author| people.contains(author))
}

/// Whether a contact may have written a part.
#[must_use]
pub fn may_be_by_contact(part: &Part) -> bool {
    part.author_source_id.is_some()
        && !matches!(part.author_kind.as_deref(), Some("admin" | "bot" | "team"))
}

/// Takes everything that its writer said from a part, and the writer.
pub fn empty(part: &mut Part) {
    if part.kind != super::records::FIRST_MESSAGE {
        ERASED_PART.clone_into(&mut part.kind);
    }
    part.author_kind = None;
    part.author_source_id = None;
    part.author_name = None;
    part.body = None;
    part.redacted = true;
    part.sanitised = false;
    "{}".clone_into(&mut part.raw);
}

/// Takes these people from a conversation that goes on without them.
pub fn take_out(conversation: &mut Conversation, people: &BTreeSet<String>) {
    let keep = |entries: &[String]| {
        let kept = entries.iter().filter(|id| !people.contains(*id));
        kept.cloned().collect()
    };
    conversation.contacts = match &conversation.contacts {
        SubList::Whole(entries) => SubList::Whole(keep(entries)),
        SubList::Part(entries) => SubList::Part(keep(entries)),
    };
    let is_author = (conversation.first_message.as_ref()).is_some_and(|first| is_by(first, people));
    if let Some(first) = conversation.first_message.as_mut().filter(|_| is_author) {
        empty(first);
    }
    if is_author {
        // It is the beginning of the first message.
        conversation.title = None;
    }
    conversation.raw = without(&conversation.raw, people, is_author);
}

/// The bytes of a conversation without these people, and without its first message if one of them wrote it. Bytes that
/// cannot be read are given up, because nobody knows what they say.
#[must_use]
pub fn without(raw: &str, people: &BTreeSet<String>, is_author: bool) -> String {
    let Ok(mut members) = serde_json::from_str::<Members>(raw) else {
        return "{}".to_owned();
    };
    let contacts = members.get("contacts").map(|sent| kept(sent, people));
    if let Some(contacts) = contacts {
        put(&mut members, "contacts", contacts);
    }
    // Whose rating it is, and how soon the person was answered.
    let rating = members.get("conversation_rating");
    let rated = rating.and_then(|rating| serde_json::from_str::<Rating>(rating.get()).ok());
    if rated.is_some_and(|rating| rating.contact.is_some_and(|of| is_one(&of, people))) {
        members.remove("conversation_rating");
    }
    members.remove("first_contact_reply");
    if is_author {
        members.remove("title");
        members.remove("conversation_message");
        let source = members.get("source").map(|sent| of_channel(sent));
        if let Some(source) = source {
            put(&mut members, "source", source);
        }
    }
    serde_json::to_string(&members).unwrap_or_else(|_| "{}".to_owned())
}

/// The list of contacts without these people.
fn kept(sent: &RawValue, people: &BTreeSet<String>) -> Option<Box<RawValue>> {
    let mut list: Members = serde_json::from_str(sent.get()).ok()?;
    let entries: Vec<Box<RawValue>> = serde_json::from_str(list.get("contacts")?.get()).ok()?;
    let kept: Vec<Box<RawValue>> = entries
        .into_iter()
        .filter(|entry| {
            serde_json::from_str::<Named>(entry.get()).is_ok_and(|named| !is_one(&named, people))
        })
        .collect();
    let count = serde_json::value::to_raw_value(&kept.len()).ok()?;
    list.insert("total_count".to_owned(), count);
    let entries = serde_json::value::to_raw_value(&kept).ok()?;
    list.insert("contacts".to_owned(), entries);
    serde_json::value::to_raw_value(&list).ok()
}

/// By which channel a conversation began, and nothing of its first message.
fn of_channel(sent: &RawValue) -> Option<Box<RawValue>> {
    let mut source: Members = serde_json::from_str(sent.get()).ok()?;
    source.retain(|name, _| matches!(name.as_str(), "type" | "id" | "delivered_as"));
    serde_json::value::to_raw_value(&source).ok()
}

fn put(members: &mut Members, name: &str, value: Option<Box<RawValue>>) {
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        // What cannot be read cannot be kept in part.
        None => members.remove(name),
    };
}

fn is_one(named: &Named, people: &BTreeSet<String>) -> bool {
    match &named.id {
        serde_json::Value::String(id) => people.contains(id),
        id => people.contains(&id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn people() -> BTreeSet<String> {
        BTreeSet::from(["a".to_owned()])
    }

    fn raw() -> Value {
        json!({
            "id": "1", "title": "<p>Mine</p>", "admin_assignee_id": 12345678901234567_u64,
            "contacts": {"type": "contact.list", "contacts": [{"id": "a", "external_id": "u1"}, {"id": "b"}], "total_count": 2},
            "source": {"type": "email", "id": "9", "body": "secret", "author": {"id": "a", "email": "a@b.example"}},
            "conversation_rating": {"rating": 1, "remark": "bad", "contact": {"id": "a"}},
            "first_contact_reply": {"url": "https://a.example"},
        })
    }

    #[test]
    fn a_conversation_goes_on_without_one_of_its_people() {
        let left: Value =
            serde_json::from_str(&without(&raw().to_string(), &people(), true)).unwrap();
        assert_eq!(
            left,
            json!({
                "id": "1", "admin_assignee_id": 12345678901234567_u64,
                "contacts": {"type": "contact.list", "contacts": [{"id": "b"}], "total_count": 1},
                "source": {"type": "email", "id": "9"},
            })
        );
    }

    #[test]
    fn what_others_said_stays() {
        let others = BTreeSet::from(["c".to_owned()]);
        let left: Value =
            serde_json::from_str(&without(&raw().to_string(), &others, false)).unwrap();
        let mut expected = raw();
        expected
            .as_object_mut()
            .unwrap()
            .remove("first_contact_reply");
        assert_eq!(left, expected);
    }

    #[test]
    fn what_cannot_be_read_is_given_up() {
        assert_eq!(without("no JSON", &people(), true), "{}");
        let odd = r#"{"id":"1","contacts":"a","source":["a"]}"#;
        assert_eq!(without(odd, &people(), true), r#"{"id":"1"}"#);
    }
}
