//! Companies: source record, per-source fields and profile in one statement.

use super::{
    StoreError, Tx, WriteSummary,
    batch::{SourceColumns, SourceRow, last_of_each},
    raw::{self, RawKind},
    roles::Worker,
    versions::raw_hash,
};
use crate::domain::{ConnectionId, ids, records::Company};

impl Tx<Worker> {
    /// Writes one connection's records of these companies, and the profiles folded from them.
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
                profile_id: ids::company_id(connection, &company.source_id),
                source_id: company.source_id,
                external_id: company.external_id,
                fields: company.fields,
                updated_at: company.updated_at,
                sanitised: company.sanitised,
                raw_hash,
                raw: raw::pack(RawKind::Company, company.raw.as_bytes()),
            })?;
        }
        let changed = self.upsert_companies(connection, &columns).await?;
        let written = WriteSummary::of(seen, changed, &before);
        self.touch_contacts_of(connection, &written.inserted_ids(&before))
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
        // Records and profiles in one statement, so that an unchanged record never touches its profile.
        Ok(sqlx::query_scalar!(
            r#"WITH written AS (
                INSERT INTO company_sources AS s
                    (tenant_id, connection_id, source_id, company_id, external_id, fields, source_updated_at, sanitised, raw_hash, raw)
                SELECT $1, $2, source_id, company_id, external_id, fields::jsonb, source_updated_at, sanitised, raw_hash, raw
                FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bool[], $9::int8[], $10::bytea[])
                    AS i(source_id, company_id, external_id, fields, source_updated_at, sanitised, raw_hash, raw)
                ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                    external_id = excluded.external_id, fields = excluded.fields,
                    source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised,
                    raw_hash = excluded.raw_hash, raw = excluded.raw, deleted_at = NULL
                WHERE excluded.source_updated_at >= s.source_updated_at
                  AND (excluded.raw_hash <> s.raw_hash OR s.deleted_at IS NOT NULL)
                RETURNING s.source_id, s.company_id, s.fields
            ), folded AS (
                INSERT INTO companies AS c
                    (tenant_id, id, name, domain, plan, size, industry, user_count, session_count, attributes)
                SELECT $1, company_id, fields->>'name', fields->>'domain', fields->>'plan', (fields->>'size')::bigint,
                       fields->>'industry', (fields->>'user_count')::bigint, (fields->>'session_count')::bigint,
                       fields->'attributes'
                FROM written
                ON CONFLICT (tenant_id, id) DO UPDATE SET
                    name = excluded.name, domain = excluded.domain, plan = excluded.plan, size = excluded.size,
                    industry = excluded.industry, user_count = excluded.user_count,
                    session_count = excluded.session_count, attributes = excluded.attributes, updated_at = now()
            )
            SELECT source_id AS "source_id!" FROM written"#,
            tenant,
            connection.0,
            &columns.source_ids,
            &columns.profile_ids,
            &columns.external_ids as &[Option<String>],
            &columns.fields,
            &columns.updated,
            &columns.sanitised,
            &columns.hashes,
            &columns.raws,
        )
        .fetch_all(self.session())
        .await?)
    }
}
