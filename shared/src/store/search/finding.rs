//! What a query finds.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::TenantId;
use crate::domain::search::{SearchKind, WordScope};
use crate::store::{StoreError, Tx, noted_changes::ObjectFate, roles::Api};

/// A query for the documents of one kind and quarter, as Postgres reads a `tsquery`.
#[derive(Clone, Debug)]
pub struct WordQuery {
    pub finds: String,
    /// Empty to rank nothing.
    pub ranks: String,
}

/// A document that a query finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchCandidate {
    pub id: Uuid,
    pub active_at: DateTime<Utc>,
    /// From 0 to 1.
    pub score: f32,
}

/// A document as it is shown.
#[derive(Clone, Debug)]
pub struct FoundDocument {
    pub id: Uuid,
    pub kind: SearchKind,
    pub title: String,
    pub body: String,
    pub active_at: DateTime<Utc>,
    /// When the object last changed here.
    pub updated_at: DateTime<Utc>,
}

/// How far a tenant is indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchProgress {
    pub indexed_until: DateTime<Utc>,
    /// Kinds and quarters that may have a document, the newest first.
    pub scopes: Vec<WordScope>,
    /// Whether everything that is stored is indexed.
    pub is_current: bool,
}

impl Tx<Api> {
    /// How far the tenant is indexed. `None` if nothing of it is.
    #[tracing::instrument(name = "db.search_progress", level = "debug", skip_all)]
    pub async fn search_progress(&mut self) -> Result<Option<SearchProgress>, StoreError> {
        let tenant = self.tenant().0;
        let row = sqlx::query!(
            r#"SELECT p.indexed_until, p.scopes, f.last_at <= p.indexed_until AS "is_current!"
               FROM search_progress p JOIN feeds f ON f.tenant_id = p.tenant_id WHERE p.tenant_id = $1"#,
            tenant
        )
        .fetch_optional(self.session())
        .await?;
        Ok(row.map(|row| SearchProgress {
            indexed_until: row.indexed_until,
            scopes: WordScope::read(TenantId(tenant), &row.scopes),
            is_current: row.is_current,
        }))
    }

    /// Documents that queries find and that were active in a time, at most so many, those of the first query first.
    #[tracing::instrument(name = "db.search_candidates", level = "debug", skip_all)]
    pub async fn search_candidates(
        &mut self,
        queries: Vec<WordQuery>,
        (since, before): (DateTime<Utc>, DateTime<Utc>),
        limit: i32,
    ) -> Result<Vec<SearchCandidate>, StoreError> {
        let (finds, ranks): (Vec<_>, Vec<_>) = queries
            .into_iter()
            .map(|query| (query.finds, query.ranks))
            .unzip();
        let rows = sqlx::query!(
            r#"SELECT id AS "id!", active_at AS "active_at!", score AS "score!"
               FROM search_candidates($1, $2, $3, $4, $5)"#,
            &finds,
            &ranks,
            since,
            before,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| SearchCandidate {
                id: row.id,
                active_at: row.active_at,
                score: row.score,
            })
            .collect())
    }

    /// The documents of objects that are listed, in the order of the ids. What was deleted, merged or removed since it was
    /// indexed is left out.
    #[tracing::instrument(name = "db.found_documents", level = "debug", skip_all)]
    pub async fn found_documents(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<FoundDocument>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT d.id, d.kind, d.title, d.body, d.active_at, c.at AS updated_at
               FROM unnest($2::uuid[]) WITH ORDINALITY AS i(id, place)
               CROSS JOIN LATERAL (SELECT id, kind, title, body, active_at FROM search_documents
                                   WHERE tenant_id = $1 AND id = i.id AND kind > 0 OFFSET 0) d
               CROSS JOIN LATERAL (SELECT at, fate FROM changes WHERE tenant_id = $1 AND id = i.id OFFSET 0) c
               WHERE c.fate = $3
               ORDER BY i.place"#,
            tenant,
            ids,
            ObjectFate::Listed as i16,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                Some(FoundDocument {
                    id: row.id,
                    kind: SearchKind::of(row.kind)?,
                    title: row.title,
                    body: row.body,
                    active_at: row.active_at,
                    updated_at: row.updated_at,
                })
            })
            .collect())
    }
}
