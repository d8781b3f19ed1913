//! Company fetches: companies to be read by id.
//!
//! The company list has no search by time, so companies that changed contacts name, and companies that a full walk did
//! not show, are fetched one by one.

use chrono::{DateTime, Utc};

use super::{SliceKey, StoreError, Tx, roles::Worker};
use crate::domain::ConnectionId;

/// The pending company fetches of a connection.
#[derive(Debug)]
pub struct CompanyFetches {
    /// The first ids, oldest request first.
    pub source_ids: Vec<String>,
    /// How many fetches are pending.
    pub all: i64,
    /// How many of them a full walk would serve as well: named by a changed contact, not absent from the last walk.
    pub changed: i64,
    /// When the newest one was requested. A walk that serves them all has served no later one.
    pub newest: Option<DateTime<Utc>>,
}

impl Tx<Worker> {
    /// The pending fetches, oldest first, with at most `limit` ids.
    #[tracing::instrument(name = "db.pending_company_fetches", level = "debug", skip_all)]
    pub async fn pending_company_fetches(
        &mut self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<CompanyFetches, StoreError> {
        let tenant = self.tenant().0;
        // The window functions count all rows, although `LIMIT` cuts the list.
        let rows = sqlx::query!(
            r#"SELECT source_id, count(*) OVER () AS "all!", count(*) FILTER (WHERE NOT absent) OVER () AS "changed!",
                      max(requested_at) OVER () AS "newest!"
               FROM company_fetches WHERE tenant_id = $1 AND connection_id = $2 ORDER BY requested_at, source_id LIMIT $3"#,
            tenant,
            connection.0,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let (all, changed) = rows.first().map_or((0, 0), |row| (row.all, row.changed));
        let newest = rows.first().map(|row| row.newest);
        Ok(CompanyFetches {
            source_ids: rows.into_iter().map(|row| row.source_id).collect(),
            all,
            changed,
            newest,
        })
    }

    /// Adds fetches of the companies that these contacts name. True if there are any.
    #[tracing::instrument(name = "db.add_company_fetches", level = "debug", skip_all)]
    pub async fn add_company_fetches(
        &mut self,
        connection: ConnectionId,
        contacts: &[String],
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        // Ordered, so that two writers of the same rows cannot deadlock.
        let added = sqlx::query!(
            "INSERT INTO company_fetches (tenant_id, connection_id, source_id)
             SELECT DISTINCT $1::uuid, $2::uuid, l.company_source_id FROM unnest($3::text[]) AS i(source_id)
             CROSS JOIN LATERAL (SELECT company_source_id FROM contact_companies
                                 WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = i.source_id OFFSET 0) l
             ORDER BY l.company_source_id
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET requested_at = now(), unknown = false",
            tenant,
            connection.0,
            contacts,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        Ok(added > 0)
    }

    /// Adds fetches of the companies that contacts name and that are not stored: of these contacts, or of all without
    /// names. True if there are any.
    #[tracing::instrument(name = "db.add_unknown_company_fetches", level = "debug", skip_all)]
    pub async fn add_unknown_company_fetches(
        &mut self,
        connection: ConnectionId,
        contacts: Option<&[String]>,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let added = sqlx::query!(
            "INSERT INTO company_fetches (tenant_id, connection_id, source_id, unknown)
             SELECT DISTINCT l.tenant_id, l.connection_id, l.company_source_id, true FROM contact_companies l
             WHERE l.tenant_id = $1 AND l.connection_id = $2 AND ($3::text[] IS NULL OR l.contact_source_id = ANY ($3))
               AND NOT EXISTS (SELECT FROM company_sources s
                               WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = l.company_source_id)
             ORDER BY l.company_source_id
             ON CONFLICT (tenant_id, connection_id, source_id) DO NOTHING",
            tenant,
            connection.0,
            contacts as Option<&[String]>,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        Ok(added > 0)
    }

    /// Adds fetches of the absent companies that are to be asked for.
    #[tracing::instrument(name = "db.add_absent_company_fetches", level = "debug", skip_all)]
    pub async fn add_absent_company_fetches(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO company_fetches (tenant_id, connection_id, source_id, absent)
             SELECT tenant_id, connection_id, source_id, true FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'companies' AND is_asked_for(walks, asked)
             ORDER BY source_id
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET absent = true",
            tenant,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Removes fetches of companies that are asked for on a timer of their own from now on.
    #[tracing::instrument(name = "db.drop_company_fetches", level = "debug", skip_all)]
    pub async fn drop_company_fetches(
        &mut self,
        connection: ConnectionId,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM company_fetches WHERE tenant_id = $1 AND connection_id = $2 AND source_id = ANY ($3)",
            tenant,
            connection.0,
            source_ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Removes the fetches of these companies. Those that were requested again after `before` stay.
    #[tracing::instrument(name = "db.complete_company_fetches", level = "debug", skip_all)]
    pub async fn complete_company_fetches(
        &mut self,
        connection: ConnectionId,
        fetched: &[String],
        before: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM company_fetches
             WHERE tenant_id = $1 AND connection_id = $2 AND source_id = ANY ($3) AND requested_at <= $4",
            tenant,
            connection.0,
            fetched,
            before,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Removes all fetches that a full walk has served: those that were requested up to `before`, and those of companies
    /// that were not stored when they were requested and are now. Absent companies are still asked for.
    #[tracing::instrument(name = "db.complete_walked_company_fetches", level = "debug", skip_all)]
    pub async fn complete_walked_company_fetches(
        &mut self,
        connection: ConnectionId,
        before: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM company_fetches w
             WHERE tenant_id = $1 AND connection_id = $2 AND NOT absent AND (requested_at <= $3 OR unknown AND EXISTS (
                SELECT FROM company_sources s
                WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = w.source_id))",
            tenant,
            connection.0,
            before,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
