//! Absences: stored objects that complete walks did not show.
//!
//! An absence deletes nothing. It is only a reason to ask Intercom for the object by its id.

use uuid::Uuid;

use super::{SliceKey, StoreError, Tx, roles::Worker, threads::Reopen};
use crate::domain::{ConnectionId, Stream};

impl Tx<Worker> {
    /// Begins the absence scan of a full walk, and forgets the pages of an earlier walk.
    #[tracing::instrument(name = "db.begin_absence_scan", level = "debug", skip_all)]
    pub async fn begin_absence_scan(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM walk_pages WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Notes the ids on a page of a full walk, whether their objects could be read or not.
    #[tracing::instrument(name = "db.note_shown", level = "debug", skip_all)]
    pub async fn note_shown(
        &mut self,
        key: SliceKey,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        if source_ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO walk_pages (tenant_id, connection_id, stream, page, source_ids) VALUES ($1, $2, $3, $4, $5)",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            Uuid::now_v7(),
            source_ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Ends the absence scan of a complete walk: counts each absence once more, forgets those that are over, and counts
    /// the stored objects. The ids never leave Postgres, however many there are.
    #[tracing::instrument(name = "db.end_absence_scan", level = "debug", skip_all)]
    pub async fn end_absence_scan(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // Every other statement reads few rows, one after the other. Two sets of a million ids are compared here, which
        // would take days so. A hash or a sort takes seconds, and no more memory than `work_mem`.
        sqlx::query!(
            "SELECT set_config('enable_nestloop', 'off', true) AS a, set_config('enable_hashjoin', 'on', true) AS b,
                    set_config('enable_mergejoin', 'on', true) AS c"
        )
        .fetch_one(self.session())
        .await?;
        let held = sqlx::query_scalar!(
            r#"WITH held AS MATERIALIZED (
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
             SELECT count(*) AS "held!" FROM held"#,
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_one(self.session())
        .await?;
        sqlx::query!(
            "SELECT set_config('enable_nestloop', 'on', true) AS a, set_config('enable_hashjoin', 'off', true) AS b,
                    set_config('enable_mergejoin', 'off', true) AS c"
        )
        .fetch_one(self.session())
        .await?;
        self.set_held(key, held).await?;
        self.begin_absence_scan(key).await
    }

    /// Ids to ask for: absent from two complete walks, and from twice as many each time after an answer. A question
    /// without an answer is asked again on its own timer.
    #[tracing::instrument(name = "db.absentees", level = "debug", skip_all)]
    pub async fn absentees(
        &mut self,
        key: SliceKey,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "SELECT a.source_id FROM absences a
             LEFT JOIN quarantine q ON q.tenant_id = $1 AND q.connection_id = $2 AND q.kind = $5
                AND q.source_id = a.source_id AND q.resolved_at IS NULL AND q.retry = 'record'
             WHERE a.tenant_id = $1 AND a.connection_id = $2 AND a.stream = $3
               AND CASE WHEN q.source_id IS NULL THEN is_asked_for(a.walks, a.asked) ELSE q.next_try_at <= now() END
             ORDER BY a.source_id LIMIT $4",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            limit,
            key.stream.noun(),
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Notes absent objects that Intercom returned when asked by id: they exist, and no list shows them.
    #[tracing::instrument(name = "db.note_alive", level = "debug", skip_all)]
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

    /// Forgets the absences of objects that a page shows. The walk that missed them may have read before they moved.
    #[tracing::instrument(name = "db.forget_absences", level = "debug", skip_all)]
    pub async fn forget_absences(
        &mut self,
        key: SliceKey,
        shown: &[String],
    ) -> Result<(), StoreError> {
        if shown.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM absences
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND source_id = ANY ($4)",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            shown,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes the threads of absent conversations pending. The one call for a thread also asks for its conversation, and
    /// a 404 answers that it is gone.
    #[tracing::instrument(name = "db.reopen_absent_threads", level = "debug", skip_all)]
    pub async fn reopen_absent_threads(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let absent = sqlx::query_scalar!(
            "UPDATE absences SET asked = walks
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'conversations' AND is_asked_for(walks, asked)
             RETURNING source_id",
            tenant,
            key.connection.0,
        )
        .fetch_all(self.session())
        .await?;
        if absent.is_empty() {
            return Ok(());
        }
        self.reopen(key.connection, &absent, Reopen::Absent).await
    }
}
