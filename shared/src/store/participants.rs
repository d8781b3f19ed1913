//! The contacts that take part in conversations, by their source ids.
//!
//! A contact that is not synced yet is simply not found by a read, so the order of arrival cannot change the result.

use uuid::Uuid;

use super::{StoreError, Tx, roles::Worker};
use crate::domain::ConnectionId;

impl Tx<Worker> {
    /// Removes contacts that no longer take part in these updated conversations. A new one has no rows to remove.
    pub(super) async fn remove_participants(
        &mut self,
        conversations: &[Uuid],
        participants: &[(Uuid, String)],
    ) -> Result<(), StoreError> {
        if conversations.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (ids, contacts) = columns(participants);
        // `NOT IN` over a set that is hashed once. The participants of one page fit in memory.
        sqlx::query!(
            "DELETE FROM conversation_contacts
             WHERE tenant_id = $1 AND conversation_id = ANY ($2::uuid[])
               AND (conversation_id, contact_source_id) NOT IN (SELECT * FROM unnest($3::uuid[], $4::text[]))",
            tenant,
            conversations,
            &ids,
            &contacts as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    pub(super) async fn add_participants(
        &mut self,
        connection: ConnectionId,
        participants: &[(Uuid, String)],
    ) -> Result<(), StoreError> {
        if participants.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (ids, contacts) = columns(participants);
        sqlx::query!(
            "INSERT INTO conversation_contacts (tenant_id, connection_id, conversation_id, contact_source_id)
             SELECT DISTINCT $1::uuid, $2::uuid, conversation, contact
             FROM unnest($3::uuid[], $4::text[]) AS i(conversation, contact)
             ON CONFLICT DO NOTHING",
            tenant,
            connection.0,
            &ids,
            &contacts as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// The conversations and the contacts as one array each, which is the shape that `unnest` takes.
fn columns(participants: &[(Uuid, String)]) -> (Vec<Uuid>, Vec<&str>) {
    participants
        .iter()
        .map(|(id, contact)| (*id, contact.as_str()))
        .unzip()
}
