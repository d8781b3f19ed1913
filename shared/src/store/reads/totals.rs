//! How many there are of what is read page by page.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::{StoreError, Tx, roles::Api};

/// How many conversations a contact takes part in, or show a company. Deleted ones do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationTotals {
    pub total: i64,
    pub open: i64,
    /// When the last one changed at its source.
    pub last_at: Option<DateTime<Utc>>,
}

impl Tx<Api> {
    /// The contact's own id is needed (see [`Tx::resolve_contact`]). Conversations of all its records count.
    #[tracing::instrument(name = "db.conversation_totals", level = "debug", skip_all)]
    pub async fn conversation_totals(
        &mut self,
        contact: Uuid,
    ) -> Result<ConversationTotals, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            ConversationTotals,
            r#"WITH person AS (
                   SELECT connection_id, source_id FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2
               ), taken_part AS MATERIALIZED (
                   SELECT DISTINCT l.conversation_id
                   FROM person CROSS JOIN LATERAL (
                       SELECT conversation_id FROM conversation_contacts
                       WHERE tenant_id = $1 AND connection_id = person.connection_id
                         AND contact_source_id = person.source_id OFFSET 0) l
               )
               SELECT count(*) AS "total!", count(*) FILTER (WHERE c.open) AS "open!", max(c.source_updated_at) AS last_at
               FROM taken_part t CROSS JOIN LATERAL (
                   SELECT open, source_updated_at FROM conversations
                   WHERE tenant_id = $1 AND id = t.conversation_id AND deleted_at IS NULL OFFSET 0) c"#,
            tenant,
            contact,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Conversations that show these companies, as far as they are counted. Own ids are needed (see
    /// [`Tx::resolve_company`]). A company without any is left out.
    #[tracing::instrument(name = "db.company_totals", level = "debug", skip_all)]
    pub async fn company_totals(
        &mut self,
        companies: &[Uuid],
    ) -> Result<HashMap<Uuid, ConversationTotals>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", t.conversations, t.open, n.last_at
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT conversations, open FROM company_totals
                                   WHERE tenant_id = $1 AND company_id = i.id OFFSET 0) t
               CROSS JOIN LATERAL (SELECT last_at FROM company_conversations
                                   WHERE tenant_id = $1 AND company_id = i.id ORDER BY last_at DESC LIMIT 1) n"#,
            tenant,
            companies,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let totals = ConversationTotals {
                    total: row.conversations,
                    open: row.open,
                    last_at: Some(row.last_at),
                };
                (row.id, totals)
            })
            .collect())
    }

    /// Events of a contact's records.
    #[tracing::instrument(name = "db.event_total", level = "debug", skip_all)]
    pub async fn event_total(&mut self, contact: Uuid) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"WITH person AS (
                   SELECT connection_id, source_id FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2
               )
               SELECT count(*) AS "total!" FROM person CROSS JOIN LATERAL (
                   SELECT id FROM events
                   WHERE tenant_id = $1 AND connection_id = person.connection_id AND contact_source_id = person.source_id
                     AND deleted_at IS NULL OFFSET 0) e"#,
            tenant,
            contact,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Stored messages and events of a conversation, the first message included.
    #[tracing::instrument(name = "db.part_total", level = "debug", skip_all)]
    pub async fn part_total(&mut self, conversation: Uuid) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "total!" FROM parts WHERE tenant_id = $1 AND conversation_id = $2"#,
            tenant,
            conversation,
        )
        .fetch_one(self.session())
        .await?)
    }
}
