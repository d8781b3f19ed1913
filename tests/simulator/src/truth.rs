//! What a complete and correct copy of a workspace holds.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::generate::{contact_lists, render};
use crate::model::Contact;
use crate::store::{ContactEntry, Kind, State, Store};

/// One object, link or tombstone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TruthLine {
    /// What it is.
    pub kind: Kind,
    /// Its Intercom id. A link's id is `contact id:company id`.
    pub id: String,
    /// The conversation of a part, the contact of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The company of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Deleted, archived or merged away.
    pub deleted: bool,
    /// The contact that it was merged into.
    pub merged_into: Option<String>,
    /// It exists, but the API does not show it: a part beyond the newest 500.
    pub hidden: bool,
    /// Unix seconds, or `None` for a kind without that field.
    pub updated_at: Option<i64>,
    /// The object as version 2.16 returns it, with full sub-lists. A conversation comes without
    /// its parts, which have lines of their own. `null` where [`crate::Workspace::put_raw`] put
    /// bytes that are no JSON.
    pub object: Box<RawValue>,
}

impl TruthLine {
    /// The object, parsed.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.object.get()).unwrap_or(Value::Null)
    }
}

/// Hands every line to `take`.
pub(crate) fn each(store: &Store, mut take: impl FnMut(TruthLine)) {
    for entry in store.contacts.iter() {
        let head = &entry.head;
        let line = line(Kind::Contact, &head.id.0, full_contact(entry));
        let line = TruthLine {
            deleted: !head.state.is_live(),
            merged_into: match &head.state {
                State::MergedInto(id) => Some(id.to_string()),
                _ => None,
            },
            updated_at: Some(head.updated_at),
            ..line
        };
        take(line);
        for company in &entry.companies {
            let gone = store.companies.live(company).is_none();
            take(TruthLine {
                parent: Some(head.id.0.to_string()),
                company: Some(company.clone()),
                deleted: gone || !head.state.is_live(),
                ..self::line(Kind::Link, &format!("{}:{company}", head.id.0), null())
            });
        }
    }
    for entry in store.companies.iter() {
        let head = &entry.head;
        take(TruthLine {
            deleted: !head.state.is_live(),
            updated_at: Some(head.updated_at),
            ..line(Kind::Company, &head.id.0, raw(&head.body))
        });
    }
    for entry in store.conversations.iter() {
        let head = &entry.head;
        let deleted = !head.state.is_live();
        take(TruthLine {
            deleted,
            updated_at: Some(head.updated_at),
            ..line(Kind::Conversation, &head.id.0, raw(&head.body))
        });
        for (n, part) in entry.parts.iter().enumerate() {
            take(TruthLine {
                parent: Some(head.id.0.to_string()),
                deleted,
                hidden: n < entry.hidden(),
                updated_at: Some(part.updated_at),
                ..line(Kind::Part, &part.id.to_string(), raw(&part.body))
            });
        }
    }
    reference(store, &mut take);
}

fn reference(store: &Store, take: &mut impl FnMut(TruthLine)) {
    let reference = &store.reference;
    for admin in &reference.admins {
        let id = admin.id.to_string();
        take(line(Kind::Admin, &id, value(&admin.json(false))));
    }
    take(TruthLine {
        deleted: true,
        ..line(
            Kind::Admin,
            &reference.departed.id.to_string(),
            value(&reference.departed.json(false)),
        )
    });
    for team in &reference.teams {
        take(line(Kind::Team, &team.id.to_string(), value(&team.json())));
    }
    for tag in &reference.tags {
        take(line(Kind::Tag, &tag.id, value(&json!(tag))));
    }
    for segment in &reference.segments {
        take(TruthLine {
            updated_at: Some(segment.created_at),
            ..line(Kind::Segment, &segment.id, value(&segment.json(None)))
        });
    }
}

/// A live object with nothing special.
fn line(kind: Kind, id: &str, object: Box<RawValue>) -> TruthLine {
    TruthLine {
        kind,
        id: id.to_owned(),
        parent: None,
        company: None,
        deleted: false,
        merged_into: None,
        hidden: false,
        updated_at: None,
        object,
    }
}

/// The contact with all its companies, tags and notes, not only the first ten.
fn full_contact(entry: &ContactEntry) -> Box<RawValue> {
    let longest = entry
        .companies
        .len()
        .max(entry.tags.len())
        .max(entry.notes.len());
    if longest > 10
        && let Ok(mut contact) = serde_json::from_slice::<Contact>(&entry.head.body)
    {
        contact_lists(&mut contact, entry, longest);
        return raw(&render(&contact));
    }
    raw(&entry.head.body)
}

fn raw(body: &[u8]) -> Box<RawValue> {
    String::from_utf8(body.to_vec())
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .unwrap_or_else(null)
}

fn value(value: &Value) -> Box<RawValue> {
    raw(value.to_string().as_bytes())
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}
