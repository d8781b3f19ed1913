//! Objects that show something else because another one has changed: conversations of a contact that has just arrived, and
//! what shows a company that has.
//!
//! A statement remembers what has changed. The neighbours are looked for when the transaction ends, while it holds the row
//! of the tenant's feed. A transaction that writes a neighbour at the same time has either committed by then, so that it is
//! found, or gets the row afterwards, so that the neighbour is read after both.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    StoreError, Tx,
    noted_changes::ChangeOp,
    noted_neighbours::add,
    roles::{ChangesObjects, DbRole},
};
use crate::domain::ConnectionId;

impl<R: ChangesObjects> Tx<R> {
    /// Conversations of these records show another participant.
    pub(super) fn note_new_contacts(&mut self, connection: ConnectionId, source_ids: &[&str]) {
        let neighbours = self.changes().neighbours();
        add(&mut neighbours.new_contacts, connection, source_ids);
    }

    /// The contacts of these records show other companies, and so do their conversations.
    pub(super) fn note_relinked_contacts(&mut self, connection: ConnectionId, source_ids: &[&str]) {
        let neighbours = self.changes().neighbours();
        add(&mut neighbours.relinked_contacts, connection, source_ids);
    }

    /// Conversations of these contacts show another participant, or companies of other records.
    pub(super) fn note_regrouped_contacts(&mut self, contacts: impl IntoIterator<Item = Uuid>) {
        let neighbours = self.changes().neighbours();
        neighbours.regrouped_contacts.extend(contacts);
    }

    /// Contacts and conversations show another company in the place of these records.
    pub(super) fn note_moved_companies(&mut self, connection: ConnectionId, source_ids: &[&str]) {
        let neighbours = self.changes().neighbours();
        add(&mut neighbours.moved_companies, connection, source_ids);
    }
}

/// The ids that a statement finds for records of one connection.
macro_rules! ids_of_records {
    ($tx:ident, $connection:ident, $records:ident, $statement:literal) => {{
        let tenant = $tx.tenant().0;
        let records: Vec<&str> = $records.iter().map(String::as_str).collect();
        Ok(
            sqlx::query_scalar!($statement, tenant, $connection.0, &records as &[&str])
                .fetch_all($tx.session())
                .await?,
        )
    }};
}

/// Each statement finds its rows by key, one after the other, because a plan may have been made when the tables were empty
/// (`OFFSET 0` keeps the planner from joining whole tables).
impl<R: DbRole> Tx<R> {
    /// Notes the neighbours. Only the statement that writes the notes down comes after it.
    pub(super) async fn note_neighbours(&mut self) -> Result<(), StoreError> {
        let neighbours = std::mem::take(self.changes().neighbours());
        if neighbours.is_empty() {
            return Ok(());
        }
        self.lock_feed().await?;
        let mut linked = Vec::new();
        for (connection, records) in &neighbours.moved_companies {
            linked.extend(self.contacts_of_companies(*connection, records).await?);
            let conversations = self.conversations_about(*connection, records).await?;
            self.note_links(conversations);
        }
        for (connection, records) in &neighbours.relinked_contacts {
            linked.extend(self.contacts_of_records(*connection, records).await?);
        }
        self.note_links(linked.iter().copied());
        let mut contacts = neighbours.regrouped_contacts;
        contacts.extend(linked);
        let contacts: Vec<Uuid> = contacts.into_iter().collect();
        let conversations = self.conversations_of_contacts(&contacts).await?;
        self.note_links(conversations);
        for (connection, records) in &neighbours.new_contacts {
            let conversations = self.conversations_of_records(*connection, records).await?;
            self.note_links(conversations);
        }
        Ok(())
    }

    fn note_links(&mut self, objects: impl IntoIterator<Item = Uuid>) {
        for id in objects {
            self.changes().note(id, ChangeOp::Link, None, None);
        }
    }

    /// Makes every other transaction that changes objects of the tenant wait with its last statement.
    async fn lock_feed(&mut self) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let locked = sqlx::query_scalar!(
            "SELECT tenant_id FROM feeds WHERE tenant_id = $1 FOR UPDATE",
            tenant
        )
        .fetch_optional(self.session())
        .await?;
        if locked.is_none() {
            // The first changes of a tenant. A transaction that has just inserted the row is waited for.
            sqlx::query!(
                "INSERT INTO feeds AS f (tenant_id, last_at, unindexed_since)
                 VALUES ($1, clock_timestamp(), clock_timestamp())
                 ON CONFLICT (tenant_id) DO UPDATE SET last_at = f.last_at",
                tenant,
            )
            .execute(self.session())
            .await?;
        }
        Ok(())
    }

    async fn contacts_of_companies(
        &mut self,
        connection: ConnectionId,
        companies: &BTreeSet<String>,
    ) -> Result<Vec<Uuid>, StoreError> {
        ids_of_records!(
            self,
            connection,
            companies,
            r#"SELECT s.contact_id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT contact_source_id FROM contact_companies l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.company_source_id = i.source_id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources s
                   WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = l.contact_source_id OFFSET 0) s"#
        )
    }

    /// Conversations that name these companies themselves.
    async fn conversations_about(
        &mut self,
        connection: ConnectionId,
        companies: &BTreeSet<String>,
    ) -> Result<Vec<Uuid>, StoreError> {
        ids_of_records!(
            self,
            connection,
            companies,
            r#"SELECT c.id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT id FROM conversations
                   WHERE tenant_id = $1 AND connection_id = $2 AND company_source_id = i.source_id OFFSET 0) c"#
        )
    }

    async fn contacts_of_records(
        &mut self,
        connection: ConnectionId,
        records: &BTreeSet<String>,
    ) -> Result<Vec<Uuid>, StoreError> {
        ids_of_records!(
            self,
            connection,
            records,
            "SELECT s.contact_id FROM unnest($3::text[]) AS i(source_id)
             CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                 WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id OFFSET 0) s"
        )
    }

    /// Conversations of all records of contacts.
    async fn conversations_of_contacts(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT l.conversation_id FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM contact_sources
                   WHERE tenant_id = $1 AND contact_id = i.id OFFSET 0) s
               CROSS JOIN LATERAL (SELECT conversation_id FROM conversation_contacts
                   WHERE tenant_id = $1 AND connection_id = s.connection_id AND contact_source_id = s.source_id OFFSET 0) l"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?)
    }

    async fn conversations_of_records(
        &mut self,
        connection: ConnectionId,
        contacts: &BTreeSet<String>,
    ) -> Result<Vec<Uuid>, StoreError> {
        ids_of_records!(
            self,
            connection,
            contacts,
            r#"SELECT l.conversation_id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT conversation_id FROM conversation_contacts l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.contact_source_id = i.source_id OFFSET 0) l"#
        )
    }
}
