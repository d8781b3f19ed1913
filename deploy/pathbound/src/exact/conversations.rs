//! Conversations: typed columns, tags, participants, raw bytes, and the status of their threads.

use intercom_simulator::TruthLine;
use serde_json::Value;
use shared::{domain::records::PARTS_SHOWN, store::reads::StoredConversation};

use super::{
    fields::Fields,
    truth::{Shape, readable},
    value,
};

/// Numbers of a conversation's parts in the truth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartCounts {
    all: i64,
    /// Among the newest 500.
    shown: i64,
    /// Shown and readable, so the sync must have stored them.
    readable: i64,
}

impl PartCounts {
    pub(super) fn add(&mut self, line: &TruthLine) {
        self.all += 1;
        if !line.hidden {
            self.shown += 1;
            self.readable += i64::from(readable(line).is_some());
        }
    }
}

/// The first difference of a live conversation from the truth.
pub(super) fn differs(
    stored: &StoredConversation,
    line: &TruthLine,
    truth: &Value,
    parts: PartCounts,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    fields.same("deleted_at", &stored.deleted_at, &None);
    fields.time(
        "source_created_at",
        Some(stored.source_created_at),
        &truth["created_at"],
    );
    fields.time(
        "source_updated_at",
        Some(stored.source_updated_at),
        &truth["updated_at"],
    );
    fields.text("title", stored.title.as_deref(), &truth["title"]);
    fields.text("state", stored.state.as_deref(), &truth["state"]);
    fields.same(
        "open",
        &stored.open,
        &truth["open"].as_bool().unwrap_or(false),
    );
    fields.same("priority", &stored.priority, &priority(truth, shape));
    fields.same(
        "admin_assignee_id",
        &stored.admin_assignee_id,
        &value::id(&truth["admin_assignee_id"]),
    );
    fields.same(
        "team_assignee_id",
        &stored.team_assignee_id,
        &value::id(&truth["team_assignee_id"]),
    );
    fields.same("tags", &stored.tags, &texts(&truth["tags"]["tags"], "name"));
    let mut contacts = texts(&truth["contacts"]["contacts"], "id");
    contacts.sort_unstable();
    contacts.dedup();
    // Postgres sorts by its own collation.
    let mut stored_contacts = stored.contacts.clone();
    stored_contacts.sort_unstable();
    fields.same("contacts", &stored_contacts, &contacts);
    thread(&mut fields, stored, truth, parts);
    if shape == Shape::Current {
        fields.raw(&stored.raw, line.object.get());
    }
    fields.difference()
}

/// A stored conversation that is deleted must be marked as deleted.
pub(super) fn ended(stored: &StoredConversation) -> Option<String> {
    if stored.deleted_at.is_none() {
        return Some("is deleted in the truth and not marked here".to_owned());
    }
    let status = stored.thread.as_ref().map(|thread| thread.status.as_str());
    (status != Some("gone"))
        .then(|| format!("is deleted, and its thread is {status:?} and not gone"))
}

/// Compares the counts and the status of a thread. Parts that Intercom showed once may be stored beside the
/// newest 500.
fn thread(fields: &mut Fields, stored: &StoredConversation, truth: &Value, parts: PartCounts) {
    let Some(thread) = &stored.thread else {
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
    let counted = value::whole(&truth["statistics"]["count_conversation_parts"]);
    // A total that is no more than what a cut list shows proves nothing of the older parts.
    let is_uncounted =
        counted.is_none() && parts.shown >= i64::from(PARTS_SHOWN) && expected == Some(parts.shown);
    match counted {
        Some(count) => fields.same("the thread's expected", &expected, &Some(count)),
        // Without statistics there is only `total_count`, which may or may not count hidden parts.
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
    } else if is_uncounted || expected.is_some_and(|expected| count < expected) {
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
