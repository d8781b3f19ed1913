//! Search documents of copied tenants. Each word begins with its tenant, so a copy has words of its own.

use shared::domain::{TenantId, search::WordScope};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::report::Failure;

const BY_WORD: &str = "search_documents_by_word";
/// Documents that one statement copies, about.
const AT_ONCE: i64 = 20_000;

/// Copies the documents of a tenant to others, and gives one of these so many more of conversations.
pub(super) async fn copy(
    admin: &mut PgConnection,
    original: TenantId,
    copies: &[TenantId],
    (whale, more): (TenantId, i64),
) -> Result<(), Failure> {
    // An index of words is made in a tenth of the time that adding to it takes.
    let index: String = sqlx::query_scalar("SELECT pg_get_indexdef($1::text::regclass)")
        .bind(BY_WORD)
        .fetch_one(&mut *admin)
        .await?;
    run(admin, &format!("DROP INDEX {BY_WORD}")).await?;
    let documents: i64 =
        sqlx::query_scalar("SELECT count(*) FROM search_documents WHERE tenant_id = $1")
            .bind(original.0)
            .fetch_one(&mut *admin)
            .await?;
    let at_once = usize::try_from((AT_ONCE / documents.max(1)).max(1))?;
    for batch in copies.chunks(at_once) {
        let ids: Vec<Uuid> = batch.iter().map(|tenant| tenant.0).collect();
        let prefixes: Vec<String> = batch
            .iter()
            .copied()
            .map(WordScope::tenant_prefix)
            .collect();
        // In the text of a tsvector each word stands in quotes, behind a space, and a quote in a word is doubled.
        sqlx::query(
            "INSERT INTO search_documents (tenant_id, id, kind, active_at, title, body, words)
             SELECT c.id, d.id, d.kind, d.active_at, d.title, d.body,
                    regexp_replace(d.words::text, '(^| )''' || $2, '\\1''' || c.prefix, 'g')::tsvector
             FROM unnest($3::uuid[], $4::text[]) AS c(id, prefix)
             CROSS JOIN (SELECT * FROM search_documents WHERE tenant_id = $1) d",
        )
        .bind(original.0)
        .bind(WordScope::tenant_prefix(original))
        .bind(&ids)
        .bind(&prefixes)
        .execute(&mut *admin)
        .await?;
    }
    fatten(admin, whale, more).await?;
    run(
        admin,
        &format!(
            "SET maintenance_work_mem = '512MB'; {}",
            index.replace(" ON ONLY ", " ON ")
        ),
    )
    .await
}

/// Gives a tenant so many documents more, each as one of its own, and lists an object of each.
async fn fatten(admin: &mut PgConnection, tenant: TenantId, more: i64) -> Result<(), Failure> {
    sqlx::query(
        "WITH one AS (
             SELECT row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS number, d.*
             FROM search_documents d WHERE tenant_id = $1 AND kind = 3
         ), added AS (
             INSERT INTO search_documents (tenant_id, id, kind, active_at, title, body, words)
             SELECT $1, gen_random_uuid(), kind, active_at, title, body, words
             FROM generate_series(1, $2) AS n JOIN one ON one.place = n % one.number + 1
             RETURNING id
         )
         INSERT INTO changes (tenant_id, id, at, kind, fate, op)
         SELECT $1, id, '2020-01-01'::timestamptz + row_number() OVER () * interval '1 millisecond', 3, 0, 1 FROM added",
    )
    .bind(tenant.0)
    .bind(more)
    .execute(admin)
    .await?;
    Ok(())
}

async fn run(admin: &mut PgConnection, statements: &str) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}
