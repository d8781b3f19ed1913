//! Conversations: stubs, their participants, and the first message.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    StoreError, Tx, WriteSummary,
    batch::last_of_each,
    raw::{self, RawKind},
    roles::Worker,
    threads::StubVersion,
};
use crate::domain::{ConnectionId, ThreadPart, ids, records::Conversation};

/// Where a conversation comes from. It decides when an equally old one may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A list: the reference form, which also overwrites after two changes within one second.
    InList,
    /// A full answer, whose form may differ without a change.
    WithParts,
}

impl Tx<Worker> {
    /// Writes stubs, and makes the threads pending that they show to be new, changed or grown.
    ///
    /// A thread stays as it is if its stub counts no parts, or if its version and count are stored already.
    #[tracing::instrument(name = "db.write_stubs", level = "debug", skip_all)]
    pub async fn write_stubs(
        &mut self,
        connection: ConnectionId,
        stubs: Vec<Conversation>,
    ) -> Result<WriteSummary, StoreError> {
        let versions = stubs
            .iter()
            .map(|stub| StubVersion::of(connection, stub))
            .collect();
        // Conversations, then parts, then threads. A slice of threads writes in the same order, so the two cannot
        // deadlock over one conversation.
        let (written, first_messages) = self
            .write_conversations(connection, stubs, Seen::InList)
            .await?;
        self.write_parts(first_messages).await?;
        self.mark_threads_pending(connection, versions).await?;
        Ok(written)
    }

    /// Writes conversations and their participants. Returns the first messages, which are written with the parts.
    pub(super) async fn write_conversations(
        &mut self,
        connection: ConnectionId,
        conversations: Vec<Conversation>,
        seen: Seen,
    ) -> Result<(WriteSummary, Vec<(Uuid, ThreadPart)>), StoreError> {
        let conversations = last_of_each(conversations, |conversation| &conversation.source_id);
        let mut columns = Columns::with_capacity(conversations.len());
        let (mut participants, mut whole) = (Vec::new(), HashSet::new());
        let mut first_messages = Vec::new();
        for conversation in conversations {
            let id = ids::conversation_id(connection, &conversation.source_id);
            let contacts = conversation.contacts.entries().iter();
            participants.extend(contacts.map(|contact| (id, contact.clone())));
            if conversation.contacts.is_whole() {
                whole.insert(id);
            }
            first_messages.extend(
                conversation
                    .first_message
                    .clone()
                    .map(|part| (id, part.into())),
            );
            columns.push(id, conversation);
        }
        let rows = self
            .upsert_conversations(connection, &columns, seen)
            .await?;
        let changed: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let updated: Vec<Uuid> = rows
            .iter()
            .filter(|row| !row.inserted)
            .map(|row| row.id)
            .collect();
        participants.retain(|(id, _)| changed.contains(id));
        // A contact that is not shown by a cut list still takes part.
        let listed: Vec<Uuid> = updated
            .iter()
            .copied()
            .filter(|id| whole.contains(id))
            .collect();
        self.remove_participants(&listed, &participants).await?;
        self.add_participants(connection, &participants).await?;
        // An unchanged stub says nothing new of its first message. A full answer may show a redaction that did not
        // touch the conversation.
        if seen == Seen::InList {
            first_messages.retain(|(id, _)| changed.contains(id));
        }
        let written = WriteSummary {
            seen: columns.ids.len(),
            inserted: rows.len() - updated.len(),
            updated: updated.len(),
            changed: rows.into_iter().map(|row| row.source_id).collect(),
        };
        Ok((written, first_messages))
    }

    async fn upsert_conversations(
        &mut self,
        connection: ConnectionId,
        columns: &Columns,
        seen: Seen,
    ) -> Result<Vec<ChangedConversation>, StoreError> {
        let tenant = self.tenant().0;
        // An equally old conversation overwrites only as a stub, so that the two forms do not take turns.
        Ok(sqlx::query_as!(
            ChangedConversation,
            r#"INSERT INTO conversations AS c
                (tenant_id, connection_id, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                 tags, source_created_at, source_updated_at, sanitised, raw)
            SELECT $1, $2, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                   CASE WHEN tags IS NULL
                        THEN coalesce((SELECT o.tags FROM conversations o WHERE o.tenant_id = $1 AND o.id = i.id), '{}')
                        ELSE ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) END,
                   source_created_at, source_updated_at, sanitised, raw
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[], $9::text[], $10::text[],
                        $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bool[], $15::bytea[])
                AS i(id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id, tags,
                     source_created_at, source_updated_at, sanitised, raw)
            ON CONFLICT (tenant_id, id) DO UPDATE SET
                title = excluded.title, state = excluded.state, open = excluded.open, priority = excluded.priority,
                admin_assignee_id = excluded.admin_assignee_id, team_assignee_id = excluded.team_assignee_id,
                tags = excluded.tags, source_created_at = excluded.source_created_at,
                source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised, raw = excluded.raw,
                deleted_at = NULL, updated_at = now()
            WHERE excluded.source_updated_at > c.source_updated_at
               OR ($16 AND excluded.source_updated_at = c.source_updated_at
                   AND (excluded.raw <> c.raw OR c.deleted_at IS NOT NULL))
            RETURNING id, source_id, xmax = 0 AS "inserted!""#,
            tenant,
            connection.0,
            &columns.ids,
            &columns.source_ids,
            &columns.titles as &[Option<String>],
            &columns.states as &[Option<String>],
            &columns.open,
            &columns.priorities as &[Option<String>],
            &columns.admins as &[Option<String>],
            &columns.teams as &[Option<String>],
            &columns.tags as &[Option<String>],
            &columns.created,
            &columns.updated,
            &columns.sanitised,
            &columns.raws,
            seen == Seen::InList,
        )
        .fetch_all(self.session())
        .await?)
    }
}

/// A conversation that a statement inserted or updated.
struct ChangedConversation {
    id: Uuid,
    source_id: String,
    inserted: bool,
}

/// One array per column, which is the shape that `unnest` takes.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    source_ids: Vec<String>,
    titles: Vec<Option<String>>,
    states: Vec<Option<String>>,
    open: Vec<bool>,
    priorities: Vec<Option<String>>,
    admins: Vec<Option<String>>,
    teams: Vec<Option<String>>,
    /// JSON arrays, because Postgres has no array of arrays of different lengths. `None` keeps the stored tags.
    tags: Vec<Option<String>>,
    created: Vec<DateTime<Utc>>,
    updated: Vec<DateTime<Utc>>,
    sanitised: Vec<bool>,
    raws: Vec<Vec<u8>>,
}

impl Columns {
    fn with_capacity(count: usize) -> Self {
        Self {
            ids: Vec::with_capacity(count),
            raws: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    fn push(&mut self, id: Uuid, conversation: Conversation) {
        self.ids.push(id);
        self.source_ids.push(conversation.source_id);
        self.titles.push(conversation.title);
        self.states.push(conversation.state);
        self.open.push(conversation.open);
        self.priorities.push(conversation.priority);
        self.admins.push(conversation.admin_assignee_id);
        self.teams.push(conversation.team_assignee_id);
        let tags = conversation.tags.map(serde_json::Value::from);
        self.tags.push(tags.map(|tags| tags.to_string()));
        self.created.push(conversation.created_at);
        self.updated.push(conversation.updated_at);
        self.sanitised.push(conversation.sanitised);
        let raw = conversation.raw.as_bytes();
        self.raws.push(raw::pack(RawKind::Conversation, raw));
    }
}
