//! Moves `updated_at` of objects that change without a new version of their own: deletions, merges, links, threads.
//!
//! A reader that follows `updated_since` sees what moves this time, and nothing else. Each statement finds its rows by
//! key, one after the other, because a plan may have been made when the tables were empty (`OFFSET 0` keeps the planner
//! from joining whole tables). It locks them in the order of every other writer: contacts by source id, conversations by
//! id. A change of rows that exist and are locked is written as an upsert, because an update that joins its rows may read
//! the whole table instead.

use uuid::Uuid;

use super::{StoreError, Tx, roles::Worker};
use crate::domain::ConnectionId;

impl Tx<Worker> {
    /// Contacts that were deleted, merged or linked.
    pub(super) async fn touch_contacts(
        &mut self,
        connection: ConnectionId,
        source_ids: &[&str],
    ) -> Result<(), StoreError> {
        if source_ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "WITH touched AS (
                SELECT c.id FROM (SELECT DISTINCT source_id FROM unnest($3::text[]) AS i(source_id) ORDER BY source_id) i
                CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources s
                    WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = i.source_id OFFSET 0) s
                CROSS JOIN LATERAL (SELECT id FROM contacts c
                    WHERE c.tenant_id = $1 AND c.id = s.contact_id FOR UPDATE) c
             )
             INSERT INTO contacts (tenant_id, id) SELECT DISTINCT $1::uuid, id FROM touched
             ON CONFLICT (tenant_id, id) DO UPDATE SET updated_at = now()",
            tenant,
            connection.0,
            source_ids as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Contacts of companies that have just arrived. Until then the contacts did not show them.
    pub(super) async fn touch_contacts_of(
        &mut self,
        connection: ConnectionId,
        companies: &[&str],
    ) -> Result<(), StoreError> {
        if companies.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let contacts = sqlx::query_scalar!(
            r#"SELECT DISTINCT l.contact_source_id AS "contact!" FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT contact_source_id FROM contact_companies l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.company_source_id = i.source_id OFFSET 0) l"#,
            tenant,
            connection.0,
            companies as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        self.touch_contacts(connection, &contacts).await
    }

    /// Conversations of contacts that have just arrived or were merged. They show other participants from now on.
    pub(super) async fn touch_conversations_of(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
    ) -> Result<(), StoreError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let conversations = sqlx::query_scalar!(
            r#"SELECT DISTINCT l.conversation_id AS "conversation!" FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT conversation_id FROM conversation_contacts l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.contact_source_id = i.source_id OFFSET 0) l"#,
            tenant,
            connection.0,
            contacts as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        self.touch_conversations(&conversations).await
    }

    /// Conversations whose thread has changed.
    pub(super) async fn touch_conversations(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<(), StoreError> {
        if conversations.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let mut ids = conversations.to_vec();
        ids.sort_unstable();
        ids.dedup();
        sqlx::query!(
            "INSERT INTO conversations (tenant_id, id, connection_id, source_id, source_created_at, source_updated_at, open, raw_hash, raw)
             SELECT $1, c.id, c.connection_id, '', c.source_updated_at, c.source_updated_at, false, 0, ''
             FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT id, connection_id, source_updated_at FROM conversations
                                 WHERE tenant_id = $1 AND id = i.id FOR UPDATE) c
             ON CONFLICT (tenant_id, id) DO UPDATE SET updated_at = now()",
            tenant,
            &ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
