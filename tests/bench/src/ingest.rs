//! How fast records come in through the whole pipeline, beside `COPY` of the same rows into the same tables.
//!
//! A workspace of contacts alone, and one of threads alone, with no rate limit and no latency.
//!
//! `INGEST_CONTACTS=10000` and `INGEST_CONVERSATIONS=1000` take fewer, for a quick look.

use std::time::Instant;

use intercom_simulator::{Latency, WorkspaceSpec};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    fleet::{Fleet, FleetOptions},
    report::{Failure, Report, SEED, size},
    roles::{self, NO_LIMIT, Scene},
    sync::WORKSPACE,
};

const CONTACTS: u32 = 100_000;
const CONVERSATIONS: u32 = 10_000;
const PARTS: f64 = 50.0;
const PER: f64 = 100_000.0;

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let contacts = WorkspaceSpec {
        contacts: size("INGEST_CONTACTS", CONTACTS)?,
        companies: 0,
        conversations: 0,
        ..WorkspaceSpec::default()
    };
    one(
        report,
        "contacts",
        contacts,
        &["contact_sources", "identity_values", "changes"],
    )
    .await?;
    let parts = WorkspaceSpec {
        contacts: 10,
        companies: 0,
        conversations: size("INGEST_CONVERSATIONS", CONVERSATIONS)?,
        parts: PARTS,
        ..WorkspaceSpec::default()
    };
    one(report, "parts", parts, &["parts"]).await
}

async fn one(
    report: &mut Report,
    records: &str,
    spec: WorkspaceSpec,
    tables: &[&str],
) -> Result<(), Failure> {
    let (_simulator, intercom) = roles::simulator(&Scene {
        spec: WorkspaceSpec {
            id_code: Some(WORKSPACE.to_owned()),
            seed: SEED,
            limit_per_window: NO_LIMIT,
            ..spec
        },
        latency: Latency::None,
    })?;
    let options = FleetOptions {
        servers: servers::Options {
            durability: servers::Durability::Real,
            postgres_settings: vec!["max_wal_size=8GB".to_owned()],
            ..servers::Options::default()
        },
        ..FleetOptions::default()
    };
    let fleet = Fleet::start_with(&intercom, options).await?;
    fleet.until_complete().await?;
    let seconds = fleet.connected_at.elapsed().as_secs_f64();
    let (ours, postgres) = fleet.cpu_seconds();
    let mut admin = PgConnection::connect(&fleet.servers.database_url()).await?;
    let held: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT count(*) FROM {}",
        tables.last().ok_or("no table")?
    )))
    .fetch_one(&mut admin)
    .await?;
    let held = held as f64;
    let copied_in = copy(&mut admin, tables).await?;
    report.add(
        &format!("ingest.{records}_per_second"),
        held / seconds,
        "1/s",
        Some(held / copied_in),
    );
    for (whose, cpu) in [("ours", ours), ("postgres", postgres)] {
        report.add(
            &format!("ingest.cpu_seconds_per_100k_{records}.{whose}"),
            cpu * PER / held,
            "s",
            None,
        );
    }
    Ok(())
}

/// Seconds that `COPY` takes for the same rows, into the same tables with the same indexes.
async fn copy(admin: &mut PgConnection, tables: &[&str]) -> Result<f64, Failure> {
    let folder: String = sqlx::query_scalar("SHOW data_directory")
        .fetch_one(&mut *admin)
        .await?;
    for table in tables {
        run(
            admin,
            &format!("COPY (SELECT * FROM {table}) TO '{folder}/{table}.copy' (FORMAT binary)"),
        )
        .await?;
    }
    run(admin, &format!("TRUNCATE {}", tables.join(", "))).await?;
    let begun = Instant::now();
    for table in tables {
        run(
            admin,
            &format!("COPY {table} FROM '{folder}/{table}.copy' (FORMAT binary)"),
        )
        .await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn run(admin: &mut PgConnection, statement: &str) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(admin)
        .await?;
    Ok(())
}
