//! What a transaction changes of objects that readers see. The feed shows it (`reads/feed.rs`), and lists are in its order.
//!
//! A statement notes what it changes. The last statement of the transaction writes the notes down, at times that the row
//! of the tenant's feed gives it. That row stays locked until the commit, so the order of times is the order of commits.

use uuid::Uuid;

use super::{
    StoreError, Tx,
    noted_changes::{ChangeOp, ObjectFate, ObjectKind},
    roles::{ChangesObjects, DbRole, WritesRecords},
};
use crate::domain::ConnectionId;

impl<R: ChangesObjects> Tx<R> {
    /// Notes objects of a kind that are stored as they are listed now.
    pub(super) fn note_upserts(&mut self, objects: impl IntoIterator<Item = (Uuid, ObjectKind)>) {
        for (id, kind) in objects {
            self.changes()
                .note(id, ChangeOp::Upsert, Some(kind), Some(ObjectFate::Listed));
        }
    }

    /// Notes what has become of an object, which may have no row in the feed yet.
    pub(super) fn note_state(
        &mut self,
        id: Uuid,
        op: ChangeOp,
        kind: ObjectKind,
        fate: ObjectFate,
    ) {
        self.changes().note(id, op, Some(kind), Some(fate));
    }

    /// Notes objects that have come to this end.
    pub(super) fn note_ends(
        &mut self,
        op: ChangeOp,
        fate: ObjectFate,
        objects: impl IntoIterator<Item = Uuid>,
    ) {
        for id in objects {
            self.changes().note(id, op, None, Some(fate));
        }
    }

    /// Notes objects that show something else because of another one.
    pub(super) fn note_changes(&mut self, op: ChangeOp, objects: impl IntoIterator<Item = Uuid>) {
        for id in objects {
            self.changes().note(id, op, None, None);
        }
    }
}

impl<R: DbRole> Tx<R> {
    /// Writes down what the transaction has noted, as its last statement.
    pub(super) async fn write_changes(&mut self) -> Result<(), StoreError> {
        let noted = std::mem::take(self.changes()).into_columns();
        if noted.ids.is_empty() {
            return Ok(());
        }
        self.delete_search_documents(&noted.removed).await?;
        let tenant = self.tenant().0;
        sqlx::query!(
            "WITH feed AS (
                INSERT INTO feeds AS f (tenant_id, last_at, unindexed_since)
                VALUES ($1, clock_timestamp() + $6::float8 * interval '1 microsecond', clock_timestamp())
                ON CONFLICT (tenant_id) DO UPDATE
                SET last_at = greatest(f.last_at, clock_timestamp()) + $6::float8 * interval '1 microsecond',
                    unindexed_since = coalesce(f.unindexed_since, excluded.unindexed_since)
                RETURNING last_at
             )
             INSERT INTO changes AS c (tenant_id, id, at, kind, fate, op)
             SELECT $1, i.id, feed.last_at - ($6::float8 - i.place) * interval '1 microsecond', i.kind, i.fate, i.op
             FROM feed CROSS JOIN unnest($2::uuid[], $3::int2[], $4::int2[], $5::int2[]) WITH ORDINALITY
                  AS i(id, kind, fate, op, place)
             ON CONFLICT (tenant_id, id) DO UPDATE SET
                at = excluded.at, op = excluded.op,
                kind = CASE WHEN excluded.kind < 0 THEN c.kind ELSE excluded.kind END,
                fate = CASE WHEN excluded.fate < 0 THEN c.fate ELSE excluded.fate END",
            tenant,
            &noted.ids,
            &noted.kinds,
            &noted.fates,
            &noted.ops,
            noted.ids.len() as f64,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// Each statement finds its rows by key, one after the other, because a plan may have been made when the tables were empty
/// (`OFFSET 0` keeps the planner from joining whole tables).
impl<R: WritesRecords> Tx<R> {
    /// Notes the contacts of records that gained or lost a company.
    pub(super) async fn note_linked_contacts(
        &mut self,
        connection: ConnectionId,
        source_ids: &[&str],
    ) -> Result<(), StoreError> {
        if source_ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let contacts = sqlx::query_scalar!(
            "SELECT s.contact_id FROM unnest($3::text[]) AS i(source_id)
             CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources
                 WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id OFFSET 0) s",
            tenant,
            connection.0,
            source_ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        self.note_changes(ChangeOp::Link, contacts);
        Ok(())
    }
}

impl<R: ChangesObjects> Tx<R> {
    /// Notes contacts of records of companies that have just arrived or belong to another company. They show others from
    /// now on.
    pub(super) async fn note_contacts_of(
        &mut self,
        connection: ConnectionId,
        companies: &[&str],
    ) -> Result<(), StoreError> {
        if companies.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let contacts = sqlx::query_scalar!(
            r#"SELECT s.contact_id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT contact_source_id FROM contact_companies l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.company_source_id = i.source_id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT contact_id FROM contact_sources s
                   WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = l.contact_source_id OFFSET 0) s"#,
            tenant,
            connection.0,
            companies as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        self.note_changes(ChangeOp::Link, contacts);
        Ok(())
    }

    /// Notes conversations of records that have just arrived or belong to another contact. They show other participants
    /// from now on.
    pub(super) async fn note_conversations_of(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
    ) -> Result<(), StoreError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let conversations = sqlx::query_scalar!(
            r#"SELECT l.conversation_id FROM unnest($3::text[]) AS i(source_id)
               CROSS JOIN LATERAL (SELECT conversation_id FROM conversation_contacts l
                   WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.contact_source_id = i.source_id OFFSET 0) l"#,
            tenant,
            connection.0,
            contacts as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        self.note_changes(ChangeOp::Link, conversations);
        Ok(())
    }
}
