//! Companies with the records that they consist of.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Position, ProfileFilter, SourceRecord, feed::Listed, feed::Ranges};
use crate::store::{StoreError, Tx, identities::Linked, noted_changes::ObjectKind, roles::Api};

/// One company: its records, in the order in which its profile is folded.
#[derive(Clone, Debug)]
pub struct CompanyRecords {
    pub id: Uuid,
    pub records: Vec<SourceRecord>,
    pub updated_at: DateTime<Utc>,
    /// The company that this one was merged into. It then has the one record whose id it is.
    pub merged_into: Option<Uuid>,
}

impl Tx<Api> {
    /// Companies by their own ids, in the order of the ids. Unknown and foreign ones are left out.
    #[tracing::instrument(name = "db.companies_by_id", level = "debug", skip_all)]
    pub async fn companies_by_id(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<CompanyRecords>, StoreError> {
        let listed = self.changed_at(ids).await?;
        let mut found = self.complete_companies(listed).await?;
        found.sort_by_key(|company| ids.iter().position(|id| *id == company.id));
        Ok(found)
    }

    /// Companies, last changed first. As with contacts, a filter for changes that includes deleted ones shows those that
    /// were merged into another.
    #[tracing::instrument(name = "db.companies", level = "debug", skip_all)]
    pub async fn companies(
        &mut self,
        filter: ProfileFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<CompanyRecords>, StoreError> {
        let ranges = Ranges::of_profiles(ObjectKind::Company, filter);
        let since = filter.updated_since.unwrap_or(DateTime::UNIX_EPOCH);
        let listed = self.listed(&ranges, since, before.at, limit).await?;
        self.complete_companies(listed).await
    }

    /// Adds the records of a page, by a few statements. A company without a record is left out.
    async fn complete_companies(
        &mut self,
        listed: Vec<Listed>,
    ) -> Result<Vec<CompanyRecords>, StoreError> {
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = listed.iter().map(|listed| listed.id).collect();
        let rows = sqlx::query!(
            "SELECT s.company_id, c.source, s.connection_id, s.source_id, s.source_updated_at, s.deleted_at, s.external_id,
                    s.raw
             FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT company_id, connection_id, source_id, source_updated_at, deleted_at, external_id, raw
                                 FROM company_sources WHERE tenant_id = $1 AND company_id = i.id OFFSET 0) s
             CROSS JOIN LATERAL (SELECT source, connected_at FROM connections
                                 WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c
             ORDER BY c.connected_at, s.connection_id, s.source_id",
            tenant,
            &ids,
        )
        .fetch_all(self.session())
        .await?;
        let mut records: HashMap<Uuid, Vec<SourceRecord>> = HashMap::new();
        for row in rows {
            records
                .entry(row.company_id)
                .or_default()
                .push(source_record!(row, "company_sources", false));
        }
        let mut made_of = self.own_or_joined(Linked::Companies, &ids, records).await?;
        Ok(listed
            .into_iter()
            .filter_map(|Listed { id, updated_at }| {
                let (records, merged_into) = made_of.remove(&id)?;
                Some(CompanyRecords {
                    id,
                    records,
                    updated_at,
                    merged_into,
                })
            })
            .collect())
    }
}
