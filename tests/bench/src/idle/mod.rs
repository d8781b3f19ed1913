//! What it costs to ask a tenant's workspace for news when there is none: one poll of contacts and one of conversations.
//!
//! `IDLE_TENANTS=5000` takes fewer tenants, for a quick look. The baseline is the same poll in a fleet of few tenants, so
//! a ratio of 1 says that a poll costs the same however many tenants there are.

mod wal;

use std::time::{Duration, Instant};

use intercom_simulator::WorkspaceSpec;
use sqlx::PgConnection;

use crate::{
    clones::Original,
    fleet::{Fleet, FleetOptions},
    report::{Failure, Report, size},
    sync,
};

const TENANTS: u32 = 100_000;
/// The fleet that is the baseline.
const FEW: u32 = 1_000;
const ROUNDS: u32 = 2;
/// Between two polls of a tenant in production.
const INTERVAL_SECONDS: f64 = 300.0;
const CORES: f64 = 2.0;
/// A round that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What the polls of some rounds took, each divided by their number.
#[derive(Clone, Copy)]
struct Poll {
    statements: Option<f64>,
    framed: Option<f64>,
    wal_bytes: f64,
    wal_image_bytes: Option<f64>,
    postgres_ms: f64,
    our_ms: f64,
    calls: f64,
    per_second: f64,
}

/// Accounts that only grow.
struct Accounts {
    statements: Option<(i64, i64)>,
    our_seconds: f64,
    postgres_seconds: f64,
    calls: u64,
    at: Instant,
}

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let tenants = size("IDLE_TENANTS", TENANTS)?;
    let few = FEW.min(tenants);
    println!("{ROUNDS} rounds of polls of {tenants} tenants without news, beside {few} tenants");
    let few = rounds(few).await?;
    let many = rounds(tenants).await?;
    let mut add = |name: &str, unit, figure: fn(&Poll) -> f64| {
        let name = format!("idle.{name}");
        report.add(&name, figure(&many), unit, Some(figure(&few)));
    };
    if many.statements.is_some() && few.statements.is_some() {
        add("statements_per_poll", "", |poll| {
            poll.statements.unwrap_or_default()
        });
        add("statements_per_poll_with_frames", "", |poll| {
            poll.framed.unwrap_or_default()
        });
    }
    add("wal_bytes_per_poll", "bytes", |poll| poll.wal_bytes);
    if many.wal_image_bytes.is_some() && few.wal_image_bytes.is_some() {
        add("wal_image_bytes_per_poll", "bytes", |poll| {
            poll.wal_image_bytes.unwrap_or_default()
        });
    }
    add("postgres_cpu_ms_per_poll", "ms", |poll| poll.postgres_ms);
    add("our_cpu_ms_per_poll", "ms", |poll| poll.our_ms);
    add("calls_per_poll", "calls", |poll| poll.calls);
    add("polls_per_second", "1/s", |poll| poll.per_second);
    add("tenants_of_two_cores", "tenants", |poll| {
        INTERVAL_SECONDS * CORES * 1_000.0 / (poll.postgres_ms + poll.our_ms)
    });
    Ok(())
}

async fn rounds(tenants: u32) -> Result<Poll, Failure> {
    let spec = WorkspaceSpec {
        contacts: 5,
        companies: 1,
        conversations: 3,
        parts: 3.0,
        ..WorkspaceSpec::default()
    };
    let mut original = Original::sync(spec, options()).await?;
    original.multiply(tenants - 1).await?;
    let Original {
        fleet,
        intercom,
        admin,
        ..
    } = &mut original;
    // Only the rounds below make a stream due.
    sqlx::query("UPDATE streams SET due_at = now() + interval '1 day'")
        .execute(&mut *admin)
        .await?;
    // The first round fills caches, and its polls are the first after the walks.
    round(admin).await?;
    until_indexed(admin).await?;
    let before = accounts(fleet, admin, intercom).await?;
    let mut written = Vec::new();
    for _ in 0..ROUNDS {
        written.push(round(admin).await?);
    }
    let after = accounts(fleet, admin, intercom).await?;
    let polls = f64::from(ROUNDS * tenants);
    let mut poll = after.per_poll_since(&before, polls);
    for span in &written {
        poll.wal_bytes += span.bytes(admin).await? as f64 / polls;
    }
    let images = wal::print_shares(&written, polls, admin).await?;
    poll.wal_image_bytes = images.map(|bytes| bytes as f64 / polls);
    Ok(poll)
}

fn options() -> FleetOptions {
    FleetOptions {
        servers: servers::Options {
            durability: servers::Durability::Real,
            shared_buffers_mib: 1_024,
            postgres_settings: vec![
                "shared_preload_libraries=pg_stat_statements".to_owned(),
                "max_wal_size=8GB".to_owned(),
                // Full pages after a checkpoint would be counted for the polls that happen to come then.
                "checkpoint_timeout=1h".to_owned(),
            ],
            ..servers::Options::default()
        },
        environment: vec![("SYNC_INTERVAL", "23h".to_owned())],
        ..FleetOptions::default()
    }
}

/// Makes every tenant's contacts and conversations due, and waits until they were polled. Returns the WAL of all but the
/// first step, for which time alone does in production.
async fn round(admin: &mut PgConnection) -> Result<wal::Span, Failure> {
    let begun = Instant::now();
    sqlx::query(
        "UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE stream IN ('contacts', 'conversations')",
    )
    .execute(&mut *admin)
    .await?;
    let made_due = wal::place(admin).await?;
    loop {
        let is_over: bool =
            sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM streams WHERE due_at <= now())")
                .fetch_one(&mut *admin)
                .await?;
        if is_over {
            return wal::Span::since(made_due, admin).await;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("a round was not over after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until what was copied is indexed, because workers index behind the commits and no poll pays for it.
async fn until_indexed(admin: &mut PgConnection) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let is_behind: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM feeds WHERE unindexed_since IS NOT NULL)",
        )
        .fetch_one(&mut *admin)
        .await?;
        if !is_behind {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the index was behind after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn accounts(
    fleet: &Fleet,
    admin: &mut PgConnection,
    intercom: &str,
) -> Result<Accounts, Failure> {
    let (our_seconds, postgres_seconds) = fleet.cpu_seconds();
    Ok(Accounts {
        statements: statements(admin).await,
        our_seconds,
        postgres_seconds,
        calls: sync::ledger(intercom).await?["total"]
            .as_u64()
            .ok_or("the ledger has no total")?,
        at: Instant::now(),
    })
}

/// Statements beside what frames a transaction, and all. `None` if this Postgres cannot count them.
async fn statements(admin: &mut PgConnection) -> Option<(i64, i64)> {
    sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .execute(&mut *admin)
        .await
        .ok()?;
    sqlx::query_as(
        "SELECT coalesce(sum(calls) FILTER (WHERE query !~ 'set_config|^(BEGIN|COMMIT|ROLLBACK)'), 0)::bigint,
                coalesce(sum(calls), 0)::bigint
         FROM pg_stat_statements WHERE query !~ 'pg_stat_statements|pg_current_wal_insert_lsn'",
    )
    .fetch_one(&mut *admin)
    .await
    .ok()
}

impl Accounts {
    fn per_poll_since(&self, before: &Self, polls: f64) -> Poll {
        let counted = self.statements.zip(before.statements);
        let per_poll = |count: i64| count as f64 / polls;
        Poll {
            statements: counted.map(|(after, before)| per_poll(after.0 - before.0)),
            framed: counted.map(|(after, before)| per_poll(after.1 - before.1)),
            wal_bytes: 0.0,
            wal_image_bytes: None,
            postgres_ms: (self.postgres_seconds - before.postgres_seconds) * 1e3 / polls,
            our_ms: (self.our_seconds - before.our_seconds) * 1e3 / polls,
            calls: (self.calls - before.calls) as f64 / polls,
            per_second: polls / (self.at - before.at).as_secs_f64(),
        }
    }
}
