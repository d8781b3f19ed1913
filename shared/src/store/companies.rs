//! Companies, as one connection reports them.

use super::{
    StoreError, Tx, WriteSummary,
    batch::{SourceColumns, SourceRow, last_of_each},
    noted_changes::ObjectKind,
    raw::{self, RawKind},
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
        for company in companies {
            let raw_hash = raw_hash(&company.raw);
            if !before.is_changed(&company.source_id, company.updated_at, raw_hash) {
                continue;
            }
            columns.push(SourceRow {
                record_id: ids::company_id(connection, &company.source_id),
                source_id: company.source_id,
                external_id: company.external_id,
                // Companies are linked by nothing yet.
                created_at: company.updated_at,
                identity_values: String::new(),
                updated_at: company.updated_at,
                sanitised: company.sanitised,
                raw_hash,
                raw: raw::pack(RawKind::Company, company.raw.as_bytes()),
            });
        }
        let changed = self.upsert_companies(connection, &columns).await?;
        let written = WriteSummary::of(seen, changed, &before);
        self.note_contacts_of(connection, &written.inserted_ids(&before))
            .await?;
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
                (tenant_id, connection_id, source_id, company_id, external_id, source_updated_at, sanitised, raw_hash, raw)
             SELECT $1, $2, * FROM unnest($3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bool[], $8::int8[], $9::bytea[])
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                external_id = excluded.external_id, source_updated_at = excluded.source_updated_at,
                sanitised = excluded.sanitised, raw_hash = excluded.raw_hash, raw = excluded.raw, deleted_at = NULL
             WHERE excluded.source_updated_at >= s.source_updated_at
               AND (excluded.raw_hash <> s.raw_hash OR s.deleted_at IS NOT NULL)
             RETURNING s.source_id, s.company_id",
            tenant,
            connection.0,
            &columns.source_ids,
            &columns.record_ids,
            &columns.external_ids as &[Option<String>],
            &columns.updated,
            &columns.sanitised,
            &columns.hashes,
            &columns.raws,
        )
        .fetch_all(self.session())
        .await?;
        let companies = written
            .iter()
            .map(|row| (row.company_id, ObjectKind::Company));
        self.note_upserts(companies);
        Ok(written.into_iter().map(|row| row.source_id).collect())
    }
}
