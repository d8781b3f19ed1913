//! Ids of the conversations on a page, last changed first. A list of each kind has an index of its own.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ConversationFilter, Position, feed::Ranges};
use crate::store::{StoreError, Tx, noted_changes::ObjectKind, roles::Api};

impl Tx<Api> {
    /// Ids of conversations that changed here, last change first.
    pub(super) async fn changed_conversation_ids(
        &mut self,
        since: DateTime<Utc>,
        filter: &ConversationFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let state = filter.state.as_deref();
        let ranges = Ranges::of_conversations(state, filter.deleted);
        let listed = match state {
            Some(state) if ObjectKind::of_state(Some(state)) == ObjectKind::OtherState => {
                self.listed_in_state(&ranges, state, since, before.at, limit)
                    .await?
            }
            _ => self.listed(&ranges, since, before.at, limit).await?,
        };
        Ok(listed.into_iter().map(|listed| listed.id).collect())
    }

    pub(super) async fn conversation_ids(
        &mut self,
        filter: &ConversationFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT id FROM conversations
             WHERE tenant_id = $1 AND (source_updated_at, id) < ($2, $3) AND source_updated_at > '-infinity'
               AND ($4 OR deleted_at IS NULL)
             ORDER BY source_updated_at DESC, id DESC LIMIT $5",
            tenant,
            before.at,
            before.id,
            filter.deleted,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    pub(super) async fn conversation_ids_of_state(
        &mut self,
        state: &str,
        filter: &ConversationFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT id FROM conversations
             WHERE tenant_id = $1 AND state = $4 AND (source_updated_at, id) < ($2, $3) AND ($5 OR deleted_at IS NULL)
             ORDER BY source_updated_at DESC, id DESC LIMIT $6",
            tenant,
            before.at,
            before.id,
            state,
            filter.deleted,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Ids of one contact's conversations.
    pub(super) async fn conversation_ids_of(
        &mut self,
        contact: Uuid,
        filter: &ConversationFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant().0;
        // From the contact to its conversations, because a contact has few. `MATERIALIZED` keeps the planner from
        // walking the index by time and testing each conversation instead.
        Ok(sqlx::query_scalar!(
            "WITH person AS (
                 SELECT connection_id, source_id FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2
             ), taken_part AS MATERIALIZED (
                 SELECT DISTINCT l.conversation_id
                 FROM person CROSS JOIN LATERAL (
                     SELECT conversation_id FROM conversation_contacts
                     WHERE tenant_id = $1 AND connection_id = person.connection_id
                       AND contact_source_id = person.source_id OFFSET 0) l
             ), ordered AS (
                 SELECT c.id, CASE WHEN $5::timestamptz IS NULL THEN c.source_updated_at ELSE h.at END AS at
                 FROM taken_part t CROSS JOIN LATERAL (
                     SELECT id, source_updated_at, state, deleted_at FROM conversations
                     WHERE tenant_id = $1 AND id = t.conversation_id OFFSET 0) c
                 CROSS JOIN LATERAL (SELECT at FROM changes WHERE tenant_id = $1 AND id = c.id OFFSET 0) h
                 WHERE ($6::text IS NULL OR c.state = $6) AND ($7 OR c.deleted_at IS NULL)
             )
             SELECT id FROM ordered WHERE (at, id) < ($3, $4) AND ($5::timestamptz IS NULL OR at >= $5)
             ORDER BY at DESC, id DESC LIMIT $8",
            tenant,
            contact,
            before.at,
            before.id,
            filter.updated_since,
            filter.state,
            filter.deleted,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }
}
