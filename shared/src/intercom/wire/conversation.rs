//! Conversations as lists show them, without their parts, and a part alone. `thread.rs` reads the full response.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    lenient::Lenient,
    object::Object,
    poison::read_object,
    scalar::{Flag, Seconds, Text, Whole},
    sub_list::{Count, sub_list},
};
use crate::domain::records::{Conversation, FIRST_MESSAGE, Part, Poison, SubList};

#[derive(Deserialize)]
struct WireConversation {
    id: Text,
    #[serde(default)]
    title: Text,
    #[serde(default)]
    state: Text,
    #[serde(default)]
    open: Flag,
    /// `none … urgent` from 2.16 on, `priority | not_priority` before.
    #[serde(default)]
    priority: Text,
    #[serde(default)]
    admin_assignee_id: Text,
    #[serde(default)]
    team_assignee_id: Text,
    #[serde(default)]
    tags: Option<Object<Tags>>,
    #[serde(default)]
    contacts: Option<Object<Contacts>>,
    #[serde(default)]
    company: Lenient<Option<Object<Company>>>,
    created_at: Seconds,
    updated_at: Seconds,
    #[serde(default)]
    statistics: Option<Object<Statistics>>,
    #[serde(default)]
    source: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<Object<Named>>>,
    #[serde(default)]
    total_count: Count,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: Text,
}

#[derive(Default, Deserialize)]
struct Contacts {
    #[serde(default)]
    contacts: Option<Vec<Object<ContactEntry>>>,
    #[serde(default)]
    total_count: Count,
}

#[derive(Deserialize)]
struct ContactEntry {
    id: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Company {
    id: Lenient<Text>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    count_conversation_parts: Whole,
}

/// The first message, which is in `source` and not among the parts.
#[derive(Deserialize)]
struct WireFirstMessage {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    id: Text,
    #[serde(default)]
    body: Text,
    #[serde(default)]
    author: Option<Object<WireAuthor>>,
    #[serde(default)]
    redacted: Flag,
}

#[derive(Deserialize)]
struct WirePart {
    id: Text,
    #[serde(default)]
    part_type: Text,
    #[serde(default)]
    body: Text,
    created_at: Seconds,
    #[serde(default)]
    updated_at: Seconds,
    #[serde(default)]
    author: Option<Object<WireAuthor>>,
    #[serde(default)]
    redacted: Flag,
}

#[derive(Default, Deserialize)]
struct WireAuthor {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
}

/// Reads a list item.
pub fn read_conversation(raw: &str) -> Result<Conversation, Poison> {
    read_object("conversation", raw, |wire: WireConversation, sanitised| {
        let updated_at = wire
            .updated_at
            .0
            .ok_or("the conversation has no updated_at")?;
        let created_at = wire
            .created_at
            .0
            .ok_or("the conversation has no created_at")?;
        Ok(Conversation {
            source_id: wire.id.key()?.ok_or("the conversation has no id")?,
            title: wire.title.some(),
            state: wire.state.some(),
            open: wire.open.0,
            priority: wire.priority.some(),
            admin_assignee_id: wire.admin_assignee_id.id(),
            team_assignee_id: wire.team_assignee_id.id(),
            tags: wire.tags.and_then(|Object(list)| tags(list)),
            contacts: contacts(wire.contacts.unwrap_or_default().0)?,
            company_source_id: wire
                .company
                .0
                .and_then(|Object(company)| company_id(company)),
            created_at,
            updated_at,
            part_count: wire
                .statistics
                .and_then(|Object(statistics)| statistics.count_conversation_parts.count()),
            first_message: match wire.source {
                Some(source) => first_message(source.get(), created_at, updated_at, sanitised)?,
                None => None,
            },
            sanitised,
            raw: raw.to_owned(),
        })
    })
}

/// An id that no index can hold costs the conversation its company, and not its place.
fn company_id(company: Company) -> Option<String> {
    company.id.0.key().ok().flatten().filter(|id| id != "0")
}

/// The names of all tags. `None` if the list is missing or cut.
fn tags(list: Tags) -> Option<Vec<String>> {
    let tags = list.tags?;
    list.total_count.is_reached(tags.len()).then(|| {
        // A tag without a name cannot be shown or searched, and its absence harms no other field.
        tags.into_iter()
            .filter_map(|Object(tag)| tag.name.some())
            .collect()
    })
}

/// The contacts that take part. An id that no index can hold makes the whole conversation poison, because it would hang
/// on no contact.
fn contacts(list: Contacts) -> Result<SubList, &'static str> {
    let shown = list.contacts.as_ref().map_or(0, Vec::len);
    let ids = list.contacts.map(|entries| {
        entries
            .into_iter()
            .filter_map(|Object(entry)| entry.id.key().transpose())
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(sub_list(ids.transpose()?, shown, list.total_count))
}

/// The first message, if there is one. Without one, `source` is null, `{}` or all null. A first message
/// that cannot be read is an error.
fn first_message(
    raw: &str,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    sanitised: bool,
) -> Result<Option<Part>, &'static str> {
    let Object(source): Object<WireFirstMessage> =
        serde_json::from_str(raw).map_err(|_| "the first message (`source`) cannot be read")?;
    let Object(author) = source.author.unwrap_or_default();
    let (kind, id, body) = (source.kind.some(), source.id.some(), source.body.0);
    if id.is_none() && body.is_none() && (kind.is_none() || author.id.0.is_none()) {
        return Ok(None);
    }
    Ok(Some(Part {
        source_id: FIRST_MESSAGE.to_owned(),
        kind: FIRST_MESSAGE.to_owned(),
        author_kind: author.kind.some(),
        author_source_id: author.id.some(),
        author_name: author.name.some(),
        body,
        redacted: source.redacted.0,
        internal: false,
        created_at,
        // A first message has no update time of its own. Its redaction moves the conversation's.
        updated_at,
        sanitised,
        raw: raw.to_owned(),
    }))
}

/// Reads one part. `note` parts are teammates' internal remarks.
pub fn read_part(raw: &str) -> Result<Part, Poison> {
    read_object("part", raw, |wire: WirePart, sanitised| {
        let created_at = wire.created_at.0.ok_or("the part has no created_at")?;
        let Object(author) = wire.author.unwrap_or_default();
        let kind = wire
            .part_type
            .some()
            // Intercom adds kinds without a new version, so a part without one is kept.
            .unwrap_or_else(|| "unknown".to_owned());
        Ok(Part {
            source_id: wire.id.key()?.ok_or("the part has no id")?,
            internal: kind == "note",
            kind,
            author_kind: author.kind.some(),
            author_source_id: author.id.some(),
            author_name: author.name.some(),
            body: wire.body.0,
            redacted: wire.redacted.0,
            created_at,
            updated_at: wire.updated_at.0.unwrap_or(created_at),
            sanitised,
            raw: raw.to_owned(),
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::intercom::wire) const STUB: &str = r#"{"id":"215","created_at":100,"updated_at":200,"open":true,"admin_assignee_id":0,"team_assignee_id":814,
        "source":{"type":"email","id":"9","body":"<p>hi</p>","author":{"type":"user","id":"u1","name":"Ann"}},
        "statistics":{"count_conversation_parts":2},"tags":{"tags":[{"id":"1","name":"vip"}]},
        "contacts":{"contacts":[{"id":"u1"},{"id":"u2"}]}}"#;

    fn stub(raw: &str) -> Conversation {
        match read_conversation(raw) {
            Ok(conversation) => conversation,
            Err(poison) => panic!("{poison:?}"),
        }
    }

    #[test]
    fn a_stub_holds_its_first_message_and_people() {
        let conversation = stub(STUB);
        assert_eq!(
            (
                conversation.admin_assignee_id,
                conversation.team_assignee_id.as_deref()
            ),
            (None, Some("814"))
        );
        assert_eq!(conversation.contacts.entries(), ["u1", "u2"]);
        assert_eq!(conversation.part_count, Some(2));
        assert_eq!(
            conversation.first_message.unwrap().body.as_deref(),
            Some("<p>hi</p>")
        );
    }

    #[test]
    fn a_list_that_is_missing_or_cut_is_not_empty() {
        let read = |lists: &str| {
            stub(&format!(
                r#"{{"id":"1","created_at":1,"updated_at":1{lists}}}"#
            ))
        };
        let whole = read(r#","tags":{"tags":[]},"contacts":{"contacts":[],"total_count":0}"#);
        assert!(whole.tags == Some(Vec::new()) && whole.contacts.is_whole());
        for lists in [
            "",
            r#","tags":null,"contacts":null"#,
            r#","tags":{},"contacts":{}"#,
            r#","tags":{"tags":null},"contacts":{"contacts":null}"#,
            r#","tags":{"tags":[{"name":"a"}],"total_count":2},"contacts":{"contacts":[{"id":"u"}],"total_count":2}"#,
        ] {
            let cut = read(lists);
            assert!(cut.tags.is_none() && !cut.contacts.is_whole(), "{lists}");
        }
    }

    #[test]
    fn an_empty_source_is_no_message() {
        for source in [
            "null",
            "{}",
            r#"{"type":"unknown","id":null,"body":null,"author":{"type":null,"id":null}}"#,
        ] {
            let raw = format!(r#"{{"id":"1","created_at":1,"updated_at":1,"source":{source}}}"#);
            assert!(stub(&raw).first_message.is_none(), "{source}");
        }
    }
}
