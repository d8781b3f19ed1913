//! The bookkeeping: each held row takes its line out of the truth; what is left is missing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use intercom_simulator::{Kind, TruthLine};
use serde_json::Value;
use shared::store::reads::{
    HeldCompany, HeldContact, HeldConversation, HeldLink, HeldPart, HeldReference,
};
use uuid::Uuid;

use super::{Report, companies, contacts, conversations, fields::Fields, parts, value};

/// What the connection's version shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As the truth is written: 2.16 or later.
    Current,
    /// Before 2.16: other raw bytes, and two priorities instead of five.
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

/// The first message that a live conversation has to have.
#[derive(Debug)]
pub(super) struct FirstMessage {
    pub(super) source: Value,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) updated_at: Option<DateTime<Utc>>,
}

/// What a conversation's thread claims to hold, and how much of that was found.
#[derive(Debug)]
struct Thread {
    source_id: String,
    claimed: i64,
    found: i64,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Check<'t> {
    truth: &'t [TruthLine],
    shape: Shape,
    /// Lines that no row has taken yet.
    left: HashMap<String, &'t TruthLine>,
    /// Where contacts were merged to.
    survivors: HashMap<&'t str, &'t str>,
    /// Contacts that are no longer there: what they last belonged to, nobody can ask.
    ended: HashSet<&'t str>,
    /// Parts of each conversation, as the truth counts them.
    counts: HashMap<&'t str, conversations::Parts>,
    first_messages: HashMap<&'t str, FirstMessage>,
    /// Live conversations that have no first message.
    silent: HashSet<&'t str>,
    threads: HashMap<Uuid, Thread>,
    report: Report,
}

impl<'t> Check<'t> {
    pub(super) fn new(truth: &'t [TruthLine], shape: Shape) -> Self {
        let mut check = Self {
            truth,
            shape,
            left: truth.iter().map(|line| (key_of(line), line)).collect(),
            survivors: HashMap::new(),
            ended: truth
                .iter()
                .filter(|l| l.kind == Kind::Contact && l.deleted)
                .map(|l| l.id.as_str())
                .collect(),
            counts: HashMap::new(),
            first_messages: HashMap::new(),
            silent: HashSet::new(),
            threads: HashMap::new(),
            report: Report::default(),
        };
        for line in truth {
            match (
                line.kind,
                line.parent.as_deref(),
                line.merged_into.as_deref(),
            ) {
                (Kind::Part, Some(conversation), _) => {
                    check.counts.entry(conversation).or_default().add(line);
                }
                (Kind::Contact, _, Some(survivor)) => {
                    check.survivors.insert(&line.id, survivor);
                }
                (Kind::Conversation, ..) => check.expect_first_message(line),
                _ => {}
            }
        }
        check
    }

    pub(super) fn contact(&mut self, held: &HeldContact) {
        let Some((line, object)) = self.take(Kind::Contact, "", &held.source_id) else {
            return;
        };
        let difference = if line.deleted {
            contacts::ended(held, line, &self.survivors, self.shape)
        } else {
            object.and_then(|object| contacts::differs(held, line, &object, self.shape))
        };
        self.note(Kind::Contact, "", &held.source_id, difference);
    }

    pub(super) fn company(&mut self, held: &HeldCompany) {
        let Some((line, object)) = self.take(Kind::Company, "", &held.source_id) else {
            return;
        };
        let difference = if line.deleted {
            held.deleted_at
                .is_none()
                .then(|| "is deleted in the truth and not marked here".to_owned())
        } else {
            object.and_then(|object| companies::differs(held, line, &object, self.shape))
        };
        self.note(Kind::Company, "", &held.source_id, difference);
    }

    pub(super) fn link(&mut self, held: &HeldLink) {
        if self.ended.contains(held.contact_source_id.as_str()) {
            self.left.remove(&key(
                Kind::Link,
                &held.contact_source_id,
                &held.company_source_id,
            ));
            return;
        }
        // A line that was taken is a line that is held: a link has nothing else to compare.
        self.take(Kind::Link, &held.contact_source_id, &held.company_source_id);
    }

    pub(super) fn conversation(&mut self, held: &HeldConversation) {
        let claimed = held.thread.as_ref().map_or(0, |thread| thread.held.into());
        self.threads.insert(
            held.id,
            Thread {
                source_id: held.source_id.clone(),
                claimed,
                found: 0,
            },
        );
        let Some((line, object)) = self.take(Kind::Conversation, "", &held.source_id) else {
            return;
        };
        let difference = if line.deleted {
            conversations::ended(held)
        } else {
            let parts = self
                .counts
                .get(held.source_id.as_str())
                .copied()
                .unwrap_or_default();
            object.and_then(|object| conversations::differs(held, line, &object, parts, self.shape))
        };
        self.note(Kind::Conversation, "", &held.source_id, difference);
    }

    pub(super) fn part(&mut self, held: &HeldPart) {
        let conversation = held.conversation_source_id.as_str();
        if held.source_id == parts::FIRST_MESSAGE {
            return self.first_message(held);
        }
        if let Some(thread) = self.threads.get_mut(&held.conversation_id) {
            thread.found += 1;
        }
        let Some((line, object)) = self.take(Kind::Part, conversation, &held.source_id) else {
            return;
        };
        // A part that is no longer shown is as it was when it last was.
        if line.deleted || line.hidden {
            return;
        }
        let difference = object.and_then(|object| parts::differs(held, line, &object, self.shape));
        self.note(Kind::Part, conversation, &held.source_id, difference);
    }

    pub(super) fn reference(&mut self, held: &HeldReference) {
        let kind = match held.kind.as_str() {
            "admin" => Kind::Admin,
            "team" => Kind::Team,
            "tag" => Kind::Tag,
            "segment" => Kind::Segment,
            // The simulator's truth has no lines of attribute definitions.
            _ => return,
        };
        let Some((line, Some(mut object))) = self.take(kind, "", &held.source_id) else {
            return;
        };
        if line.deleted {
            return;
        }
        let mut fields = Fields::default();
        fields.same("removed_at", &held.removed_at, &None);
        fields.text("name", held.name.as_deref(), &object["name"]);
        if let Some(map) = object.as_object_mut() {
            map.retain(|name, _| name != "id" && name != "name");
        }
        fields.json("doc", &held.doc, &object);
        self.note(kind, "", &held.source_id, fields.difference());
    }

    /// What nobody took is missing, and what a thread claims has to be what was found.
    pub(super) fn finish(mut self) -> Report {
        let mut left: Vec<&TruthLine> = std::mem::take(&mut self.left).into_values().collect();
        left.sort_by(|a, b| (a.kind, &a.parent, &a.id).cmp(&(b.kind, &b.parent, &b.id)));
        left.retain(|line| {
            !line.deleted && !line.hidden && (line.kind == Kind::Link || readable(line).is_some())
        });
        if left.iter().any(|line| line.kind == Kind::Link) {
            let unreadable = self.unreadable_contacts();
            left.retain(|line| {
                line.kind != Kind::Link
                    || !line
                        .parent
                        .as_deref()
                        .is_some_and(|id| unreadable.contains(id))
            });
        }
        for line in left {
            self.missing(|| {
                format!(
                    "{} is missing",
                    name(
                        line.kind,
                        line.parent.as_deref().unwrap_or_default(),
                        &line.id
                    )
                )
            });
        }
        let mut messages: Vec<&str> = std::mem::take(&mut self.first_messages)
            .into_keys()
            .collect();
        messages.sort_unstable();
        for conversation in messages {
            self.missing(|| format!("the first message of conversation {conversation} is missing"));
        }
        for Thread {
            source_id,
            claimed,
            found,
        } in std::mem::take(&mut self.threads).into_values()
        {
            let difference = (claimed != found)
                .then(|| format!("its thread claims {claimed} parts and has {found}"));
            self.note(Kind::Conversation, "", &source_id, difference);
        }
        self.report
    }

    fn expect_first_message(&mut self, line: &'t TruthLine) {
        let Some(object) = readable(line).filter(|_| !line.deleted) else {
            return;
        };
        match parts::first_message(&object) {
            Some(message) => {
                self.first_messages.insert(&line.id, message);
            }
            None => {
                self.silent.insert(&line.id);
            }
        }
    }

    fn first_message(&mut self, held: &HeldPart) {
        let conversation = held.conversation_source_id.as_str();
        if let Some(message) = self.first_messages.remove(conversation) {
            self.report.records += 1;
            let difference = parts::first_differs(held, &message, self.shape);
            self.note(Kind::Part, conversation, &held.source_id, difference);
        } else if self.silent.contains(conversation) {
            self.report.extra += 1;
            self.report.example(|| {
                format!("conversation {conversation} has no first message in the truth")
            });
        }
        // Else the conversation is deleted, and its message stays; or unknown, and counts itself.
    }

    /// The line of a held row, and its object where that can be read. `None` (and an extra) where there
    /// is no line.
    fn take(
        &mut self,
        kind: Kind,
        parent: &str,
        id: &str,
    ) -> Option<(&'t TruthLine, Option<Value>)> {
        let Some(line) = self.left.remove(&key(kind, parent, id)) else {
            self.report.extra += 1;
            self.report
                .example(|| format!("{} is not in the truth", name(kind, parent, id)));
            return None;
        };
        let object = readable(line);
        if !line.deleted && !line.hidden && (object.is_some() || kind == Kind::Link) {
            self.report.records += 1;
        }
        Some((line, object))
    }

    /// The links of a contact that cannot be read cannot be known.
    fn unreadable_contacts(&self) -> HashSet<&'t str> {
        let contacts = self
            .truth
            .iter()
            .filter(|line| line.kind == Kind::Contact && readable(line).is_none());
        contacts.map(|line| line.id.as_str()).collect()
    }

    fn missing(&mut self, what: impl FnOnce() -> String) {
        self.report.records += 1;
        self.report.missing += 1;
        self.report.example(what);
    }

    fn note(&mut self, kind: Kind, parent: &str, id: &str, difference: Option<String>) {
        if let Some(difference) = difference {
            self.report.different += 1;
            self.report
                .example(|| format!("{}: {difference}", name(kind, parent, id)));
        }
    }
}

/// The object of a line, where it is one that can be read. What cannot be belongs in quarantine.
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

fn key_of(line: &TruthLine) -> String {
    match (line.kind, line.parent.as_deref()) {
        (Kind::Link, Some(contact)) => key(
            line.kind,
            contact,
            line.company.as_deref().unwrap_or_default(),
        ),
        (kind, parent) => key(kind, parent.unwrap_or_default(), &line.id),
    }
}

/// Where a line is found: kind, the conversation of a part or the contact of a link, and the id.
fn key(kind: Kind, parent: &str, id: &str) -> String {
    format!("{kind:?} {parent} {id}")
}

fn name(kind: Kind, parent: &str, id: &str) -> String {
    let kind = format!("{kind:?}").to_lowercase();
    match (kind.as_str(), parent) {
        (_, "") => format!("{kind} {id}"),
        ("part", conversation) => format!("part {id} of conversation {conversation}"),
        (_, contact) => format!("{kind} {contact}:{}", id.rsplit(':').next().unwrap_or(id)),
    }
}
