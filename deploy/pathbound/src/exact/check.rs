//! The comparison: each stored row takes its line out of the truth. A line that is left at the end is missing.

use std::collections::{HashMap, HashSet};

use intercom_simulator::{Kind, TruthLine};
use serde_json::Value;
use shared::store::reads::{
    StoredCompany, StoredContact, StoredConversation, StoredLink, StoredPart, StoredReference,
};
use uuid::Uuid;

use super::{
    companies, contacts, conversations,
    fields::Fields,
    parts,
    report::Report,
    truth::{FirstMessage, Shape, key, key_of, name, readable},
};

/// The number of parts that a conversation's thread claims, and the number found.
#[derive(Debug)]
struct ThreadCount {
    source_id: String,
    claimed: i64,
    found: i64,
}

/// A comparison in progress.
#[derive(Debug)]
pub(super) struct Comparison<'t> {
    truth: &'t [TruthLine],
    shape: Shape,
    /// Lines that no row has taken so far.
    left: HashMap<String, &'t TruthLine>,
    /// The survivor of each merged contact.
    survivors: HashMap<&'t str, &'t str>,
    /// Deleted contacts. Intercom does not tell the companies that they belonged to.
    ended: HashSet<&'t str>,
    /// Parts of each conversation, as the truth counts them.
    counts: HashMap<&'t str, conversations::PartCounts>,
    first_messages: HashMap<&'t str, FirstMessage>,
    /// Live conversations that have no first message.
    silent: HashSet<&'t str>,
    threads: HashMap<Uuid, ThreadCount>,
    report: Report,
}

impl<'t> Comparison<'t> {
    pub(super) fn new(truth: &'t [TruthLine], shape: Shape) -> Self {
        let mut comparison = Self {
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
                    comparison.counts.entry(conversation).or_default().add(line);
                }
                (Kind::Contact, _, Some(survivor)) => {
                    comparison.survivors.insert(&line.id, survivor);
                }
                (Kind::Conversation, ..) => comparison.expect_first_message(line),
                _ => {}
            }
        }
        comparison
    }

    pub(super) fn contact(&mut self, stored: &StoredContact) {
        let Some((line, object)) = self.take(Kind::Contact, "", &stored.source_id) else {
            return;
        };
        let difference = if line.deleted {
            // A merged contact may name any survivor of its chain, because Intercom shows only the
            // last one.
            contacts::ended(stored, line, &self.survivors, self.shape)
        } else {
            object.and_then(|object| contacts::differs(stored, line, &object, self.shape))
        };
        self.note(Kind::Contact, "", &stored.source_id, difference);
    }

    pub(super) fn company(&mut self, stored: &StoredCompany) {
        let Some((line, object)) = self.take(Kind::Company, "", &stored.source_id) else {
            return;
        };
        let difference = if line.deleted {
            stored
                .deleted_at
                .is_none()
                .then(|| "is deleted in the truth and not marked here".to_owned())
        } else {
            object.and_then(|object| companies::differs(stored, line, &object, self.shape))
        };
        self.note(Kind::Company, "", &stored.source_id, difference);
    }

    pub(super) fn link(&mut self, stored: &StoredLink) {
        if self.ended.contains(stored.contact_source_id.as_str()) {
            self.left.remove(&key(
                Kind::Link,
                &stored.contact_source_id,
                &stored.company_source_id,
            ));
            return;
        }
        // A link has no fields to compare, so a line that was taken is equal.
        self.take(
            Kind::Link,
            &stored.contact_source_id,
            &stored.company_source_id,
        );
    }

    pub(super) fn conversation(&mut self, stored: &StoredConversation) {
        let claimed = stored
            .thread
            .as_ref()
            // A conversation without a thread claims no parts.
            .map_or(0, |thread| thread.held.into());
        self.threads.insert(
            stored.id,
            ThreadCount {
                source_id: stored.source_id.clone(),
                claimed,
                found: 0,
            },
        );
        let Some((line, object)) = self.take(Kind::Conversation, "", &stored.source_id) else {
            return;
        };
        let difference = if line.deleted {
            conversations::ended(stored)
        } else {
            let parts = self
                .counts
                .get(stored.source_id.as_str())
                .copied()
                .unwrap_or_default();
            object
                .and_then(|object| conversations::differs(stored, line, &object, parts, self.shape))
        };
        self.note(Kind::Conversation, "", &stored.source_id, difference);
    }

    pub(super) fn part(&mut self, stored: &StoredPart) {
        let conversation = stored.conversation_source_id.as_str();
        // It is in `source` of its conversation, so the truth has no line of its own for it.
        if stored.source_id == parts::FIRST_MESSAGE {
            return self.first_message(stored);
        }
        if let Some(thread) = self.threads.get_mut(&stored.conversation_id) {
            // Counted for hidden and deleted parts as well, because the thread counts them too.
            thread.found += 1;
        }
        let Some((line, object)) = self.take(Kind::Part, conversation, &stored.source_id) else {
            return;
        };
        // The copy of a hidden part is as old as the last time that Intercom showed it.
        if line.deleted || line.hidden {
            return;
        }
        let difference =
            object.and_then(|object| parts::differs(stored, line, &object, self.shape));
        self.note(Kind::Part, conversation, &stored.source_id, difference);
    }

    pub(super) fn reference(&mut self, stored: &StoredReference) {
        let kind = match stored.kind.as_str() {
            "admin" => Kind::Admin,
            "team" => Kind::Team,
            "tag" => Kind::Tag,
            "segment" => Kind::Segment,
            // The simulator's truth has no lines of attribute definitions.
            _ => return,
        };
        let Some((line, Some(mut object))) = self.take(kind, "", &stored.source_id) else {
            return;
        };
        if line.deleted {
            return;
        }
        // Names have a column of their own, and everything else is in `doc`.
        let mut fields = Fields::default();
        fields.same("removed_at", &stored.removed_at, &None);
        fields.text("name", stored.name.as_deref(), &object["name"]);
        if let Some(map) = object.as_object_mut() {
            map.retain(|name, _| name != "id" && name != "name");
        }
        fields.json("doc", &stored.doc, &object);
        self.note(kind, "", &stored.source_id, fields.difference());
    }

    /// Counts every line that no row took as missing, and every thread with a wrong count as different.
    pub(super) fn finish(mut self) -> Report {
        let mut left: Vec<&TruthLine> = std::mem::take(&mut self.left).into_values().collect();
        // Sorted, so that two runs with one difference print the same examples.
        left.sort_by(|a, b| (a.kind, &a.parent, &a.id).cmp(&(b.kind, &b.parent, &b.id)));
        left.retain(|line| {
            !line.deleted && !line.hidden && (line.kind == Kind::Link || readable(line).is_some())
        });
        if left.iter().any(|line| line.kind == Kind::Link) {
            // Only looked for if a link is missing, because it reads every contact again.
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
        for ThreadCount {
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

    fn first_message(&mut self, stored: &StoredPart) {
        let conversation = stored.conversation_source_id.as_str();
        if let Some(message) = self.first_messages.remove(conversation) {
            self.report.records += 1;
            let difference = parts::first_differs(stored, &message, self.shape);
            self.note(Kind::Part, conversation, &stored.source_id, difference);
        } else if self.silent.contains(conversation) {
            self.report.extra += 1;
            self.report.example(|| {
                format!("conversation {conversation} has no first message in the truth")
            });
        }
        // A deleted conversation may keep its message. An unknown conversation is counted as extra itself.
    }

    /// The line of a stored row, and its object if it can be read. Without a line the row counts as extra.
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

    /// Contacts that cannot be read. The sync cannot know their links.
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
