//! The simulator's truth as the comparison reads it: shapes by version, readable objects, and keys.

use chrono::{DateTime, Utc};
use intercom_simulator::{Kind, TruthLine};
use serde_json::Value;

use super::value;

/// The shape of objects that the connection's API version shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The shape in which the truth is written, from version 2.16 on.
    Current,
    /// Versions before 2.16 have other raw bytes, and two priorities instead of five.
    Older,
}

impl Shape {
    pub(super) fn of_version(version: &str) -> Self {
        let older = version
            .strip_prefix("2.")
            .and_then(|minor| minor.parse::<u32>().ok())
            .is_some_and(|minor| minor < 16);
        if older { Self::Older } else { Self::Current }
    }
}

/// The first message that a live conversation must have.
#[derive(Debug)]
pub(super) struct FirstMessage {
    pub(super) source: Value,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) updated_at: Option<DateTime<Utc>>,
}

/// The object of a line, if it can be read. An object that cannot be read belongs in quarantine.
pub(super) fn readable(line: &TruthLine) -> Option<Value> {
    let object = value::parse(line.object.get()).filter(Value::is_object)?;
    let (times, texts): (&[&str], &[&str]) = match line.kind {
        Kind::Contact => (
            &["updated_at"],
            &[
                "id",
                "email",
                "name",
                "phone",
                "role",
                "external_id",
                "owner_id",
            ],
        ),
        Kind::Company => (
            &["updated_at"],
            &["id", "name", "website", "industry", "company_id"],
        ),
        Kind::Conversation => (
            &["created_at", "updated_at"],
            &["id", "title", "state", "priority"],
        ),
        Kind::Part => (&["created_at"], &["id", "part_type", "body"]),
        Kind::Link | Kind::Admin | Kind::Team | Kind::Tag | Kind::Segment => (&[], &["name"]),
    };
    let good = times
        .iter()
        .all(|name| value::time(&object[*name]).is_some())
        && texts.iter().all(|name| {
            matches!(
                object[*name],
                Value::Null | Value::String(_) | Value::Number(_)
            )
        })
        && (times.is_empty() || value::text(&object["id"]).is_some());
    good.then_some(object)
}

/// The key of a line.
pub(super) fn key_of(line: &TruthLine) -> String {
    match (line.kind, line.parent.as_deref()) {
        (Kind::Link, Some(contact)) => key(
            line.kind,
            contact,
            line.company.as_deref().unwrap_or_default(),
        ),
        (kind, parent) => key(kind, parent.unwrap_or_default(), &line.id),
    }
}

/// The key of a line: kind, the conversation of a part or the contact of a link, and the id.
pub(super) fn key(kind: Kind, parent: &str, id: &str) -> String {
    format!("{kind:?} {parent} {id}")
}

/// A record as examples name it.
pub(super) fn name(kind: Kind, parent: &str, id: &str) -> String {
    let kind = format!("{kind:?}").to_lowercase();
    match (kind.as_str(), parent) {
        (_, "") => format!("{kind} {id}"),
        ("part", conversation) => format!("part {id} of conversation {conversation}"),
        (_, contact) => format!("{kind} {contact}:{}", id.rsplit(':').next().unwrap_or(id)),
    }
}
