//! How documents come to be: in the order of the feed, one slice of a tenant after the other.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::TenantId;
use crate::domain::search::SearchKind;
use crate::store::{
    Store, StoreError, Tx,
    roles::{Api, DbRole},
};

/// What is found and shown of one object.
#[derive(Clone, Debug)]
pub struct SearchDocument {
    pub id: Uuid,
    pub kind: SearchKind,
    /// When it last changed at its source.
    pub active_at: DateTime<Utc>,
    pub title: String,
    /// What snippets are cut from.
    pub body: String,
    /// As Postgres reads a `tsvector`.
    pub words: String,
}

impl Store<Api> {
    /// Tenants with changes that are not indexed, the longest behind first.
    #[tracing::instrument(name = "db.tenants_to_index", level = "debug", skip_all)]
    pub async fn tenants_to_index(&self, limit: i32) -> Result<Vec<TenantId>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let tenants = sqlx::query_scalar!(
            r#"SELECT tenant AS "tenant!" FROM tenants_to_index($1) AS t(tenant)"#,
            limit
        )
        .fetch_all(tx.session())
        .await?;
        Ok(tenants.into_iter().map(TenantId).collect())
    }
}

impl Tx<Api> {
    /// The place in the feed up to which the tenant is indexed, and the right to index more of it until the transaction
    /// ends. `None` if another process has that right.
    #[tracing::instrument(name = "db.claim_indexing", level = "debug", skip_all)]
    pub async fn claim_indexing(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant().0;
        // A writer that removes objects has it until its commit, and what was read before would outlive the removal.
        let is_free = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock(hashtextextended('search of ' || $1::text, 0)) AS "is_free!""#,
            tenant.to_string(),
        )
        .fetch_one(self.session())
        .await?;
        if !is_free {
            return Ok(None);
        }
        sqlx::query!(
            "INSERT INTO search_progress (tenant_id, indexed_until) VALUES ($1, 'epoch')
             ON CONFLICT (tenant_id) DO NOTHING",
            tenant,
        )
        .execute(self.session())
        .await?;
        Ok(sqlx::query_scalar!(
            "SELECT indexed_until FROM search_progress WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED",
            tenant
        )
        .fetch_optional(self.session())
        .await?)
    }

    /// Writes documents, in the place of those that their objects had.
    #[tracing::instrument(name = "db.write_search_documents", level = "debug", skip_all)]
    pub async fn write_search_documents(
        &mut self,
        documents: Vec<SearchDocument>,
    ) -> Result<(), StoreError> {
        if documents.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let mut columns = DocumentColumns::default();
        for document in documents {
            columns.ids.push(document.id);
            columns.kinds.push(document.kind as i16);
            columns.times.push(document.active_at);
            columns.titles.push(document.title);
            columns.bodies.push(document.body);
            columns.words.push(document.words);
        }
        sqlx::query!(
            "INSERT INTO search_documents (tenant_id, id, kind, active_at, title, body, words)
             SELECT $1, i.id, i.kind, i.active_at, i.title, i.body, i.words::tsvector
             FROM unnest($2::uuid[], $3::int2[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
                  AS i(id, kind, active_at, title, body, words)
             ON CONFLICT (tenant_id, id) WHERE kind > 0 DO UPDATE SET
                kind = excluded.kind, active_at = excluded.active_at, title = excluded.title, body = excluded.body,
                words = excluded.words",
            tenant,
            &columns.ids,
            &columns.kinds,
            &columns.times,
            &columns.titles,
            &columns.bodies,
            &columns.words,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Deletes the documents of objects that are not listed.
    #[tracing::instrument(name = "db.remove_search_documents", level = "debug", skip_all)]
    pub async fn remove_search_documents(&mut self, ids: &[Uuid]) -> Result<(), StoreError> {
        self.delete_search_documents(ids).await
    }

    /// Saves how far the tenant is indexed. `is_all` says that nothing followed when the slice was read. `scopes` are
    /// the numbers of those that it has written documents of. The claim ends
    /// with the transaction.
    #[tracing::instrument(name = "db.save_search_progress", level = "debug", skip_all)]
    pub async fn save_search_progress(
        &mut self,
        until: DateTime<Utc>,
        scopes: &[i16],
        is_all: bool,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE search_progress SET indexed_until = $2,
                scopes = ARRAY(SELECT DISTINCT s FROM unnest(scopes || $3::int2[]) AS s ORDER BY s) WHERE tenant_id = $1",
            tenant,
            until,
            scopes,
        )
        .execute(self.session())
        .await?;
        // Behind the other tenants that wait, or out of the list. A writer that holds the row right now has more changes,
        // so the tenant stays where it is, and nothing waits for that writer.
        sqlx::query!(
            "UPDATE feeds SET unindexed_since = CASE WHEN $3 AND last_at <= $2 THEN NULL ELSE clock_timestamp() END
             WHERE tenant_id = (SELECT tenant_id FROM feeds WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED)",
            tenant,
            until,
            is_all,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl<R: DbRole> Tx<R> {
    /// Deletes the documents of objects that are not found any more.
    pub(in crate::store) async fn delete_search_documents(
        &mut self,
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        // A slice that is under way may have read the objects. It ends first, and the next one finds them removed.
        sqlx::query!(
            "SELECT pg_advisory_xact_lock(hashtextextended('search of ' || $1::text, 0))::text",
            tenant.to_string(),
        )
        .fetch_one(self.session())
        .await?;
        sqlx::query!(
            "DELETE FROM search_documents d USING unnest($2::uuid[]) AS i(id)
             WHERE d.tenant_id = $1 AND d.id = i.id AND d.kind > 0",
            tenant,
            ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// One array per column, which is the shape that `unnest` takes.
#[derive(Default)]
struct DocumentColumns {
    ids: Vec<Uuid>,
    kinds: Vec<i16>,
    times: Vec<DateTime<Utc>>,
    titles: Vec<String>,
    bodies: Vec<String>,
    words: Vec<String>,
}
