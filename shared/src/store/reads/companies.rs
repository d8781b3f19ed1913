//! Companies as profiles, with the sources they are folded from.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Position, ProfileFilter, ProfileSource, deleted_everywhere};
use crate::{
    domain::{ConnectionId, JsonText},
    store::{StoreError, Tx, roles::Api},
};

/// One company.
#[derive(Clone, Debug)]
pub struct CompanyProfile {
    pub id: Uuid,
    pub name: Option<String>,
    pub domain: Option<String>,
    pub plan: Option<String>,
    pub size: Option<i64>,
    pub industry: Option<String>,
    /// As the source counts them.
    pub user_count: Option<i64>,
    pub session_count: Option<i64>,
    pub attributes: JsonText,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// The profile's own row. A page adds the sources.
struct CompanyRow {
    id: Uuid,
    name: Option<String>,
    domain: Option<String>,
    plan: Option<String>,
    size: Option<i64>,
    industry: Option<String>,
    user_count: Option<i64>,
    session_count: Option<i64>,
    attributes: Json<JsonText>,
    updated_at: DateTime<Utc>,
}

impl Tx<Api> {
    /// One company. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.company", level = "debug", skip_all)]
    pub async fn company(&mut self, id: Uuid) -> Result<Option<CompanyProfile>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query_as!(
            CompanyRow,
            r#"SELECT id, name, domain, plan, size, industry, user_count, session_count, attributes AS "attributes: _", updated_at
               FROM companies WHERE tenant_id = $1 AND id = $2"#,
            tenant,
            id,
        )
        .fetch_all(self.session())
        .await?;
        Ok(self.complete_companies(rows).await?.pop())
    }

    /// Companies, last changed first.
    #[tracing::instrument(name = "db.companies", level = "debug", skip_all)]
    pub async fn companies(
        &mut self,
        filter: ProfileFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<CompanyProfile>, StoreError> {
        let tenant = self.tenant().0;
        // The row comparison is one range of the index, so a late page costs as much as the first.
        let rows = sqlx::query_as!(
            CompanyRow,
            r#"SELECT id, name, domain, plan, size, industry, user_count, session_count, attributes AS "attributes: _", updated_at
             FROM companies c
             WHERE tenant_id = $1 AND (updated_at, id) < ($2, $3) AND updated_at >= $4 AND updated_at > '-infinity'
               AND ($5 OR EXISTS (SELECT FROM company_sources s
                                  WHERE s.tenant_id = $1 AND s.company_id = c.id AND s.deleted_at IS NULL))
             ORDER BY updated_at DESC, id DESC LIMIT $6"#,
            tenant,
            before.at,
            before.id,
            filter.updated_since.unwrap_or(DateTime::UNIX_EPOCH),
            filter.deleted,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        self.complete_companies(rows).await
    }

    async fn complete_companies(
        &mut self,
        rows: Vec<CompanyRow>,
    ) -> Result<Vec<CompanyProfile>, StoreError> {
        let tenant = self.tenant().0;
        // One statement for all sources of a page. They are in the order in which the profile is folded.
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let found = sqlx::query!(
            "SELECT s.company_id, c.source, s.connection_id, s.source_id, s.source_updated_at, s.deleted_at
             FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT company_id, connection_id, source_id, source_updated_at, deleted_at FROM company_sources
                                 WHERE tenant_id = $1 AND company_id = i.id OFFSET 0) s
             CROSS JOIN LATERAL (SELECT source, connected_at FROM connections
                                 WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c
             ORDER BY c.connected_at, s.connection_id, s.source_id",
            tenant,
            &ids,
        )
        .fetch_all(self.session())
        .await?;
        let mut sources: HashMap<Uuid, Vec<ProfileSource>> = HashMap::new();
        for row in found {
            sources
                .entry(row.company_id)
                .or_default()
                .push(ProfileSource {
                    source: row.source,
                    connection_id: ConnectionId(row.connection_id),
                    source_id: row.source_id,
                    source_updated_at: row.source_updated_at,
                    deleted_at: row.deleted_at,
                });
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let sources = sources.remove(&row.id).unwrap_or_default();
                CompanyProfile {
                    id: row.id,
                    name: row.name,
                    domain: row.domain,
                    plan: row.plan,
                    size: row.size,
                    industry: row.industry,
                    user_count: row.user_count,
                    session_count: row.session_count,
                    attributes: row.attributes.0,
                    deleted_at: deleted_everywhere(&sources),
                    sources,
                    updated_at: row.updated_at,
                }
            })
            .collect())
    }
}
