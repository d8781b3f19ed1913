//! Conversations: stubs, their participants, and the first message.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    ProofDelta, StoreError, Tx, WriteSummary,
    batch::last_of_each,
    noted_changes::ObjectKind,
    participants::Participants,
    raw::{self, RawKind},
    roles::Worker,
    threads::StubVersion,
    versions::raw_hash,
};
use crate::domain::{ConnectionId, Stream, ThreadPart, erased_text, ids, records::Conversation};

/// Where a conversation comes from. It decides when an equally old one may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A list: the reference form, which also overwrites after two changes within one second.
    InList,
    /// A full answer, whose form may differ without a change.
    WithParts,
}

/// What a batch of conversations has left.
pub(super) struct WrittenConversations {
    summary: WriteSummary,
    /// They are written with the parts.
    pub(super) first_messages: Vec<(Uuid, ThreadPart)>,
    /// Conversations that were not stored before, so they have no thread yet.
    new: HashSet<Uuid>,
    /// Conversations that an erasure keeps out. Nothing of them is stored.
    pub(super) kept_out: HashSet<Uuid>,
}

impl Tx<Worker> {
    /// Whether a stub of the page differs from what is stored. Nothing is locked.
    #[tracing::instrument(name = "db.has_changed_stubs", level = "debug", skip_all)]
    pub async fn has_changed_stubs(
        &mut self,
        connection: ConnectionId,
        stubs: &[Conversation],
    ) -> Result<bool, StoreError> {
        let id = |stub: &Conversation| ids::conversation_id(connection, &stub.source_id);
        let ids: Vec<Uuid> = stubs.iter().map(id).collect();
        let stored = self.conversation_versions(&ids).await?;
        Ok(stubs.iter().any(|stub| {
            let hash = raw_hash(&stub.raw);
            stored.is_changed(&id(stub), stub.updated_at, hash)
        }))
    }

    /// Writes stubs, and makes the threads pending that they show to be new, changed or grown.
    ///
    /// A thread stays as it is if its stub counts no parts, or if its version and count are stored already.
    #[tracing::instrument(name = "db.write_stubs", level = "debug", skip_all)]
    pub async fn write_stubs(
        &mut self,
        connection: ConnectionId,
        stubs: Vec<Conversation>,
    ) -> Result<WriteSummary, StoreError> {
        let mut versions: Vec<StubVersion> = stubs
            .iter()
            .map(|stub| StubVersion::of(connection, stub))
            .collect();
        // Conversations, then parts, then threads. A slice of threads writes in the same order, so the two cannot
        // deadlock over one conversation.
        let written = self
            .write_conversations(connection, stubs, Seen::InList)
            .await?;
        versions.retain(|stub| !written.kept_out.contains(&stub.id()));
        self.write_parts(connection, written.first_messages, &HashSet::new())
            .await?;
        self.mark_threads_pending(connection, versions, &written.new)
            .await?;
        Ok(written.summary)
    }

    /// Writes conversations and their participants.
    pub(super) async fn write_conversations(
        &mut self,
        connection: ConnectionId,
        conversations: Vec<Conversation>,
        seen: Seen,
    ) -> Result<WrittenConversations, StoreError> {
        let conversations = last_of_each(conversations, |conversation| &conversation.source_id);
        let mut identified: Vec<(Uuid, Conversation)> = conversations
            .into_iter()
            .map(|found| (ids::conversation_id(connection, &found.source_id), found))
            .collect();
        // The order in which every writer locks conversations.
        identified.sort_by_key(|(id, _)| *id);
        let ids: Vec<Uuid> = identified.iter().map(|(id, _)| *id).collect();
        let before = match seen {
            Seen::InList => self.conversation_versions(&ids).await?,
            // Their threads are locked next, also those of unchanged conversations.
            Seen::WithParts => self.lock_conversations(&ids).await?,
        };
        let seen_count = identified.len();
        let is_changed = |id: &Uuid, conversation: &Conversation| match seen {
            Seen::InList => {
                before.is_changed(id, conversation.updated_at, raw_hash(&conversation.raw))
            }
            // An equally old conversation overwrites only as a stub, so that the two forms do not take turns.
            Seen::WithParts => before.is_later(id, conversation.updated_at),
        };
        let erased = self
            .erased_of(
                connection,
                identified
                    .iter()
                    .filter(|(id, conversation)| is_changed(id, conversation)),
            )
            .await?;
        identified.retain(|(id, _)| !erased.kept_out.contains(id));
        let mut columns = Columns::with_capacity(identified.len());
        let mut participants = Participants::default();
        let mut first_messages = Vec::new();
        for (id, mut conversation) in identified {
            // Of the bytes as they were sent, so that an unchanged stub is known by it.
            let raw_hash = raw_hash(&conversation.raw);
            let is_changed = is_changed(&id, &conversation);
            if is_changed && erased.groups.contains(&id) {
                erased_text::take_out(&mut conversation, &erased.people);
            }
            // An unchanged stub says nothing new of its first message. A full answer may show a redaction that did not
            // touch the conversation.
            if is_changed || seen == Seen::WithParts {
                let first_message = conversation.first_message.clone();
                first_messages.extend(first_message.map(|part| (id, part.into())));
            }
            if is_changed {
                participants.push(id, &conversation.contacts, before.is_new(&id));
                columns.push(id, conversation, raw_hash);
            }
        }
        let changed = self.upsert_conversations(connection, &columns).await?;
        let kinds = columns
            .states
            .iter()
            .map(|state| ObjectKind::of_state(state.as_deref()));
        self.note_upserts(columns.ids.iter().copied().zip(kinds));
        self.write_participants(connection, &participants).await?;
        let new: HashSet<Uuid> = columns
            .ids
            .iter()
            .copied()
            .filter(|id| before.is_new(id))
            .collect();
        let inserted = new.len();
        let revived = columns.ids.iter().filter(|id| before.is_ended(id)).count();
        let alive = (inserted + revived) as i64;
        if seen == Seen::WithParts && alive > 0 {
            // A list counts what it brings with its own stream.
            let delta = ProofDelta {
                alive,
                ..ProofDelta::default()
            };
            self.add_to_proof(connection, Stream::Conversations, delta)
                .await?;
        }
        let summary = WriteSummary {
            seen: seen_count,
            inserted,
            updated: changed.len().saturating_sub(inserted),
            alive,
            changed,
            kept_out: Vec::new(),
        };
        Ok(WrittenConversations {
            summary,
            first_messages,
            new,
            kept_out: erased.kept_out,
        })
    }

    /// What erasures say of conversations that are about to be written.
    async fn erased_of<'a>(
        &mut self,
        connection: ConnectionId,
        changed: impl Iterator<Item = &'a (Uuid, Conversation)>,
    ) -> Result<ErasedOf, StoreError> {
        let changed: Vec<&(Uuid, Conversation)> = changed.collect();
        let (mut contacts, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (_, conversation) in &changed {
            contacts.extend(people_of(conversation));
            names.insert(conversation.source_id.as_str());
        }
        let kept_out = self.kept_out(connection, &contacts, &names).await?;
        let mut erased = ErasedOf {
            people: kept_out.people(),
            ..ErasedOf::default()
        };
        let mut dropped = BTreeMap::new();
        for (id, conversation) in changed {
            let (name, shown) = (&conversation.source_id, &conversation.contacts);
            if let Some(erasure) = kept_out.whole(name, shown.entries(), shown.is_whole()) {
                erased.kept_out.insert(*id);
                dropped.insert(name.clone(), erasure);
            } else if people_of(conversation).any(|contact| erased.people.contains(contact)) {
                erased.groups.insert(*id);
            }
        }
        self.keep_out_conversations(connection, &dropped).await?;
        Ok(erased)
    }

    async fn upsert_conversations(
        &mut self,
        connection: ConnectionId,
        columns: &Columns,
    ) -> Result<Vec<String>, StoreError> {
        if columns.ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"INSERT INTO conversations AS c
                (tenant_id, connection_id, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                 tags, company_source_id, source_created_at, source_updated_at, sanitised, raw_hash, raw)
            SELECT $1, $2, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                   CASE WHEN tags IS NULL
                        THEN coalesce((SELECT o.tags FROM conversations o WHERE o.tenant_id = $1 AND o.id = i.id), '{}')
                        ELSE ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) END,
                   company_source_id, source_created_at, source_updated_at, sanitised, raw_hash, raw
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[], $9::text[], $10::text[],
                        $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::bool[], $16::int8[],
                        $17::bytea[])
                AS i(id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id, tags,
                     company_source_id, source_created_at, source_updated_at, sanitised, raw_hash, raw)
            ON CONFLICT (tenant_id, id) DO UPDATE SET
                title = excluded.title, state = excluded.state, open = excluded.open, priority = excluded.priority,
                admin_assignee_id = excluded.admin_assignee_id, team_assignee_id = excluded.team_assignee_id,
                tags = excluded.tags, company_source_id = excluded.company_source_id,
                source_created_at = excluded.source_created_at, source_updated_at = excluded.source_updated_at,
                sanitised = excluded.sanitised, raw_hash = excluded.raw_hash, raw = excluded.raw, deleted_at = NULL
            WHERE excluded.source_updated_at >= c.source_updated_at
            RETURNING source_id"#,
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
            &columns.companies as &[Option<String>],
            &columns.created,
            &columns.updated,
            &columns.sanitised,
            &columns.hashes,
            &columns.raws,
        )
        .fetch_all(self.session())
        .await?)
    }
}

/// What erasures say of a batch of conversations.
#[derive(Default)]
struct ErasedOf {
    /// Source ids of contacts that are kept out.
    people: BTreeSet<String>,
    /// Conversations of nobody else.
    kept_out: HashSet<Uuid>,
    /// Conversations that go on with others.
    groups: HashSet<Uuid>,
}

/// The contacts that a conversation shows: who takes part, and who may have written its first message.
fn people_of(conversation: &Conversation) -> impl Iterator<Item = &str> {
    let author = conversation.first_message.as_ref();
    let author = author.filter(|first| erased_text::may_be_by_contact(first));
    let author = author.and_then(|first| first.author_source_id.as_deref());
    let shown = conversation.contacts.entries().iter();
    shown.map(String::as_str).chain(author)
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
    companies: Vec<Option<String>>,
    created: Vec<DateTime<Utc>>,
    updated: Vec<DateTime<Utc>>,
    sanitised: Vec<bool>,
    hashes: Vec<i64>,
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

    fn push(&mut self, id: Uuid, conversation: Conversation, raw_hash: i64) {
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
        self.companies.push(conversation.company_source_id);
        self.created.push(conversation.created_at);
        self.updated.push(conversation.updated_at);
        self.sanitised.push(conversation.sanitised);
        self.hashes.push(raw_hash);
        let raw = conversation.raw.as_bytes();
        self.raws.push(raw::pack(RawKind::Conversation, raw));
    }
}
