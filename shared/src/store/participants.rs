//! The contacts that take part in conversations, by their source ids.
//!
//! A contact that is not synced yet is simply not found by a read, so the order of arrival cannot change the result.

use std::collections::HashSet;

use uuid::Uuid;

use super::{StoreError, Tx, roles::Worker};
use crate::domain::{ConnectionId, records::SubList};

/// What changed conversations show of their participants.
#[derive(Debug, Default)]
pub(super) struct Participants {
    shown: HashSet<(Uuid, String)>,
    /// Conversations that were stored before and whose list is whole. A contact that it does not show takes no part.
    listed: Vec<Uuid>,
}

impl Participants {
    pub(super) fn push(&mut self, conversation: Uuid, contacts: &SubList, is_new: bool) {
        let shown = contacts.entries().iter();
        self.shown
            .extend(shown.map(|contact| (conversation, contact.clone())));
        // A contact that is not shown by a cut list still takes part, and a new conversation has none to remove.
        if contacts.is_whole() && !is_new {
            self.listed.push(conversation);
        }
    }
}

impl Tx<Worker> {
    /// Adds the contacts that take part, and removes those that no longer do.
    pub(super) async fn write_participants(
        &mut self,
        connection: ConnectionId,
        participants: &Participants,
    ) -> Result<(), StoreError> {
        for (conversation, contact) in self.stored_participants(&participants.listed).await? {
            let participant = (conversation, contact);
            // One at a time, because a participant hardly ever leaves.
            if !participants.shown.contains(&participant) {
                self.remove_participant(participant).await?;
            }
        }
        self.add_participants(connection, &participants.shown).await
    }

    async fn stored_participants(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<Vec<(Uuid, String)>, StoreError> {
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", l.contact_source_id FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT contact_source_id FROM conversation_contacts
                                   WHERE tenant_id = $1 AND conversation_id = i.id OFFSET 0) l"#,
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.id, row.contact_source_id))
            .collect())
    }

    async fn remove_participant(
        &mut self,
        (conversation, contact): (Uuid, String),
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM conversation_contacts
             WHERE tenant_id = $1 AND conversation_id = $2 AND contact_source_id = $3",
            tenant,
            conversation,
            contact,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn add_participants(
        &mut self,
        connection: ConnectionId,
        participants: &HashSet<(Uuid, String)>,
    ) -> Result<(), StoreError> {
        if participants.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let mut sorted: Vec<&(Uuid, String)> = participants.iter().collect();
        sorted.sort_unstable();
        let (ids, contacts): (Vec<Uuid>, Vec<&str>) = sorted
            .into_iter()
            .map(|(id, contact)| (*id, contact.as_str()))
            .unzip();
        sqlx::query!(
            "INSERT INTO conversation_contacts (tenant_id, connection_id, conversation_id, contact_source_id)
             SELECT $1, $2, conversation, contact FROM unnest($3::uuid[], $4::text[]) AS i(conversation, contact)
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
