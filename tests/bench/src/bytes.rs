//! Bytes per record in Postgres, heap, TOAST and indexes apart, beside the same tables with the JSON as it was sent.
//!
//! A real sync fills the tables. Both sides are fresh copies of these, without the space that updates have left, so that
//! they differ in the column `raw` alone.

use std::time::Instant;

use intercom_simulator::{Latency, WorkspaceSpec};
use shared::store::raw::{RawKind, pack, unpack};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    fleet::Fleet,
    report::{Failure, Report, SEED},
    roles::{self, NO_LIMIT, Scene},
    sync::WORKSPACE,
};

/// A kind of record, and the tables that it fills. The first one has a row per record, with its JSON.
const RECORDS: [(&str, RawKind, &[&str]); 4] = [
    (
        "contact",
        RawKind::Contact,
        &["contact_sources", "identity_values", "contact_companies"],
    ),
    ("company", RawKind::Company, &["company_sources"]),
    (
        "conversation",
        RawKind::Conversation,
        &["conversations", "conversation_contacts", "threads"],
    ),
    ("part", RawKind::Part, &["parts"]),
];

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let spec = WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts: 5_000,
        companies: 300,
        conversations: 2_000,
        parts: 7.5,
        limit_per_window: NO_LIMIT,
        ..WorkspaceSpec::default()
    };
    println!(
        "{} contacts, {} companies and {} conversations as they are stored, beside lz4 TOAST alone",
        spec.contacts, spec.companies, spec.conversations
    );
    let (_simulator, intercom) = roles::simulator(&Scene {
        spec,
        latency: Latency::None,
    })?;
    let fleet = Fleet::start(&intercom).await?;
    fleet.until_complete().await?;
    let mut admin = PgConnection::connect(&fleet.servers.database_url()).await?;
    run(&mut admin, "CREATE SCHEMA packed; CREATE SCHEMA plain").await?;
    for (record, kind, tables) in RECORDS {
        for table in tables {
            run(
                &mut admin,
                &format!(
                    "CREATE TABLE packed.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING GENERATED);
                     CREATE TABLE plain.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING GENERATED);
                     INSERT INTO packed.{table} SELECT * FROM public.{table}"
                ),
            )
            .await?;
        }
        let (holder, others) = tables.split_first().ok_or("a record has a table")?;
        let raws = copy_plain(&mut admin, holder).await?;
        for table in others {
            run(
                &mut admin,
                &format!("INSERT INTO plain.{table} SELECT * FROM public.{table}"),
            )
            .await?;
        }
        add_sizes(report, &mut admin, record, tables, raws.len() as f64).await?;
        add_packing(report, record, kind, &raws);
    }
    Ok(())
}

/// Fills the plain copy of a table from its packed copy, and returns the records.
async fn copy_plain(admin: &mut PgConnection, table: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let stored: Vec<(String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT ctid::text, raw FROM packed.{table} ORDER BY ctid"
    )))
    .fetch_all(&mut *admin)
    .await?;
    let mut places = Vec::with_capacity(stored.len());
    let mut raws = Vec::with_capacity(stored.len());
    for (place, packed) in stored {
        places.push(place);
        raws.push(unpack(&packed)?);
    }
    run(
        admin,
        &format!(
            "CREATE TEMP TABLE raws_of_{table} (place tid PRIMARY KEY, raw bytea);
             ALTER TABLE plain.{table} ALTER COLUMN raw SET STORAGE EXTENDED, ALTER COLUMN raw SET COMPRESSION lz4"
        ),
    )
    .await?;
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO raws_of_{table} SELECT place::tid, raw FROM unnest($1::text[], $2::bytea[]) AS i(place, raw)"
    )))
    .bind(&places)
    .bind(&raws)
    .execute(&mut *admin)
    .await?;
    let columns: String = sqlx::query_scalar(
        "SELECT string_agg(CASE column_name WHEN 'raw' THEN 'r.raw' ELSE 'p.' || quote_ident(column_name) END, ', '
                           ORDER BY ordinal_position)
         FROM information_schema.columns WHERE table_schema = 'packed' AND table_name = $1",
    )
    .bind(table)
    .fetch_one(&mut *admin)
    .await?;
    run(
        admin,
        &format!(
            "INSERT INTO plain.{table}
             SELECT {columns} FROM packed.{table} p JOIN raws_of_{table} r ON r.place = p.ctid ORDER BY p.ctid"
        ),
    )
    .await?;
    Ok(raws)
}

async fn add_sizes(
    report: &mut Report,
    admin: &mut PgConnection,
    record: &str,
    tables: &[&str],
    records: f64,
) -> Result<(), Failure> {
    let packed = sizes(admin, "packed", tables).await?;
    let plain = sizes(admin, "plain", tables).await?;
    let mut add = |name: &str, packed: f64, plain: f64| {
        report.add(
            &format!("scale.bytes_per_{record}{name}"),
            packed / records,
            "bytes",
            Some(plain / records),
        );
    };
    add("", packed.iter().sum(), plain.iter().sum());
    for (place, name) in [".heap", ".toast", ".index"].into_iter().enumerate() {
        add(name, packed[place], plain[place]);
    }
    Ok(())
}

/// Bytes of the heaps, of TOAST and of the indexes of these tables.
async fn sizes(
    admin: &mut PgConnection,
    schema: &str,
    tables: &[&str],
) -> Result<[f64; 3], Failure> {
    let (heap, toast, index): (f64, f64, f64) = sqlx::query_as(
        "SELECT sum(pg_relation_size(c.oid))::float8, sum(pg_total_relation_size(nullif(c.reltoastrelid, 0)))::float8,
                sum(pg_indexes_size(c.oid))::float8
         FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY ($2)",
    )
    .bind(schema)
    .bind(tables)
    .fetch_one(admin)
    .await?;
    Ok([heap, toast, index])
}

/// What packing costs and saves, without the rest of a row.
fn add_packing(report: &mut Report, record: &str, kind: RawKind, raws: &[Vec<u8>]) {
    let begun = Instant::now();
    let packed: usize = raws.iter().map(|raw| pack(kind, raw).len()).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let (records, plain) = (raws.len() as f64, raws.iter().map(Vec::len).sum::<usize>());
    report.add(
        &format!("scale.raw_bytes_per_{record}"),
        packed as f64 / records,
        "bytes",
        Some(plain as f64 / records),
    );
    report.add(
        &format!("scale.pack_us_per_{record}"),
        seconds * 1e6 / records,
        "us",
        None,
    );
}

/// Statements without parameters.
async fn run(admin: &mut PgConnection, statements: &str) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}
