//! Changes to conversations and their parts.

use rand::Rng;
use serde_json::json;

use super::{Change, Work};
use crate::generate::{
    At, DELETED_BODY, chance, conversation, paragraph, part, pick, render, sentence, state_of,
};
use crate::model::{Author, Conversation, Part};
use crate::store::{ConversationEntry, PartEntry, State, Store};

impl Work<'_> {
    pub(crate) fn conversations(&mut self) -> Vec<String> {
        match self.order.change {
            Change::Update => self.update_conversations(),
            Change::Add => self.add_conversations(),
            Change::Delete => self.delete_conversations(),
            Change::Redact => self.redact(),
            Change::Grow => self.grow_conversations(),
            Change::Merge => self.merge_conversations(),
            Change::Archive | Change::Unarchive => Vec::new(),
        }
    }

    /// Half of the updates also rewrite an old part, which no count shows.
    fn update_conversations(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let state = *pick(&mut self.rng, &["open", "closed", "snoozed"]);
            let title = sentence(&mut self.rng).to_owned();
            let priority = *pick(&mut self.rng, &["none", "low", "high", "urgent"]);
            let assignee = self.store.reference.some_admin(&mut self.rng).id;
            let rewrite = chance(&mut self.rng, 0.5).then(|| paragraph(&mut self.rng, 1, 3));
            let nth = self.rng.random_range(0..usize::MAX);
            edit(self.store, id, at, |conversation, entry| {
                conversation.title = Some(title);
                conversation.priority = priority.into();
                conversation.admin_assignee_id = assignee;
                conversation
                    .custom_attributes
                    .insert("Issue type".into(), json!("Bug"));
                state_of(conversation, state, at);
                if let Some(body) = rewrite
                    && !entry.parts.is_empty()
                {
                    let nth = nth % entry.parts.len();
                    edit_part(&mut entry.parts[nth], at, |part| part.body = Some(body));
                }
            });
        }
        ids
    }

    fn add_conversations(&mut self) -> Vec<String> {
        (0..self.order.count)
            .map(|_| {
                let at = self.moment();
                let number = self.store.next.conversation;
                let times = At {
                    created: at,
                    updated: at,
                };
                let contact = self.store.some_contact(&mut self.rng);
                conversation(self.world, self.store, number, times, contact.as_deref())
            })
            .collect()
    }

    fn grow_conversations(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let Some(author) = self.store.conversations.live(id).map(author_of) else {
                continue;
            };
            let new: Vec<PartEntry> = (0..self.order.parts)
                .map(|_| part(self.world, self.store, at, &author))
                .collect();
            edit(self.store, id, at, |_, entry| entry.parts.extend(new));
        }
        ids
    }

    fn redact(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let nth = self.rng.random_range(0..usize::MAX);
            edit(self.store, id, at, |conversation, entry| {
                // Only what the API still shows can be redacted by an agent.
                let hidden = entry.hidden();
                let shown = entry.parts.len() - hidden;
                if shown > 0 {
                    edit_part(&mut entry.parts[hidden + nth % shown], at, |part| {
                        part.redacted = true;
                        part.body = Some(DELETED_BODY.to_owned());
                        part.attachments.clear();
                    });
                } else {
                    conversation.source.redacted = Some(true);
                    conversation.source.body = Some(DELETED_BODY.to_owned());
                    conversation.source.subject = Some(None);
                    conversation.source.attachments = Some(Vec::new());
                }
            });
        }
        ids
    }

    /// Closes conversations, links them to another one, and says so in that one. Both stay readable.
    /// Returns the ones that were merged away.
    fn merge_conversations(&mut self) -> Vec<String> {
        let secondaries = self.targets(|_, _| true);
        for secondary in &secondaries {
            let at = self.moment();
            let primary = self
                .store
                .conversations
                .by_created
                .iter()
                .map(|(_, id)| id.0.to_string())
                .find(|id| !secondaries.contains(id));
            let Some(primary) = primary else { break };
            let operator = Author {
                kind: "bot".into(),
                id: "0".to_owned(),
                name: Some("Operator".to_owned()),
                email: Some("operator@intercom.io".to_owned()),
                from_ai_agent: false,
                is_ai_answer: false,
            };
            let mut event = part(self.world, self.store, at, &operator);
            edit_part(&mut event, at, |part| {
                part.part_type = "merged_primary_conversation".into();
                part.author = operator;
                part.body = None;
            });
            edit(self.store, secondary, at, |conversation, _| {
                state_of(conversation, "closed", at);
                conversation
                    .linked_objects
                    .data
                    .push(json!({"type": "conversation", "id": primary, "category": null}));
                conversation.linked_objects.total_count += 1;
            });
            edit(self.store, &primary, at, |_, entry| entry.parts.push(event));
        }
        secondaries
    }

    fn delete_conversations(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let retained = chance(&mut self.rng, 0.5);
            delete(self.store, id, at, retained);
        }
        ids
    }
}

/// Deletes a conversation and enters it in the list of deleted ones.
pub(crate) fn delete(store: &mut Store, id: &str, at: i64, metrics_retained: bool) {
    let Some(mut entry) = store.conversations.take_live(id) else {
        return;
    };
    entry.head.state = State::Deleted;
    store
        .deleted_conversations
        .insert((at, entry.head.id.clone()), metrics_retained);
    store.conversations.put(entry);
}

/// Changes a live conversation, recounts its parts and moves its `updated_at`.
fn edit(
    store: &mut Store,
    id: &str,
    at: i64,
    change: impl FnOnce(&mut Conversation, &mut ConversationEntry),
) {
    let Some(mut entry) = store.conversations.take_live(id) else {
        return;
    };
    if let Ok(mut conversation) = serde_json::from_slice::<Conversation>(&entry.head.body) {
        change(&mut conversation, &mut entry);
        entry.head.updated_at = entry.head.updated_at.max(at);
        conversation.updated_at = entry.head.updated_at;
        if let Some(statistics) = &mut conversation.statistics {
            statistics.count_conversation_parts = entry.parts.len();
        }
        entry.head.body = render(&conversation);
    }
    store.conversations.put(entry);
}

/// Changes one part. Parts with foreign bytes are left alone.
fn edit_part(entry: &mut PartEntry, at: i64, change: impl FnOnce(&mut Part)) {
    if let Ok(mut part) = serde_json::from_slice::<Part>(&entry.body) {
        change(&mut part);
        part.updated_at = at.max(part.updated_at);
        entry.updated_at = part.updated_at;
        entry.body = render(&part);
    }
}

/// The author that writes for the contact: that of the first message.
fn author_of(entry: &ConversationEntry) -> Author {
    let source = serde_json::from_slice::<Conversation>(&entry.head.body)
        .ok()
        .and_then(|conversation| conversation.source.author);
    let (kind, id, name, email) = source.map_or_else(
        || ("user".into(), None, None, None),
        |author| (author.kind, author.id, author.name, author.email),
    );
    Author {
        kind,
        id: id.unwrap_or_default(),
        name,
        email: Some(email.unwrap_or_default()),
        from_ai_agent: false,
        is_ai_answer: false,
    }
}
