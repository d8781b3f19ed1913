//! Companies: source record, per-source fields and profile; and those asked for by id.

use chrono::{DateTime, Utc};

use super::{StoreError, Tx, Written, roles::Worker};
use crate::domain::{ConnectionId, ids, records::Company};

/// Companies that are wanted by id.
#[derive(Debug)]
pub struct Wants {
    /// The first of them.
    pub source_ids: Vec<String>,
    pub all: i64,
    /// Those that a full walk would serve as well: seen on changed contacts, not absent from the last walk.
    pub changed: i64,
    /// When the newest was made: whoever serves them all has served nothing newer.
    pub newest: Option<DateTime<Utc>>,
}

impl Tx<Worker> {
    /// Writes what one connection says of these companies, and the profiles folded from it.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_companies(
        &mut self,
        connection: ConnectionId,
        companies: Vec<Company>,
    ) -> Result<Written, StoreError> {
        let tenant = self.tenant().0;
        let companies = super::last_of_each(companies, |company| &company.source_id);
        let count = companies.len();
        let mut ids = Vec::with_capacity(count);
        let mut source_ids = Vec::with_capacity(count);
        let mut external_ids = Vec::with_capacity(count);
        let mut fields = Vec::with_capacity(count);
        let mut updated = Vec::with_capacity(count);
        let mut sanitised = Vec::with_capacity(count);
        let mut raws = Vec::with_capacity(count);
        for company in companies {
            ids.push(ids::company_id(connection, &company.source_id));
            fields.push(super::to_json(&company.fields, "company_sources")?);
            source_ids.push(company.source_id);
            external_ids.push(company.external_id);
            updated.push(company.updated_at);
            sanitised.push(company.sanitised);
            raws.push(company.raw.into_bytes());
        }
        let rows = sqlx::query!(
            r#"WITH written AS (
                INSERT INTO company_sources AS s
                    (tenant_id, connection_id, source_id, company_id, external_id, fields, source_updated_at, sanitised, raw)
                SELECT $1, $2, source_id, company_id, external_id, fields::jsonb, source_updated_at, sanitised, raw
                FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bool[], $9::bytea[])
                    AS i(source_id, company_id, external_id, fields, source_updated_at, sanitised, raw)
                ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                    external_id = excluded.external_id, fields = excluded.fields,
                    source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised, raw = excluded.raw,
                    deleted_at = NULL
                WHERE excluded.source_updated_at >= s.source_updated_at
                  AND (excluded.raw <> s.raw OR s.deleted_at IS NOT NULL)
                RETURNING s.source_id, s.company_id, s.fields, s.xmax = 0 AS inserted
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
            SELECT source_id AS "source_id!", inserted AS "inserted!" FROM written"#,
            tenant,
            connection.0,
            &source_ids,
            &ids,
            &external_ids as &[Option<String>],
            &fields,
            &updated,
            &sanitised,
            &raws,
        )
        .fetch_all(self.session())
        .await?;
        let inserted = rows.iter().filter(|row| row.inserted).count();
        let changed: Vec<String> = rows.into_iter().map(|row| row.source_id).collect();
        Ok(Written {
            seen: count,
            inserted,
            updated: changed.len() - inserted,
            changed,
        })
    }

    /// Companies asked for by id, oldest wish first, how many of all wishes a full walk could serve, and the newest.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn company_wants(
        &mut self,
        connection: ConnectionId,
        most: i64,
    ) -> Result<Wants, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT source_id, count(*) OVER () AS "all!", count(*) FILTER (WHERE NOT absent) OVER () AS "changed!",
                      max(wanted_at) OVER () AS "newest!"
               FROM company_wants WHERE tenant_id = $1 AND connection_id = $2 ORDER BY wanted_at, source_id LIMIT $3"#,
            tenant,
            connection.0,
            most,
        )
        .fetch_all(self.session())
        .await?;
        let (all, changed) = rows.first().map_or((0, 0), |row| (row.all, row.changed));
        let newest = rows.first().map(|row| row.newest);
        Ok(Wants {
            source_ids: rows.into_iter().map(|row| row.source_id).collect(),
            all,
            changed,
            newest,
        })
    }

    /// Forgets wishes that were served: the named ones, or, by a full walk, all older ones that it could serve.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn serve_company_wants(
        &mut self,
        connection: ConnectionId,
        served: &[String],
        before: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM company_wants
             WHERE tenant_id = $1 AND connection_id = $2 AND wanted_at <= $4 AND CASE WHEN cardinality($3::text[]) = 0 THEN NOT absent ELSE source_id = ANY ($3) END",
            tenant,
            connection.0,
            served,
            before,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
