//! The conversations of an erased person. Those of nobody else are deleted, and in the others the person's part is emptied.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    domain::{ConnectionId, Stream, erased_text, records::FIRST_MESSAGE},
    store::{
        ProofDelta, StoreError, Tx,
        noted_changes::{ChangeOp, ObjectFate},
        raw::{self, RawKind},
        roles::Api,
        thread_counts::CountedThread,
    },
};

/// Conversations of one transaction.
const CONVERSATIONS: i64 = 100;
/// Parts of one transaction, unless one conversation alone has more of the person's.
const PARTS: i64 = 10_000;

/// What a batch has removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) conversations: i64,
    pub(super) participations: i64,
    pub(super) parts: i64,
    pub(super) quarantined: i64,
    /// The batch has done anything.
    pub(super) any: bool,
}

/// A conversation of the person, locked.
struct OwnConversation {
    id: Uuid,
    source_id: String,
    raw: Vec<u8>,
    is_alive: bool,
    /// Others take part.
    is_group: bool,
    thread: Option<OwnThread>,
}

struct OwnThread {
    status: String,
    has_failed: bool,
    held: i32,
    expected: Option<i32>,
}

impl Tx<Api> {
    /// Works a batch of the conversations in which one connection's records of the person take part.
    pub(super) async fn erase_conversations(
        &mut self,
        erasure: Uuid,
        connection: ConnectionId,
        people: &BTreeSet<String>,
    ) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        // Stubs are written under this lock, and each conversation's row is locked by what writes its thread. So nothing
        // of a conversation is written while its batch is worked, and what comes later finds the names kept out.
        self.lock_conversation_stream(connection).await?;
        let ids = self.conversations_of_people(connection, people).await?;
        let (mut alive, mut held_parts) = (0, 0);
        let mut ended = Vec::new();
        for conversation in self.lock_own_conversations(&ids, people).await? {
            removed.any = true;
            let held = conversation.thread.as_ref().map_or(0, |thread| thread.held);
            if removed.parts > 0 && removed.parts + i64::from(held) > PARTS {
                break;
            }
            if conversation.is_group {
                removed.parts += self.empty_parts(&conversation, people).await?;
                removed.quarantined += self
                    .delete_quarantined_parts_by(connection, &conversation, people)
                    .await?;
                removed.participations += 1;
                ended.push((conversation.id, None));
                continue;
            }
            let deleted = self.delete_parts(conversation.id).await?;
            removed.parts += deleted;
            if deleted == PARTS {
                // The conversation of very many parts stays until its last ones.
                break;
            }
            removed.quarantined += self
                .delete_quarantined_conversation(connection, &conversation.source_id)
                .await?;
            self.delete_conversation(connection, &conversation).await?;
            removed.conversations += 1;
            alive += u64::from(conversation.is_alive);
            held_parts += u64::from(held.unsigned_abs());
            ended.push((conversation.id, Some(conversation.source_id)));
        }
        let names: Vec<&str> = ended
            .iter()
            .filter_map(|(_, name)| name.as_deref())
            .collect();
        self.keep_out_names(erasure, connection, &names).await?;
        self.delete_participations(connection, &ended, people)
            .await?;
        // What others wrote in the conversation is found again when it is indexed anew.
        let ids: Vec<Uuid> = ended.iter().map(|(id, _)| *id).collect();
        self.delete_search_documents(&ids).await?;
        for (id, name) in &ended {
            if name.is_some() {
                self.note_ends(ChangeOp::Erase, ObjectFate::Removed, [*id]);
            } else {
                self.note_changes(ChangeOp::Link, [*id]);
            }
        }
        if alive > 0 {
            let delta = ProofDelta::ended(alive);
            self.add_to_proof(connection, Stream::Conversations, delta)
                .await?;
        }
        if held_parts > 0 {
            let delta = ProofDelta::ended(held_parts);
            self.add_to_proof(connection, Stream::Threads, delta)
                .await?;
        }
        Ok(removed)
    }
}

impl Tx<Api> {
    async fn conversations_of_people(
        &mut self,
        connection: ConnectionId,
        people: &BTreeSet<String>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let rows = sqlx::query_scalar!(
            r#"SELECT l.conversation_id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT conversation_id FROM conversation_contacts
                                   WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = i.source_id
                                   LIMIT $4) l"#,
            tenant,
            connection.0,
            &people as &[&str],
            CONVERSATIONS,
        )
        .fetch_all(self.session())
        .await?;
        // In the order in which every writer locks conversations.
        let ids: BTreeSet<Uuid> = rows.into_iter().collect();
        Ok(ids
            .into_iter()
            .take(CONVERSATIONS.unsigned_abs() as usize)
            .collect())
    }

    async fn lock_own_conversations(
        &mut self,
        ids: &[Uuid],
        people: &BTreeSet<String>,
    ) -> Result<Vec<OwnConversation>, StoreError> {
        let tenant = self.tenant().0;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", c.source_id AS "source_id?", c.raw AS "raw?", c.is_alive AS "is_alive?",
                      EXISTS (SELECT FROM conversation_contacts
                              WHERE tenant_id = $1 AND conversation_id = i.id AND contact_source_id <> ALL ($3)
                              OFFSET 0) AS "is_group!",
                      t.status AS "status?", t.has_failed AS "has_failed?", t.held AS "held?", t.expected
               FROM unnest($2::uuid[]) WITH ORDINALITY AS i(id, place)
               LEFT JOIN LATERAL (SELECT connection_id, source_id, raw, deleted_at IS NULL AS is_alive FROM conversations
                                  WHERE tenant_id = $1 AND id = i.id FOR UPDATE) c ON true
               LEFT JOIN LATERAL (SELECT status, failure IS NOT NULL AS has_failed, held, expected FROM threads
                                  WHERE tenant_id = $1 AND connection_id = c.connection_id AND conversation_id = i.id
                                  OFFSET 0) t ON true
               ORDER BY i.place"#,
            tenant,
            ids,
            &people as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                let thread = row.status.map(|status| OwnThread {
                    status,
                    has_failed: row.has_failed.unwrap_or_default(),
                    held: row.held.unwrap_or_default(),
                    expected: row.expected,
                });
                Ok(OwnConversation {
                    id: row.id,
                    source_id: row.source_id.unwrap_or_default(),
                    raw: raw::read("conversations", &row.raw.unwrap_or_default())?,
                    is_alive: row.is_alive.unwrap_or_default(),
                    is_group: row.is_group,
                    thread,
                })
            })
            .collect()
    }

    /// Empties what the person wrote, and takes the person out of the conversation's own bytes. Returns how many parts.
    async fn empty_parts(
        &mut self,
        conversation: &OwnConversation,
        people: &BTreeSet<String>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let authors: Vec<&str> = people.iter().map(String::as_str).collect();
        let emptied = sqlx::query_scalar!(
            "UPDATE parts SET kind = CASE WHEN source_id = $4 THEN kind ELSE $5 END, author_kind = NULL, author_source_id = NULL,
                    author_name = NULL, body = NULL, redacted = true, sanitised = false, raw_hash = 0, raw = $6
             WHERE tenant_id = $1 AND conversation_id = $2 AND author_source_id = ANY ($3)
               AND coalesce(author_kind, '') NOT IN ('admin', 'bot', 'team')
             RETURNING source_id",
            tenant,
            conversation.id,
            &authors as &[&str],
            FIRST_MESSAGE,
            erased_text::ERASED_PART,
            raw::pack(RawKind::Part, b"{}"),
        )
        .fetch_all(self.session())
        .await?;
        let is_author = emptied.iter().any(|id| id == FIRST_MESSAGE);
        let text = String::from_utf8_lossy(&conversation.raw);
        let left = erased_text::without(&text, people, is_author);
        sqlx::query!(
            "UPDATE conversations SET raw = $3, title = CASE WHEN $4 THEN NULL ELSE title END WHERE tenant_id = $1 AND id = $2",
            tenant,
            conversation.id,
            raw::pack(RawKind::Conversation, left.as_bytes()),
            is_author,
        )
        .execute(self.session())
        .await?;
        Ok(emptied.len() as i64)
    }

    /// Deletes parts of a conversation, at most as many as a transaction may.
    async fn delete_parts(&mut self, conversation: Uuid) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let deleted = sqlx::query!(
            "DELETE FROM parts WHERE tenant_id = $1 AND conversation_id = $2 AND source_id = ANY (ARRAY(
                SELECT source_id FROM parts WHERE tenant_id = $1 AND conversation_id = $2 LIMIT $3))",
            tenant,
            conversation,
            PARTS,
        )
        .execute(self.session())
        .await?;
        Ok(deleted.rows_affected().cast_signed())
    }

    async fn delete_conversation(
        &mut self,
        connection: ConnectionId,
        conversation: &OwnConversation,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = $3",
            tenant,
            connection.0,
            conversation.id,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM conversations WHERE tenant_id = $1 AND id = $2",
            tenant,
            conversation.id,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'conversations' AND source_id = $3",
            tenant,
            connection.0,
            conversation.source_id,
        )
        .execute(self.session())
        .await?;
        if let Some(thread) = &conversation.thread {
            let counted = CountedThread {
                status: &thread.status,
                has_failed: thread.has_failed,
                held: thread.held,
                expected: thread.expected,
            };
            self.note_thread_removed(connection, &counted);
        }
        Ok(())
    }

    /// Deletes the person from conversations that the batch has worked.
    async fn delete_participations(
        &mut self,
        connection: ConnectionId,
        ended: &[(Uuid, Option<String>)],
        people: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        for (id, _) in ended {
            sqlx::query!(
                "DELETE FROM conversation_contacts
                 WHERE tenant_id = $1 AND conversation_id = $2 AND connection_id = $3 AND contact_source_id = ANY ($4)",
                tenant,
                id,
                connection.0,
                &people as &[&str],
            )
            .execute(self.session())
            .await?;
        }
        Ok(())
    }

    /// Deletes what could not be read of a conversation, with its bytes.
    async fn delete_quarantined_conversation(
        &mut self,
        connection: ConnectionId,
        source_id: &str,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let counted = sqlx::query_scalar!(
            r#"DELETE FROM quarantine
               WHERE tenant_id = $1 AND connection_id = $2
                 AND (kind = 'conversation' AND source_id = $3 OR kind = 'part' AND split_part(source_id, '/', 1) = $3)
               RETURNING kind = 'conversation' AND resolved_at IS NULL AND retry IS NULL AS "counted!""#,
            tenant,
            connection.0,
            source_id,
        )
        .fetch_all(self.session())
        .await?;
        let open = counted.iter().filter(|counted| **counted).count() as i64;
        self.forget_quarantined(connection, Stream::Conversations, open)
            .await?;
        Ok(counted.len() as i64)
    }

    /// Deletes parts that could not be read and that name the person. Who wrote one is not known.
    async fn delete_quarantined_parts_by(
        &mut self,
        connection: ConnectionId,
        conversation: &OwnConversation,
        people: &BTreeSet<String>,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, raw FROM quarantine
             WHERE tenant_id = $1 AND connection_id = $2 AND kind = 'part' AND split_part(source_id, '/', 1) = $3",
            tenant,
            connection.0,
            conversation.source_id,
        )
        .fetch_all(self.session())
        .await?;
        let mut deleted = 0;
        for row in rows {
            let bytes = raw::read("quarantine", &row.raw)?;
            let text = String::from_utf8_lossy(&bytes);
            if people.iter().any(|person| text.contains(person.as_str())) {
                sqlx::query!(
                    "DELETE FROM quarantine WHERE tenant_id = $1 AND connection_id = $2 AND kind = 'part' AND source_id = $3",
                    tenant,
                    connection.0,
                    row.source_id,
                )
                .execute(self.session())
                .await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Takes objects that could not be read from what their stream is said to have.
    pub(super) async fn forget_quarantined(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        open: i64,
    ) -> Result<(), StoreError> {
        if open == 0 {
            return Ok(());
        }
        let delta = ProofDelta {
            healed: open,
            ..ProofDelta::default()
        };
        self.add_to_proof(connection, stream, delta).await
    }

    /// Keeps conversations out from now on.
    async fn keep_out_names(
        &mut self,
        erasure: Uuid,
        connection: ConnectionId,
        names: &[&str],
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO erased (tenant_id, digest, kind, erasure_id, connection_id)
             SELECT $1, erased_digest(s.salt, erased_name('conversation', c.source, c.workspace_id, i.source_id)), 'conversation',
                    $3, $2
             FROM erasure_salts s
             CROSS JOIN LATERAL (SELECT source, workspace_id FROM connections WHERE tenant_id = $1 AND id = $2 OFFSET 0) c
             CROSS JOIN unnest($4::text[]) AS i(source_id)
             WHERE s.tenant_id = $1
             ON CONFLICT DO NOTHING",
            tenant,
            connection.0,
            erasure,
            names as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
