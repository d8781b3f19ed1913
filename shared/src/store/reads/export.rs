//! Everything that is stored for one connection, page by page in key order: typed columns beside the raw
//! bytes. The demo, the tests and the benchmarks compare it with its source.
//!
//! A page begins after a key, so a large connection costs the memory of one page. Deleted, merged and sanitised rows
//! are included, with their marks.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::ConnectionId,
    store::{StoreError, Tx, raw, roles::Api},
};

/// The connection's record of a contact.
#[derive(Clone, Debug)]
pub struct StoredContact {
    pub source_id: String,
    pub external_id: Option<String>,
    pub source_updated_at: DateTime<Utc>,
    /// The survivor's source id, when this contact was merged away.
    pub merged_into: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub sanitised: bool,
    pub raw: Vec<u8>,
}

/// The connection's record of a company.
#[derive(Clone, Debug)]
pub struct StoredCompany {
    pub source_id: String,
    pub external_id: Option<String>,
    pub source_updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub sanitised: bool,
    pub raw: Vec<u8>,
}

/// A conversation, its participants, and the state of its thread.
#[derive(Clone, Debug)]
pub struct StoredConversation {
    pub id: Uuid,
    pub source_id: String,
    pub title: Option<String>,
    pub state: Option<String>,
    pub open: bool,
    pub priority: Option<String>,
    pub admin_assignee_id: Option<String>,
    pub team_assignee_id: Option<String>,
    /// Names, in the source's order.
    pub tags: Vec<String>,
    /// Source ids, sorted.
    pub contacts: Vec<String>,
    pub source_created_at: DateTime<Utc>,
    pub source_updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub sanitised: bool,
    pub raw: Vec<u8>,
    /// `None` if there is no thread row, which is a fault of ours.
    pub thread: Option<StoredThread>,
}

/// The state of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredThread {
    /// `pending`, `complete`, `truncated`, `gone` or `blocked`.
    pub status: String,
    pub held: i32,
    pub expected: Option<i32>,
}

/// One part of a conversation. The first message has the source id `source`.
#[derive(Clone, Debug)]
pub struct StoredPart {
    pub conversation_id: Uuid,
    pub conversation_source_id: String,
    pub source_id: String,
    pub kind: String,
    pub author_kind: Option<String>,
    pub author_source_id: Option<String>,
    pub author_name: Option<String>,
    pub body: Option<String>,
    pub redacted: bool,
    pub internal: bool,
    pub source_created_at: DateTime<Utc>,
    pub source_updated_at: DateTime<Utc>,
    pub sanitised: bool,
    pub raw: Vec<u8>,
}

/// A link between a contact and a company of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLink {
    pub contact_source_id: String,
    pub company_source_id: String,
}

/// An admin, team, tag, segment or attribute definition.
#[derive(Clone, Debug)]
pub struct StoredReference {
    pub kind: String,
    pub source_id: String,
    pub name: Option<String>,
    pub doc: Value,
    pub sanitised: bool,
    pub removed_at: Option<DateTime<Utc>>,
}

impl Tx<Api> {
    /// Contacts after a source id (`""` for the first page), in source id order.
    #[tracing::instrument(name = "db.export_contacts", level = "debug", skip_all)]
    pub async fn export_contacts(
        &mut self,
        connection: ConnectionId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<StoredContact>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, external_id, source_updated_at, merged_into, deleted_at, sanitised, raw
             FROM contact_sources WHERE tenant_id = $1 AND connection_id = $2 AND source_id > $3
             ORDER BY source_id LIMIT $4",
            tenant,
            connection.0,
            after,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let stored = rows.into_iter().map(|row| {
            Ok(StoredContact {
                source_id: row.source_id,
                external_id: row.external_id,
                source_updated_at: row.source_updated_at,
                merged_into: row.merged_into,
                deleted_at: row.deleted_at,
                sanitised: row.sanitised,
                raw: raw::read("contact_sources", &row.raw)?,
            })
        });
        stored.collect()
    }

    /// Companies after a source id (`""` for the first page), in source id order.
    #[tracing::instrument(name = "db.export_companies", level = "debug", skip_all)]
    pub async fn export_companies(
        &mut self,
        connection: ConnectionId,
        after: &str,
        limit: i64,
    ) -> Result<Vec<StoredCompany>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, external_id, source_updated_at, deleted_at, sanitised, raw
             FROM company_sources WHERE tenant_id = $1 AND connection_id = $2 AND source_id > $3
             ORDER BY source_id LIMIT $4",
            tenant,
            connection.0,
            after,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let stored = rows.into_iter().map(|row| {
            Ok(StoredCompany {
                source_id: row.source_id,
                external_id: row.external_id,
                source_updated_at: row.source_updated_at,
                deleted_at: row.deleted_at,
                sanitised: row.sanitised,
                raw: raw::read("company_sources", &row.raw)?,
            })
        });
        stored.collect()
    }

    /// Conversations after an id (the nil uuid for the first page), in id order.
    #[tracing::instrument(name = "db.export_conversations", level = "debug", skip_all)]
    pub async fn export_conversations(
        &mut self,
        connection: ConnectionId,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<StoredConversation>, StoreError> {
        let tenant = self.tenant().0;
        // A left join, so that a conversation without a thread row shows as a fault instead of being left out.
        let rows = sqlx::query!(
            r#"SELECT c.id, c.source_id, c.title, c.state, c.open, c.priority, c.admin_assignee_id, c.team_assignee_id,
                      c.tags, c.source_created_at, c.source_updated_at, c.deleted_at, c.sanitised, c.raw,
                      ARRAY(SELECT p.contact_source_id FROM conversation_contacts p
                            WHERE p.tenant_id = $1 AND p.conversation_id = c.id
                            ORDER BY p.contact_source_id) AS "contacts!",
                      t.status AS "status?", t.held AS "held?", t.expected AS "expected?"
               FROM conversations c
               LEFT JOIN threads t ON t.tenant_id = $1 AND t.connection_id = $2 AND t.conversation_id = c.id
               WHERE c.tenant_id = $1 AND c.connection_id = $2 AND c.id > $3
               ORDER BY c.id LIMIT $4"#,
            tenant,
            connection.0,
            after,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let stored = rows.into_iter().map(|row| {
            Ok(StoredConversation {
                id: row.id,
                source_id: row.source_id,
                title: row.title,
                state: row.state,
                open: row.open,
                priority: row.priority,
                admin_assignee_id: row.admin_assignee_id,
                team_assignee_id: row.team_assignee_id,
                tags: row.tags,
                contacts: row.contacts,
                source_created_at: row.source_created_at,
                source_updated_at: row.source_updated_at,
                deleted_at: row.deleted_at,
                sanitised: row.sanitised,
                raw: raw::read("conversations", &row.raw)?,
                thread: row.status.zip(row.held).map(|(status, held)| StoredThread {
                    status,
                    held,
                    expected: row.expected,
                }),
            })
        });
        stored.collect()
    }

    /// Parts after a conversation's id and a part's source id (nil and `""` for the first page), in that order.
    #[tracing::instrument(name = "db.export_parts", level = "debug", skip_all)]
    pub async fn export_parts(
        &mut self,
        connection: ConnectionId,
        after: (Uuid, &str),
        limit: i64,
    ) -> Result<Vec<StoredPart>, StoreError> {
        let tenant = self.tenant().0;
        let mut parts = sqlx::query_as!(
            StoredPart,
            "SELECT p.conversation_id, c.source_id AS conversation_source_id, p.source_id, p.kind, p.author_kind,
                    p.author_source_id, p.author_name, p.body, p.redacted, p.internal, p.source_created_at,
                    p.source_updated_at, p.sanitised, p.raw
             FROM parts p
             JOIN conversations c ON c.tenant_id = $1 AND c.id = p.conversation_id
             WHERE p.tenant_id = $1 AND c.connection_id = $2 AND (p.conversation_id, p.source_id) > ($3, $4)
             ORDER BY p.conversation_id, p.source_id LIMIT $5",
            tenant,
            connection.0,
            after.0,
            after.1,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        for part in &mut parts {
            part.raw = raw::read("parts", &part.raw)?;
        }
        Ok(parts)
    }

    /// Links after a pair of source ids (two `""` for the first page), contact first, in that order.
    #[tracing::instrument(name = "db.export_links", level = "debug", skip_all)]
    pub async fn export_links(
        &mut self,
        connection: ConnectionId,
        after: (&str, &str),
        limit: i64,
    ) -> Result<Vec<StoredLink>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            StoredLink,
            "SELECT contact_source_id, company_source_id FROM contact_companies
             WHERE tenant_id = $1 AND connection_id = $2 AND (contact_source_id, company_source_id) > ($3, $4)
             ORDER BY contact_source_id, company_source_id LIMIT $5",
            tenant,
            connection.0,
            after.0,
            after.1,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// All reference items: a workspace has hundreds at most.
    #[tracing::instrument(name = "db.export_reference", level = "debug", skip_all)]
    pub async fn export_reference(
        &mut self,
        connection: ConnectionId,
    ) -> Result<Vec<StoredReference>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            StoredReference,
            "SELECT kind, source_id, name, doc, sanitised, removed_at FROM reference_items
             WHERE tenant_id = $1 AND connection_id = $2 ORDER BY kind, source_id",
            tenant,
            connection.0,
        )
        .fetch_all(self.session())
        .await?)
    }
}
