//! What the WAL of some time is made of, by kind of record and relation.

use sqlx::PgConnection;

use crate::report::Failure;

/// From one place in the WAL to another one.
pub(super) struct Span {
    from: String,
    until: String,
}

/// All records of one kind that change one relation.
#[derive(sqlx::FromRow)]
struct Share {
    kind: String,
    /// Empty for what changes no page, such as a commit.
    relation: String,
    records: i64,
    bytes: i64,
    /// Of these bytes, the images of whole pages that were changed for the first time after a checkpoint.
    image_bytes: i64,
}

impl Span {
    /// From a place to now.
    pub(super) async fn since(from: String, admin: &mut PgConnection) -> Result<Self, Failure> {
        let until = place(admin).await?;
        Ok(Self { from, until })
    }

    pub(super) async fn bytes(&self, admin: &mut PgConnection) -> Result<i64, Failure> {
        Ok(
            sqlx::query_scalar("SELECT pg_wal_lsn_diff($1::pg_lsn, $2::pg_lsn)::bigint")
                .bind(&self.until)
                .bind(&self.from)
                .fetch_one(admin)
                .await?,
        )
    }
}

/// Where the WAL ends now.
pub(super) async fn place(admin: &mut PgConnection) -> Result<String, Failure> {
    Ok(
        sqlx::query_scalar("SELECT pg_current_wal_insert_lsn()::text")
            .fetch_one(admin)
            .await?,
    )
}

/// Prints what these spans are made of, each number divided by that of the polls. Returns the bytes of images of whole
/// pages, or `None` if this Postgres cannot read its WAL.
pub(super) async fn print_shares(
    spans: &[Span],
    polls: f64,
    admin: &mut PgConnection,
) -> Result<Option<i64>, Failure> {
    let extension = sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_walinspect");
    if extension.execute(&mut *admin).await.is_err() {
        println!("SKIPPED: this postgres has no pg_walinspect, so its WAL is not told apart");
        return Ok(None);
    }
    // Only what has been flushed can be read, and a commit flushes all before it.
    sqlx::query("SELECT pg_logical_emit_message(true, 'bench', '')")
        .execute(&mut *admin)
        .await?;
    let shares = shares(spans, admin).await?;
    let mut all = 0;
    for span in spans {
        all += span.bytes(admin).await?;
    }
    println!("WAL per poll    records     bytes  of images");
    let told_apart: i64 = shares.iter().map(|share| share.bytes).sum();
    for share in &shares {
        println!(
            "                {:7.2} {:9.1} {:10.1}  {} {}",
            share.records as f64 / polls,
            share.bytes as f64 / polls,
            share.image_bytes as f64 / polls,
            share.kind,
            share.relation,
        );
    }
    println!(
        "                        {:9.1}             alignment and page headers",
        (all - told_apart) as f64 / polls
    );
    Ok(Some(shares.iter().map(|share| share.image_bytes).sum()))
}

/// The largest first. The partitions of a table count as one.
async fn shares(spans: &[Span], admin: &mut PgConnection) -> Result<Vec<Share>, Failure> {
    let places = |pick: fn(&Span) -> &str| spans.iter().map(pick).collect::<Vec<_>>();
    Ok(sqlx::query_as(
        r"WITH records AS MATERIALIZED (
            SELECT resource_manager || ' ' || record_type AS kind, record_length, fpi_length,
                   (regexp_match(block_ref, 'rel \d+/\d+/(\d+)'))[1] AS node
            FROM unnest($1::text[], $2::text[]) AS s(from_lsn, until_lsn)
            CROSS JOIN LATERAL pg_get_wal_records_info(s.from_lsn::pg_lsn, s.until_lsn::pg_lsn)
         ), of_nodes AS MATERIALIZED (
            SELECT kind, node, count(*) AS records, sum(record_length) AS bytes, sum(fpi_length) AS image_bytes
            FROM records GROUP BY kind, node
         ), of_relations AS (
            SELECT *, coalesce(regexp_replace(pg_filenode_relation(0, node::oid)::text, '_\d+(_|$)', '\1'), '') AS relation
            FROM of_nodes
         )
         SELECT kind, relation, sum(records)::bigint AS records, sum(bytes)::bigint AS bytes,
                sum(image_bytes)::bigint AS image_bytes
         FROM of_relations GROUP BY kind, relation ORDER BY sum(bytes) DESC",
    )
    .bind(places(|span| &span.from))
    .bind(places(|span| &span.until))
    .fetch_all(admin)
    .await?)
}
