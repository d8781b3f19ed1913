//! Companies, as one connection reports them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    StoreError, Tx, WriteSummary,
    batch::{SourceColumns, SourceRow, last_of_each},
    identities::{HeldValues, Linked},
    noted_changes::ObjectKind,
    raw::{self, RawKind},
    reads::FAR_FUTURE,
    roles::WritesRecords,
    versions::raw_hash,
};
use crate::domain::{ConnectionId, ids, records::Company};

impl<R: WritesRecords> Tx<R> {
    /// Writes one connection's records of these companies.
    ///
    /// An older or equal version changes nothing, so pages may be fetched twice and in any order.
    #[tracing::instrument(name = "db.write_companies", level = "debug", skip_all)]
    pub async fn write_companies(
        &mut self,
        connection: ConnectionId,
        companies: Vec<Company>,
    ) -> Result<WriteSummary, StoreError> {
        let companies = last_of_each(companies, |company| &company.source_id);
        let seen = companies.len();
        let ids: Vec<&str> = companies.iter().map(|c| c.source_id.as_str()).collect();
        let before = self.company_versions(connection, &ids).await?;
        let mut columns = SourceColumns::default();
        let mut held = HeldValues::default();
        for company in companies {
            let raw_hash = raw_hash(&company.raw);
            if !before.is_changed(&company.source_id, company.updated_at, raw_hash) {
                continue;
            }
            let created_at = created_at(&company);
            columns.push(SourceRow {
                record_id: ids::company_id(connection, &company.source_id),
                created_at,
                identity_values: held.push_company(&company, created_at),
                source_id: company.source_id,
                external_id: company.external_id,
                updated_at: company.updated_at,
                sanitised: company.sanitised,
                raw_hash,
                raw: raw::pack(RawKind::Company, company.raw.as_bytes()),
            });
        }
        if !held.is_empty() {
            self.lock_links(Linked::Companies).await?;
        }
        let known: Vec<String> = columns
            .source_ids
            .iter()
            .filter(|id| !before.is_new(id))
            .cloned()
            .collect();
        let previous = self
            .stored_identities(Linked::Companies, connection, &known)
            .await?;
        let changed = self.upsert_companies(connection, &columns).await?;
        let written = WriteSummary::of(seen, changed, &before);
        self.note_moved_companies(connection, &written.inserted_ids(&before));
        held.retain(&written.changed);
        let unlinked = self
            .write_values(Linked::Companies, connection, held, previous)
            .await?;
        self.unify(Linked::Companies, unlinked).await?;
        Ok(written)
    }

    async fn upsert_companies(
        &mut self,
        connection: ConnectionId,
        columns: &SourceColumns,
    ) -> Result<Vec<String>, StoreError> {
        if columns.source_ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let written = sqlx::query!(
            "INSERT INTO company_sources AS s
                (tenant_id, connection_id, source_id, record_id, company_id, external_id, source_created_at, source_updated_at,
                 sanitised, identity_values, raw_hash, raw)
             SELECT $1, $2, source_id, id, id, external_id, created_at, updated_at, sanitised, identity_values, raw_hash, raw
             FROM unnest($3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bool[], $9::text[],
                         $10::int8[], $11::bytea[])
                 AS i(source_id, id, external_id, created_at, updated_at, sanitised, identity_values, raw_hash, raw)
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                external_id = excluded.external_id, identity_values = excluded.identity_values,
                source_created_at = excluded.source_created_at, source_updated_at = excluded.source_updated_at,
                sanitised = excluded.sanitised, raw_hash = excluded.raw_hash, raw = excluded.raw, deleted_at = NULL
             WHERE excluded.source_updated_at >= s.source_updated_at
               AND (excluded.raw_hash <> s.raw_hash OR s.deleted_at IS NOT NULL)
             RETURNING s.source_id, s.company_id",
            tenant,
            connection.0,
            &columns.source_ids,
            &columns.record_ids,
            &columns.external_ids as &[Option<String>],
            &columns.created,
            &columns.updated,
            &columns.sanitised,
            &columns.identity_values,
            &columns.hashes,
            &columns.raws,
        )
        .fetch_all(self.session())
        .await?;
        // Several records may be one company.
        let companies: BTreeSet<_> = written.iter().map(|row| row.company_id).collect();
        self.note_upserts(companies.into_iter().map(|id| (id, ObjectKind::Company)));
        Ok(written.into_iter().map(|row| row.source_id).collect())
    }
}

/// When the source created a company. One that does not say it is younger than all others.
fn created_at(company: &Company) -> DateTime<Utc> {
    company.created_at.unwrap_or(FAR_FUTURE)
}
