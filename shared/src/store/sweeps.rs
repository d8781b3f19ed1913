//! Sweeps: who is held and was not shown by complete walks. Being absent deletes nothing; it is a reason to ask.

use uuid::Uuid;

use super::{SliceKey, StoreError, Tx, roles::Worker};
use crate::domain::{ConnectionId, Stream, ids};

impl Tx<Worker> {
    /// A full walk begins (again): what an earlier one has shown counts no more.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn begin_sweep(&mut self, key: SliceKey) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM walk_pages WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The ids on a page of a full walk, readable or not.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn note_shown(
        &mut self,
        key: SliceKey,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        if source_ids.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO walk_pages (tenant_id, connection_id, stream, source_ids) VALUES ($1, $2, $3, $4)",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            source_ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// A full walk is complete: counts who was absent (once more), forgets who is back, and counts anew what is held.
    /// Their ids never leave Postgres, however many they are.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn end_sweep(&mut self, key: SliceKey) -> Result<(), StoreError> {
        // To the planner, a walk's pages are a handful of ids, held against a handful of rows: looked through row by
        // row, a million of each would take days. Hashed or sorted they take seconds, and no more than `work_mem`.
        sqlx::query!("SELECT set_config('enable_nestloop', 'off', true)")
            .fetch_one(self.session())
            .await?;
        sqlx::query!(
            "WITH held AS MATERIALIZED (
                SELECT source_id FROM alive WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3
             ), shown AS (
                SELECT unnest(source_ids) AS source_id FROM walk_pages
                WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3
             ), absent AS MATERIALIZED (
                SELECT source_id FROM held WHERE NOT EXISTS (SELECT FROM shown WHERE shown.source_id = held.source_id)
             ), back AS (
                DELETE FROM absences a
                WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3
                  AND NOT EXISTS (SELECT FROM absent WHERE absent.source_id = a.source_id)
             ), counted AS (
                INSERT INTO absences AS a (tenant_id, connection_id, stream, source_id)
                SELECT $1, $2, $3, source_id FROM absent
                ON CONFLICT (tenant_id, connection_id, stream, source_id) DO UPDATE SET walks = a.walks + 1
             )
             UPDATE streams SET held = (SELECT count(*) FROM held)
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        sqlx::query!("SELECT set_config('enable_nestloop', 'on', true)")
            .fetch_one(self.session())
            .await?;
        self.begin_sweep(key).await
    }

    /// Ids that are to be asked for: absent from two complete walks, and from twice as many each time after.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn absentees(&mut self, key: SliceKey, most: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT source_id FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND is_asked_for(walks, asked)
             ORDER BY source_id LIMIT $4",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            most,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Absentees that answered: they live, in no list.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn note_alive(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE absences SET asked = walks
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND source_id = ANY ($4)",
            tenant,
            connection.0,
            stream.as_str(),
            source_ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Tombstones for contacts that Intercom no longer has, and the survivors of those that it merged. Rows stay.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn end_contacts(
        &mut self,
        key: SliceKey,
        deleted: &[String],
        merged: &[(String, String)],
    ) -> Result<(), StoreError> {
        let (gone, survivors): (Vec<&str>, Vec<&str>) =
            merged.iter().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        let ended = sqlx::query!(
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
            key.tenant.0,
            key.connection.0,
            deleted,
            &gone as &[&str],
            &survivors as &[&str],
        )
        .execute(self.session())
        .await?
        .rows_affected();
        self.count_ended(key, ended).await
    }

    /// Tombstones for those of the given companies that were absent from two complete walks. A 404 alone is not
    /// believed: a page may have named what was just being created or moved.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn end_companies(
        &mut self,
        key: SliceKey,
        not_found: &[String],
    ) -> Result<(), StoreError> {
        let ended = sqlx::query!(
            "WITH gone AS (
                DELETE FROM absences
                WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'companies' AND walks >= 2
                  AND source_id = ANY ($3::text[])
                RETURNING source_id
             )
             UPDATE company_sources s SET deleted_at = now() FROM gone
             WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = gone.source_id AND s.deleted_at IS NULL",
            key.tenant.0,
            key.connection.0,
            not_found,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        self.count_ended(key, ended).await
    }

    /// Wants the companies that are to be asked for.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn want_absent_companies(&mut self, key: SliceKey) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO company_wants (tenant_id, connection_id, source_id, absent)
             SELECT tenant_id, connection_id, source_id, true FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'companies' AND is_asked_for(walks, asked)
             ORDER BY source_id
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET absent = true",
            key.tenant.0,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes the threads of absent conversations due: their one call is the question, and 404 its answer.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn want_absent_threads(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let asked = sqlx::query_scalar!(
            "UPDATE absences SET asked = walks
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'conversations' AND is_asked_for(walks, asked)
             RETURNING source_id",
            key.tenant.0,
            key.connection.0,
        )
        .fetch_all(self.session())
        .await?;
        if asked.is_empty() {
            return Ok(());
        }
        let mut threads: Vec<Uuid> = asked
            .iter()
            .map(|id| ids::conversation_id(key.connection, id))
            .collect();
        threads.sort_unstable();
        sqlx::query!(
            "UPDATE threads SET status = 'pending', due_at = now(), attempts = 0, error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3) AND status <> 'gone'",
            key.tenant.0,
            key.connection.0,
            &threads,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn count_ended(&mut self, key: SliceKey, ended: u64) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET held = held - $4, expected = expected - $4
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            i64::try_from(ended).unwrap_or_default(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
