//! Conversations without their parts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Position;
use crate::{
    domain::ConnectionId,
    store::{StoreError, Tx, raw::PackedRaw, roles::Api},
};

/// One conversation.
#[derive(Clone, Debug)]
pub struct ConversationRecord {
    pub id: Uuid,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub title: Option<String>,
    /// `open`, `closed` or `snoozed`, as Intercom reports it.
    pub state: Option<String>,
    pub open: bool,
    pub priority: Option<String>,
    pub assignee: Option<Assignee>,
    /// Names.
    pub tags: Vec<String>,
    /// The participants' contact ids. A contact that is not synced yet is left out until it is.
    pub contact_ids: Vec<Uuid>,
    /// The companies of its contacts, and the one that Intercom names. A company that is not synced yet is left out.
    pub company_ids: Vec<Uuid>,
    pub thread: ThreadState,
    pub source_created_at: DateTime<Utc>,
    pub source_updated_at: DateTime<Utc>,
    /// When it last changed here: its own fields, its participants or its thread.
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// What was sent of it.
    pub raw: PackedRaw,
}

/// The assigned teammate, or else the team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignee {
    /// `admin` or `team`.
    pub kind: &'static str,
    /// Intercom's id.
    pub id: String,
    pub name: Option<String>,
}

/// How much of the thread is stored, without the first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// `pending`, `complete`, `truncated`, `gone` or `blocked`.
    pub status: String,
    pub held: i32,
    pub expected: Option<i32>,
    /// The last error of a fetch that failed.
    pub error: Option<String>,
    /// When a thread that could not be fetched is tried again.
    pub retry_at: Option<DateTime<Utc>>,
}

/// What conversations are filtered by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// A contact's own id (see [`Tx::resolve_contact`]). Conversations of all its records count.
    pub contact: Option<Uuid>,
    pub state: Option<String>,
    /// Changed here at or after this time: the conversation itself, its participants or its thread. The list is then
    /// in the order of these changes, and not of Intercom's times.
    pub updated_since: Option<DateTime<Utc>>,
    /// Also those deleted in Intercom.
    pub deleted: bool,
}

struct ConversationRow {
    id: Uuid,
    connection_id: Uuid,
    source_id: String,
    title: Option<String>,
    state: Option<String>,
    open: bool,
    priority: Option<String>,
    admin_assignee_id: Option<String>,
    admin_name: Option<String>,
    team_assignee_id: Option<String>,
    team_name: Option<String>,
    tags: Vec<String>,
    thread_status: Option<String>,
    thread_held: Option<i32>,
    thread_expected: Option<i32>,
    thread_error: Option<String>,
    thread_retry_at: Option<DateTime<Utc>>,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
    raw: Vec<u8>,
}

impl ConversationFilter {
    /// The time that a list with this filter is ordered by.
    #[must_use]
    pub fn order_of(&self, conversation: &ConversationRecord) -> DateTime<Utc> {
        if self.updated_since.is_some() {
            conversation.updated_at
        } else {
            conversation.source_updated_at
        }
    }
}

impl Tx<Api> {
    /// One conversation. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.conversation", level = "debug", skip_all)]
    pub async fn conversation(
        &mut self,
        id: Uuid,
    ) -> Result<Option<ConversationRecord>, StoreError> {
        Ok(self.conversations_by_id(&[id]).await?.pop())
    }

    /// Conversations, last changed first.
    #[tracing::instrument(name = "db.conversations", level = "debug", skip_all)]
    pub async fn conversations(
        &mut self,
        filter: &ConversationFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<ConversationRecord>, StoreError> {
        // Ids first, details second, so that the two filters share one select list.
        let ids = match filter.contact {
            Some(contact) => {
                self.conversation_ids_of(contact, filter, before, limit)
                    .await?
            }
            // A list of each kind has an index of its own, so that a rare state costs no more than a frequent one.
            None => match (filter.updated_since, &filter.state) {
                (Some(since), _) => {
                    self.changed_conversation_ids(since, filter, before, limit)
                        .await?
                }
                (None, Some(state)) => {
                    self.conversation_ids_of_state(state, filter, before, limit)
                        .await?
                }
                (None, None) => self.conversation_ids(filter, before, limit).await?,
            },
        };
        self.conversations_by_id(&ids).await
    }

    /// Conversations by id, in the order of the ids. Unknown ids are left out.
    #[tracing::instrument(name = "db.conversations_by_id", level = "debug", skip_all)]
    pub async fn conversations_by_id(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<ConversationRecord>, StoreError> {
        let tenant = self.tenant().0;
        // Names by left joins, because an assignee may be removed, or not be synced yet.
        let rows = sqlx::query_as!(
            ConversationRow,
            r#"SELECT c.id, c.connection_id, c.source_id, c.title, c.state, c.open, c.priority,
                      c.admin_assignee_id, a.name AS "admin_name?", c.team_assignee_id, g.name AS "team_name?",
                      c.tags, t.status AS "thread_status?", t.held AS "thread_held?", t.expected AS thread_expected,
                      t.error AS thread_error,
                      CASE WHEN t.error IS NOT NULL THEN coalesce(t.due_at, t.retry_at) END AS thread_retry_at,
                      c.source_created_at, c.source_updated_at, h.at AS updated_at, c.deleted_at, c.raw
               FROM unnest($2::uuid[]) WITH ORDINALITY AS i(id, place)
               CROSS JOIN LATERAL (SELECT * FROM conversations WHERE tenant_id = $1 AND id = i.id OFFSET 0) c
               CROSS JOIN LATERAL (SELECT at FROM changes WHERE tenant_id = $1 AND id = i.id OFFSET 0) h
               LEFT JOIN LATERAL (SELECT * FROM threads WHERE tenant_id = $1 AND connection_id = c.connection_id
                                     AND conversation_id = c.id OFFSET 0) t ON true
               LEFT JOIN LATERAL (SELECT name FROM reference_items WHERE tenant_id = $1 AND connection_id = c.connection_id
                                     AND kind = 'admin' AND source_id = c.admin_assignee_id OFFSET 0) a ON true
               LEFT JOIN LATERAL (SELECT name FROM reference_items WHERE tenant_id = $1 AND connection_id = c.connection_id
                                     AND kind = 'team' AND source_id = c.team_assignee_id OFFSET 0) g ON true
               ORDER BY i.place"#,
            tenant,
            ids,
        )
        .fetch_all(self.session())
        .await?;
        let mut contacts = self.participants(ids).await?;
        let mut companies = self.companies_of_conversations(ids).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let contact_ids = contacts.remove(&row.id).unwrap_or_default();
                let company_ids = companies.remove(&row.id).unwrap_or_default();
                row.into_conversation(contact_ids, company_ids)
            })
            .collect())
    }

    /// The participants by conversation.
    async fn participants(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Uuid>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT DISTINCT l.conversation_id, s.contact_id
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT conversation_id, connection_id, contact_source_id FROM conversation_contacts
                                   WHERE tenant_id = $1 AND conversation_id = i.id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                                   WHERE tenant_id = $1 AND connection_id = l.connection_id
                                     AND source_id = l.contact_source_id OFFSET 0) s
               ORDER BY 1, 2"#,
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        Ok(by_conversation(
            rows.into_iter()
                .map(|row| (row.conversation_id, row.contact_id)),
        ))
    }

    /// The companies by conversation: those of all records of its contacts, and the one that it names itself.
    async fn companies_of_conversations(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Uuid>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "conversation_id!", o.company_id AS "company_id!"
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, contact_source_id FROM conversation_contacts
                                   WHERE tenant_id = $1 AND conversation_id = i.id OFFSET 0) p
               CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                                   WHERE tenant_id = $1 AND connection_id = p.connection_id
                                     AND source_id = p.contact_source_id OFFSET 0) s
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM contact_sources
                                   WHERE tenant_id = $1 AND contact_id = s.contact_id AND merged_into IS NULL OFFSET 0) r
               CROSS JOIN LATERAL (SELECT connection_id, company_source_id FROM contact_companies
                                   WHERE tenant_id = $1 AND connection_id = r.connection_id
                                     AND contact_source_id = r.source_id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT company_id FROM company_sources
                                   WHERE tenant_id = $1 AND connection_id = l.connection_id
                                     AND source_id = l.company_source_id OFFSET 0) o
               UNION
               SELECT i.id, o.company_id
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, company_source_id FROM conversations
                                   WHERE tenant_id = $1 AND id = i.id AND company_source_id IS NOT NULL OFFSET 0) c
               CROSS JOIN LATERAL (SELECT company_id FROM company_sources
                                   WHERE tenant_id = $1 AND connection_id = c.connection_id
                                     AND source_id = c.company_source_id OFFSET 0) o
               ORDER BY 1, 2"#,
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        Ok(by_conversation(
            rows.into_iter()
                .map(|row| (row.conversation_id, row.company_id)),
        ))
    }
}

/// The ids of each conversation, in the order in which they come.
fn by_conversation(pairs: impl Iterator<Item = (Uuid, Uuid)>) -> HashMap<Uuid, Vec<Uuid>> {
    let mut of: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (conversation, id) in pairs {
        of.entry(conversation).or_default().push(id);
    }
    of
}

impl ConversationRow {
    fn into_conversation(
        self,
        contact_ids: Vec<Uuid>,
        company_ids: Vec<Uuid>,
    ) -> ConversationRecord {
        let admin = self.admin_assignee_id.map(|id| Assignee {
            kind: "admin",
            id,
            name: self.admin_name,
        });
        let team = self.team_assignee_id.map(|id| Assignee {
            kind: "team",
            id,
            name: self.team_name,
        });
        ConversationRecord {
            id: self.id,
            connection_id: ConnectionId(self.connection_id),
            source_id: self.source_id,
            title: self.title,
            state: self.state,
            open: self.open,
            priority: self.priority,
            assignee: admin.or(team),
            tags: self.tags,
            contact_ids,
            company_ids,
            thread: ThreadState {
                // A conversation may be stored before its thread's row. Its thread is pending too.
                status: self.thread_status.unwrap_or_else(|| "pending".to_owned()),
                held: self.thread_held.unwrap_or(0),
                expected: self.thread_expected,
                error: self.thread_error,
                retry_at: self.thread_retry_at,
            },
            source_created_at: self.source_created_at,
            source_updated_at: self.source_updated_at,
            updated_at: self.updated_at,
            deleted_at: self.deleted_at,
            raw: PackedRaw(self.raw),
        }
    }
}
