//! Tombstones: objects that Intercom has deleted or merged. Their rows stay, with a mark.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{SliceKey, StoreError, Tx, roles::Worker};
use crate::domain::{ConnectionId, ids};

impl Tx<Worker> {
    /// Marks contacts that Intercom no longer has, and points merged ones to their survivors.
    #[tracing::instrument(name = "db.mark_contacts_deleted", level = "debug", skip_all)]
    pub async fn mark_contacts_deleted(
        &mut self,
        key: SliceKey,
        deleted: &[String],
        merged: &[(String, String)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let (gone, survivors): (Vec<&str>, Vec<&str>) =
            merged.iter().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        // The absence goes in the same statement, or the next walk would count it once more.
        let marked = sqlx::query!(
            "WITH deleted AS (
                UPDATE contact_sources SET deleted_at = now()
                WHERE tenant_id = $1 AND connection_id = $2 AND source_id = ANY ($3::text[]) AND deleted_at IS NULL
             ), merged AS (
                UPDATE contact_sources s SET merged_into = i.survivor
                FROM unnest($4::text[], $5::text[]) AS i(gone, survivor)
                WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = i.gone
             )
             DELETE FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'contacts'
               AND (source_id = ANY ($3::text[]) OR source_id = ANY ($4::text[]))",
            tenant,
            key.connection.0,
            deleted,
            &gone as &[&str],
            &survivors as &[&str],
        )
        .execute(self.session())
        .await?
        .rows_affected();
        self.touch_conversations_of(key.connection, &gone).await?;
        let touched: Vec<&str> = deleted
            .iter()
            .map(String::as_str)
            .chain(gone)
            .chain(survivors)
            .collect();
        self.touch_contacts(key.connection, &touched).await?;
        self.subtract_from_proof(key, marked).await
    }

    /// Marks those of the given companies that were absent from two complete walks. A 404 alone is not believed, because
    /// a page may have named a company that was just being created or moved.
    #[tracing::instrument(name = "db.mark_companies_deleted", level = "debug", skip_all)]
    pub async fn mark_companies_deleted(
        &mut self,
        key: SliceKey,
        not_found: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let marked = sqlx::query!(
            "WITH gone AS (
                DELETE FROM absences
                WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'companies' AND walks >= 2
                  AND source_id = ANY ($3::text[])
                RETURNING source_id
             ), marked AS (
                UPDATE company_sources s SET deleted_at = now() FROM gone
                WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = gone.source_id AND s.deleted_at IS NULL
                RETURNING s.company_id
             )
             UPDATE companies c SET updated_at = now() FROM marked WHERE c.tenant_id = $1 AND c.id = marked.company_id",
            tenant,
            key.connection.0,
            not_found,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        self.subtract_from_proof(key, marked).await
    }

    /// Marks conversations that Intercom lists as deleted, with their times. Returns how many were not marked before.
    #[tracing::instrument(name = "db.mark_conversations_deleted", level = "debug", skip_all)]
    pub async fn mark_conversations_deleted(
        &mut self,
        connection: ConnectionId,
        deleted: &[(String, DateTime<Utc>)],
    ) -> Result<u64, StoreError> {
        if deleted.is_empty() {
            return Ok(0);
        }
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = deleted
            .iter()
            .map(|(id, _)| ids::conversation_id(connection, id))
            .collect();
        let times: Vec<DateTime<Utc>> = deleted.iter().map(|(_, at)| *at).collect();
        // Conversations before their threads, in the order of every other writer.
        let marked = sqlx::query!(
            "UPDATE conversations c SET deleted_at = i.at, updated_at = now() FROM unnest($2::uuid[], $3::timestamptz[]) AS i(id, at)
             WHERE c.tenant_id = $1 AND c.id = i.id AND c.deleted_at IS NULL",
            tenant,
            &ids,
            &times,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        sqlx::query!(
            "UPDATE threads SET status = 'gone', due_at = NULL, error = NULL, failure = NULL, failed_since = NULL, retry_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status <> 'gone'",
            tenant,
            connection.0,
            &ids,
        )
        .execute(self.session())
        .await?;
        Ok(marked)
    }
}
