//! Conversations: stubs, who takes part, the first message, and what their threads owe.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{StoreError, Tx, Written, roles::Worker};
use crate::domain::{
    ConnectionId, ids,
    records::{Conversation, Part},
};

/// Where a conversation comes from: it decides when an equally old one may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A list: the reference form, which also settles two changes within one second.
    InList,
    /// A full answer, whose form may differ without a change.
    WithParts,
}

impl Tx<Worker> {
    /// Writes stubs, and makes the threads due that they show to be new, changed or grown.
    ///
    /// No thread is made due whose stub counts no parts, or whose version and count are held already.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_stubs(
        &mut self,
        connection: ConnectionId,
        stubs: Vec<Conversation>,
    ) -> Result<Written, StoreError> {
        let wanted: Vec<(Uuid, String, DateTime<Utc>, Option<i32>)> = stubs
            .iter()
            .map(|stub| {
                (
                    ids::conversation_id(connection, &stub.source_id),
                    stub.source_id.clone(),
                    stub.updated_at,
                    stub.part_count,
                )
            })
            .collect();
        let (written, first_messages) = self
            .write_conversations(connection, stubs, Seen::InList)
            .await?;
        self.write_parts(&first_messages).await?;
        self.want_threads(connection, wanted).await?;
        Ok(written)
    }

    /// Writes conversations and their people; returns the first messages, to be written with the parts.
    pub(super) async fn write_conversations(
        &mut self,
        connection: ConnectionId,
        conversations: Vec<Conversation>,
        seen: Seen,
    ) -> Result<(Written, Vec<(Uuid, Part)>), StoreError> {
        let tenant = self.tenant().0;
        let conversations =
            super::last_of_each(conversations, |conversation| &conversation.source_id);
        let mut columns = Columns::with_capacity(conversations.len());
        let mut people = Vec::new();
        let mut first_messages = Vec::new();
        for conversation in conversations {
            let id = ids::conversation_id(connection, &conversation.source_id);
            people.extend(
                conversation
                    .contacts
                    .iter()
                    .map(|contact| (id, contact.clone())),
            );
            first_messages.extend(conversation.first_message.clone().map(|part| (id, part)));
            columns.push(id, conversation);
        }
        let count = columns.ids.len();
        let rows = sqlx::query!(
            r#"INSERT INTO conversations AS c
                (tenant_id, connection_id, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                 tags, source_created_at, source_updated_at, sanitised, raw)
            SELECT $1, $2, id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id,
                   ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)), source_created_at, source_updated_at, sanitised, raw
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[], $9::text[], $10::text[],
                        $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bool[], $15::bytea[])
                AS i(id, source_id, title, state, open, priority, admin_assignee_id, team_assignee_id, tags,
                     source_created_at, source_updated_at, sanitised, raw)
            ON CONFLICT (tenant_id, id) DO UPDATE SET
                title = excluded.title, state = excluded.state, open = excluded.open, priority = excluded.priority,
                admin_assignee_id = excluded.admin_assignee_id, team_assignee_id = excluded.team_assignee_id,
                tags = excluded.tags, source_created_at = excluded.source_created_at,
                source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised, raw = excluded.raw,
                deleted_at = NULL
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
            &columns.tags,
            &columns.created,
            &columns.updated,
            &columns.sanitised,
            &columns.raws,
            seen == Seen::InList,
        )
        .fetch_all(self.session())
        .await?;

        let inserted = rows.iter().filter(|row| row.inserted).count();
        let changed: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let updated: Vec<Uuid> = rows
            .iter()
            .filter(|row| !row.inserted)
            .map(|row| row.id)
            .collect();
        people.retain(|(id, _)| changed.contains(id));
        self.drop_people(&updated, &people).await?;
        self.add_people(connection, &people).await?;
        let written = Written {
            seen: count,
            inserted,
            updated: rows.len() - inserted,
            changed: rows.into_iter().map(|row| row.source_id).collect(),
        };
        if seen == Seen::InList {
            first_messages.retain(|(id, _)| changed.contains(id));
        }
        Ok((written, first_messages))
    }

    /// Takes away who no longer takes part in a known conversation; a new one has nobody yet.
    async fn drop_people(
        &mut self,
        conversations: &[Uuid],
        people: &[(Uuid, String)],
    ) -> Result<(), StoreError> {
        if conversations.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<Uuid>, Vec<&str>) = people
            .iter()
            .map(|(id, contact)| (*id, contact.as_str()))
            .unzip();
        sqlx::query!(
            "DELETE FROM conversation_contacts
             WHERE tenant_id = $1 AND conversation_id = ANY ($2::uuid[])
               AND (conversation_id, contact_source_id) NOT IN (SELECT * FROM unnest($3::uuid[], $4::text[]))",
            tenant,
            conversations,
            &left,
            &right as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn add_people(
        &mut self,
        connection: ConnectionId,
        people: &[(Uuid, String)],
    ) -> Result<(), StoreError> {
        if people.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<Uuid>, Vec<&str>) = people
            .iter()
            .map(|(id, contact)| (*id, contact.as_str()))
            .unzip();
        sqlx::query!(
            "INSERT INTO conversation_contacts (tenant_id, connection_id, conversation_id, contact_source_id)
             SELECT DISTINCT $1::uuid, $2::uuid, conversation, contact
             FROM unnest($3::uuid[], $4::text[]) AS i(conversation, contact)
             ON CONFLICT DO NOTHING",
            tenant,
            connection.0,
            &left,
            &right as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    pub(super) async fn want_threads(
        &mut self,
        connection: ConnectionId,
        mut wanted: Vec<(Uuid, String, DateTime<Utc>, Option<i32>)>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        wanted.sort_by(|a, b| a.0.cmp(&b.0).then(b.2.cmp(&a.2)));
        wanted.dedup_by_key(|thread| thread.0);
        let ids: Vec<Uuid> = wanted.iter().map(|thread| thread.0).collect();
        let source_ids: Vec<&str> = wanted.iter().map(|thread| thread.1.as_str()).collect();
        let versions: Vec<DateTime<Utc>> = wanted.iter().map(|thread| thread.2).collect();
        let counts: Vec<Option<i32>> = wanted.iter().map(|thread| thread.3).collect();
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, wanted_version, fetched_version, expected, due_at)
            SELECT $1, $2, id, source_id, CASE WHEN expected = 0 THEN 'complete' ELSE 'pending' END, version,
                   CASE WHEN expected = 0 THEN version END, expected, CASE WHEN expected = 0 THEN NULL ELSE now() END
            FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::int[]) AS i(id, source_id, version, expected)
            ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                wanted_version = excluded.wanted_version, attempts = 0, error = NULL,
                status = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN 'complete' ELSE 'pending' END,
                due_at = CASE WHEN excluded.expected = 0 AND t.held = 0 THEN NULL ELSE now() END
            WHERE excluded.wanted_version >= t.wanted_version
              AND NOT (t.fetched_version >= excluded.wanted_version AND t.status IN ('complete', 'truncated')
                       AND (excluded.expected IS NULL OR t.expected = excluded.expected))
              AND NOT (t.status = 'pending' AND t.wanted_version = excluded.wanted_version)",
            tenant,
            connection.0,
            &ids,
            &source_ids as &[&str],
            &versions,
            &counts as &[Option<i32>],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Marks conversations that Intercom says are deleted. Their rows and parts stay.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn mark_conversations_deleted(
        &mut self,
        connection: ConnectionId,
        deleted: &[(String, DateTime<Utc>)],
    ) -> Result<u64, StoreError> {
        if deleted.is_empty() {
            return Ok(0);
        }
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = deleted
            .iter()
            .map(|(id, _)| ids::conversation_id(connection, id))
            .collect();
        let times: Vec<DateTime<Utc>> = deleted.iter().map(|(_, at)| *at).collect();
        let marked = sqlx::query!(
            "UPDATE conversations c SET deleted_at = i.at FROM unnest($2::uuid[], $3::timestamptz[]) AS i(id, at)
             WHERE c.tenant_id = $1 AND c.id = i.id AND c.deleted_at IS NULL",
            tenant,
            &ids,
            &times,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        sqlx::query!(
            "UPDATE threads SET status = 'gone', due_at = NULL, error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status <> 'gone'",
            tenant,
            connection.0,
            &ids,
        )
        .execute(self.session())
        .await?;
        Ok(marked)
    }
}

/// One array per column: the shape that `unnest` takes.
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
    /// JSON arrays: Postgres has no array of arrays of different lengths.
    tags: Vec<String>,
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
        self.tags
            .push(serde_json::Value::from(conversation.tags).to_string());
        self.created.push(conversation.created_at);
        self.updated.push(conversation.updated_at);
        self.sanitised.push(conversation.sanitised);
        self.raws.push(conversation.raw.into_bytes());
    }
}
