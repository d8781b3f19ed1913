//! Conversations: typed columns, tags, who takes part, raw bytes, and what their threads say of themselves.

use intercom_simulator::TruthLine;
use serde_json::Value;
use shared::store::reads::HeldConversation;

use super::{
    check::{Shape, readable},
    fields::Fields,
    value,
};

/// A conversation's parts, as the truth counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    all: i64,
    /// Among the newest 500.
    shown: i64,
    /// Shown, and readable: what can be held for certain.
    readable: i64,
}

impl Parts {
    pub(super) fn add(&mut self, line: &TruthLine) {
        self.all += 1;
        if !line.hidden {
            self.shown += 1;
            self.readable += i64::from(readable(line).is_some());
        }
    }
}

/// What a live conversation should be, against what is held.
pub(super) fn differs(
    held: &HeldConversation,
    line: &TruthLine,
    truth: &Value,
    parts: Parts,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    fields.same("deleted_at", &held.deleted_at, &None);
    fields.time(
        "source_created_at",
        Some(held.source_created_at),
        &truth["created_at"],
    );
    fields.time(
        "source_updated_at",
        Some(held.source_updated_at),
        &truth["updated_at"],
    );
    fields.text("title", held.title.as_deref(), &truth["title"]);
    fields.text("state", held.state.as_deref(), &truth["state"]);
    fields.same(
        "open",
        &held.open,
        &truth["open"].as_bool().unwrap_or(false),
    );
    fields.same("priority", &held.priority, &priority(truth, shape));
    fields.same(
        "admin_assignee_id",
        &held.admin_assignee_id,
        &value::id(&truth["admin_assignee_id"]),
    );
    fields.same(
        "team_assignee_id",
        &held.team_assignee_id,
        &value::id(&truth["team_assignee_id"]),
    );
    fields.same("tags", &held.tags, &texts(&truth["tags"]["tags"], "name"));
    let mut contacts = texts(&truth["contacts"]["contacts"], "id");
    contacts.sort_unstable();
    contacts.dedup();
    // Postgres sorts by its own collation.
    let mut held_contacts = held.contacts.clone();
    held_contacts.sort_unstable();
    fields.same("contacts", &held_contacts, &contacts);
    thread(&mut fields, held, truth, parts);
    if shape == Shape::Current {
        fields.raw(&held.raw, line.object.get());
    }
    fields.difference()
}

/// What a conversation that was deleted should say, where we hold it.
pub(super) fn ended(held: &HeldConversation) -> Option<String> {
    if held.deleted_at.is_none() {
        return Some("is deleted in the truth and not marked here".to_owned());
    }
    let status = held.thread.as_ref().map(|thread| thread.status.as_str());
    (status != Some("gone"))
        .then(|| format!("is deleted, and its thread is {status:?} and not gone"))
}

/// Held against expected, and the word for it. Parts that were shown once and no longer are may be held
/// beside the newest 500.
fn thread(fields: &mut Fields, held: &HeldConversation, truth: &Value, parts: Parts) {
    let Some(thread) = &held.thread else {
        return fields.wrong(|| "has no thread".to_owned());
    };
    let (count, expected) = (i64::from(thread.held), thread.expected.map(i64::from));
    if !(parts.readable..=parts.all).contains(&count) {
        fields.wrong(|| {
            format!(
                "its thread holds {count} parts, of {} readable and {} in all",
                parts.readable, parts.all
            )
        });
    }
    match value::whole(&truth["statistics"]["count_conversation_parts"]) {
        Some(count) => fields.same("the thread's expected", &expected, &Some(count)),
        // Without statistics there is only `total_count`, which may or may not count what is not shown.
        None if expected != Some(parts.all) && expected != Some(parts.shown) => {
            fields.wrong(|| {
                format!(
                    "its thread expects {expected:?}, should be {} or {}",
                    parts.all, parts.shown
                )
            });
        }
        None => {}
    }
    let status = if parts.readable < parts.shown {
        "blocked"
    } else if expected.is_some_and(|expected| count < expected) {
        "truncated"
    } else {
        "complete"
    };
    fields.same("the thread's status", thread.status.as_str(), status);
}

fn priority(truth: &Value, shape: Shape) -> Option<String> {
    let priority = value::text(&truth["priority"])?;
    Some(match (shape, priority.as_str()) {
        (Shape::Current, _) => priority,
        (Shape::Older, "medium" | "high" | "urgent") => "priority".to_owned(),
        (Shape::Older, _) => "not_priority".to_owned(),
    })
}

fn texts(list: &Value, name: &str) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| value::text(&entry[name]))
        .collect()
}
