//! The purge of conversations, which have the most rows by far.

use uuid::Uuid;

use super::{OBJECTS, PARTS, Progress};
use crate::{
    domain::ConnectionId,
    store::{
        StoreError, Tx,
        noted_changes::{ChangeOp, ObjectFate},
        roles::Api,
    },
};

/// A batch of conversations, in the order of ids, behind a progress.
struct ConversationBatch {
    after: Uuid,
    ids: Vec<Uuid>,
    /// The last of them, up to which this batch goes.
    last: Uuid,
    /// The first conversation alone has more parts than a transaction deletes.
    is_giant: bool,
}

impl Tx<Api> {
    /// Deletes a batch of conversations with their threads, parts and participants.
    pub(super) async fn delete_conversations(
        &mut self,
        connection: ConnectionId,
        progress: &mut Progress,
    ) -> Result<bool, StoreError> {
        let after = progress.conversation;
        let Some(batch) = self.conversation_batch(connection, after).await? else {
            return Ok(false);
        };
        // The conversation of very many parts stays until its last ones.
        if batch.is_giant && self.delete_some_parts(batch.last).await? == PARTS.unsigned_abs() {
            return Ok(true);
        }
        let tenant = self.tenant().0;
        // Each by a range of its key, which is read by an index whatever the planner believes. The list leaves out what
        // another connection of the tenant has in that range.
        sqlx::query!(
            "DELETE FROM parts WHERE tenant_id = $1 AND conversation_id > $2 AND conversation_id <= $3
                AND conversation_id = ANY ($4)",
            tenant,
            batch.after,
            batch.last,
            &batch.ids,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM conversation_contacts WHERE tenant_id = $1 AND conversation_id > $2 AND conversation_id <= $3
                AND connection_id = $4",
            tenant,
            batch.after,
            batch.last,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM threads WHERE tenant_id = $1 AND connection_id = $4 AND conversation_id > $2 AND conversation_id <= $3",
            tenant,
            batch.after,
            batch.last,
            connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM conversations WHERE tenant_id = $1 AND id > $2 AND id <= $3 AND connection_id = $4",
            tenant,
            batch.after,
            batch.last,
            connection.0,
        )
        .execute(self.session())
        .await?;
        self.note_ends(ChangeOp::Delete, ObjectFate::Removed, batch.ids);
        progress.conversation = batch.last;
        Ok(true)
    }

    /// The next conversations whose parts fit into a transaction. `None` if none is left.
    async fn conversation_batch(
        &mut self,
        connection: ConnectionId,
        after: Uuid,
    ) -> Result<Option<ConversationBatch>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT c.id, coalesce(t.held, 0) AS "parts!"
               FROM (SELECT id FROM conversations WHERE tenant_id = $1 AND id > $3 AND connection_id = $2
                     ORDER BY id LIMIT $4) c
               LEFT JOIN LATERAL (SELECT held FROM threads WHERE tenant_id = $1 AND connection_id = $2
                                     AND conversation_id = c.id) t ON true
               ORDER BY c.id"#,
            tenant,
            connection.0,
            after,
            OBJECTS,
        )
        .fetch_all(self.session())
        .await?;
        let mut parts = 0;
        let ids: Vec<Uuid> = rows
            .iter()
            .take_while(|row| {
                let is_first = parts == 0;
                // The first message is a part too.
                parts += i64::from(row.parts) + 1;
                is_first || parts <= PARTS
            })
            .map(|row| row.id)
            .collect();
        let is_giant = rows.first().is_some_and(|row| i64::from(row.parts) > PARTS);
        Ok(ids.last().copied().map(|last| ConversationBatch {
            after,
            is_giant: is_giant && ids.len() == 1,
            ids,
            last,
        }))
    }

    /// Deletes as many parts of one conversation as a transaction may. Returns how many there were.
    async fn delete_some_parts(&mut self, conversation: Uuid) -> Result<u64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query!(
            "DELETE FROM parts WHERE tenant_id = $1 AND conversation_id = $2 AND source_id = ANY (ARRAY(
                SELECT source_id FROM parts WHERE tenant_id = $1 AND conversation_id = $2 LIMIT $3))",
            tenant,
            conversation,
            PARTS,
        )
        .execute(self.session())
        .await?
        .rows_affected())
    }
}
