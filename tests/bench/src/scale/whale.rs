//! What a tenant's backlog costs: a slice of threads, the status and the end of a connection, with 50 pending threads and
//! with millions.
//!
//! `SCALE_PENDING=100000` takes a shorter backlog, for a quick look.

use std::time::{Duration, Instant};

use chrono::DateTime;
use intercom_simulator::WorkspaceSpec;
use reqwest::StatusCode;
use shared::{
    config::DatabaseConfig,
    domain::{
        ConnectionId, Secret, Stream, TenantId, ids,
        records::{Conversation, Part, SubList, Thread},
    },
    store::{SliceKey, WorkerStore},
};
use sqlx::PgConnection;

use super::{p99_ms, read};
use crate::{
    clones::Original,
    fleet::{Fleet, FleetOptions},
    ops,
    report::{Failure, Report, size},
    sync::SERVICE_KEY,
};

const PENDING: i64 = 5_000_000;
const FEW: i64 = 50;
const ROWS_AT_ONCE: i64 = 250_000;
const STATUS_READS: usize = 300;
const DISCONNECTS: usize = 20;
/// Above every fence that the fleet has reached.
const FENCE: i64 = 1 << 40;
/// Threads that a slice stores in one transaction here.
const BATCH: i64 = 10;

/// Statements of a slice whose pages are printed, the dearest first.
const SHOWN: usize = 5;

/// What one backlog cost.
struct Backlog {
    slice_buffers: f64,
    page_p99_ms: f64,
    status_p99_ms: f64,
    disconnect_p99_ms: f64,
}

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let pending = size("SCALE_PENDING", PENDING)?;
    println!("one tenant with {pending} pending threads beside one with {FEW}");
    let spec = WorkspaceSpec {
        contacts: 5,
        companies: 1,
        conversations: 3,
        ..WorkspaceSpec::default()
    };
    let mut original = Original::sync(spec, options()).await?;
    sqlx::raw_sql("CREATE EXTENSION pg_stat_statements")
        .execute(&mut original.admin)
        .await?;
    // No worker takes what is made due below.
    original.fleet.end_worker();
    let clones = original.multiply(2).await?;
    let Original { fleet, admin, .. } = &mut original;
    for (tenant, threads) in clones.iter().zip([FEW, pending]) {
        fill(admin, *tenant, fleet.connection, threads).await?;
    }
    // What autovacuum does within minutes of so many new rows. When it comes decides how the statements are planned, so
    // without this the figures would differ from run to run.
    sqlx::raw_sql("VACUUM (ANALYZE)")
        .execute(&mut *admin)
        .await?;
    let session = ops::sign_in(fleet).await?;
    let mut costs = Vec::new();
    for tenant in clones {
        costs.push(Backlog {
            slice_buffers: slice_buffers(fleet, admin, tenant).await?,
            page_p99_ms: ops::page_p99_ms_of(fleet, &session, &format!("/ops/tenants/{tenant}"))
                .await?,
            status_p99_ms: status(fleet, tenant).await?,
            disconnect_p99_ms: disconnects(fleet, admin, tenant).await?,
        });
    }
    let (few, many) = (&costs[0], &costs[1]);
    let mut add = |name, unit, value, baseline| report.add(name, value, unit, Some(baseline));
    add(
        "scale.pending_thread_slice_buffers",
        "pages",
        many.slice_buffers,
        few.slice_buffers,
    );
    add(
        "scale.pending_sync_status_p99_ms",
        "ms",
        many.status_p99_ms,
        few.status_p99_ms,
    );
    add(
        "scale.pending_ops_page_p99_ms",
        "ms",
        many.page_p99_ms,
        few.page_p99_ms,
    );
    add(
        "scale.pending_disconnect_202_p99_ms",
        "ms",
        many.disconnect_p99_ms,
        few.disconnect_p99_ms,
    );
    Ok(())
}

fn options() -> FleetOptions {
    FleetOptions {
        servers: servers::Options {
            shared_buffers_mib: 1_024,
            postgres_settings: vec![
                "shared_preload_libraries=pg_stat_statements".to_owned(),
                "max_wal_size=8GB".to_owned(),
            ],
            ..servers::Options::default()
        },
        // Both tenants' rows are in the same tables, whose indexes are as deep for the one as for the other.
        partitions: Some(1),
        environment: vec![("OPERATOR_KEY", ops::OPERATOR_KEY.to_owned())],
    }
}

/// Conversations whose stubs have come and whose threads have not, and their number on the stream's row. Every second
/// thread has failed and waits for its next attempt.
async fn fill(
    admin: &mut PgConnection,
    tenant: TenantId,
    connection: ConnectionId,
    threads: i64,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut from = 0;
    while from < threads {
        let until = (from + ROWS_AT_ONCE).min(threads);
        let numbers: Vec<i64> = (from..until).collect();
        let ids: Vec<_> = numbers
            .iter()
            .map(|number| ids::conversation_id(connection, &source_id(*number)))
            .collect();
        sqlx::query(
            "INSERT INTO conversations (tenant_id, id, connection_id, source_id, source_created_at, source_updated_at, open, raw_hash, raw)
             SELECT $1, id, $2, 'w' || n, to_timestamp(1700000000 + n), to_timestamp(1700000000 + n), true, 0, ''
             FROM unnest($3::int8[], $4::uuid[]) AS i(n, id)",
        )
        .bind(tenant.0)
        .bind(connection.0)
        .bind(&numbers)
        .bind(&ids)
        .execute(&mut *admin)
        .await?;
        sqlx::query(
            "INSERT INTO threads (tenant_id, connection_id, conversation_id, source_id, status, stub_version,
                                  due_at, attempts, failure, error, failed_since, tried_at)
             SELECT $1, $2, id, 'w' || n, 'pending', to_timestamp(1700000000 + n),
                    now() + n % 2 * interval '1 day', n % 2, CASE n % 2 WHEN 1 THEN 'refused' END,
                    CASE n % 2 WHEN 1 THEN 'intercom refused the thread' END,
                    CASE n % 2 WHEN 1 THEN now() END, CASE n % 2 WHEN 1 THEN now() END
             FROM unnest($3::int8[], $4::uuid[]) AS i(n, id)",
        )
        .bind(tenant.0)
        .bind(connection.0)
        .bind(&numbers)
        .bind(&ids)
        .execute(&mut *admin)
        .await?;
        from = until;
    }
    sqlx::query(
        "UPDATE streams SET pending = pending + CASE stream WHEN 'threads' THEN $2 ELSE 0 END,
                            failing = failing + CASE stream WHEN 'threads' THEN $2 / 2 ELSE 0 END,
                            held = held + CASE stream WHEN 'conversations' THEN $2 ELSE 0 END
         WHERE tenant_id = $1",
    )
    .bind(tenant.0)
    .bind(threads)
    .execute(&mut *admin)
    .await?;
    println!(
        "{threads} pending threads after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn source_id(number: i64) -> String {
    format!("w{number}")
}

/// Pages of Postgres that one slice touches: it looks at the backlog, stores a batch of answers, and looks again.
async fn slice_buffers(
    fleet: &Fleet,
    admin: &mut PgConnection,
    tenant: TenantId,
) -> Result<f64, Failure> {
    let database = DatabaseConfig::of_url(Secret::new(fleet.servers.database_url()));
    let store = WorkerStore::connect(&database, 1).await?;
    let key = SliceKey {
        tenant,
        connection: fleet.connection,
        stream: Stream::Threads,
        fence: FENCE,
    };
    sqlx::query("UPDATE streams SET fence = $2 WHERE tenant_id = $1")
        .bind(tenant.0)
        .bind(key.fence)
        .execute(&mut *admin)
        .await?;
    // The first slice reads what a session reads once.
    slice(&store, key).await?;
    sqlx::raw_sql("SELECT pg_stat_statements_reset()")
        .execute(&mut *admin)
        .await?;
    slice(&store, key).await?;
    let statements: Vec<(i64, String)> = sqlx::query_as(
        "SELECT shared_blks_hit + shared_blks_read, left(regexp_replace(query, '\\s+', ' ', 'g'), 100)
         FROM pg_stat_statements WHERE query !~ 'pg_stat_statements' ORDER BY 1 DESC",
    )
    .fetch_all(admin)
    .await?;
    for (buffers, statement) in statements.iter().take(SHOWN) {
        println!("{buffers} pages: {statement}");
    }
    Ok(statements.iter().map(|(buffers, _)| *buffers as f64).sum())
}

async fn slice(store: &WorkerStore, key: SliceKey) -> Result<(), Failure> {
    let mut tx = store.begin(key.tenant).await?;
    let due = tx.due_threads(key.connection, BATCH, BATCH).await?;
    tx.commit().await?;
    if due.fresh.len() as i64 != BATCH {
        return Err(format!("{} threads were due", due.fresh.len()).into());
    }
    let answers = due
        .fresh
        .iter()
        .map(|thread| answer(&thread.source_id).into());
    let mut tx = store.begin(key.tenant).await?;
    tx.write_threads(key.connection, answers.collect()).await?;
    tx.thread_backlog(key).await?;
    tx.commit().await?;
    Ok(())
}

/// A thread of one part.
fn answer(source_id: &str) -> Thread {
    let number: i64 = source_id
        .trim_start_matches('w')
        .parse()
        .unwrap_or_default();
    let at = DateTime::from_timestamp(1_700_000_000 + number, 0).unwrap_or_default();
    Thread {
        conversation: Conversation {
            source_id: source_id.to_owned(),
            title: None,
            state: Some("open".to_owned()),
            open: true,
            priority: None,
            admin_assignee_id: None,
            team_assignee_id: None,
            tags: None,
            contacts: SubList::Whole(Vec::new()),
            company_source_id: None,
            created_at: at,
            updated_at: at,
            part_count: Some(1),
            first_message: None,
            sanitised: false,
            raw: "{}".to_owned(),
        },
        parts: vec![Part {
            source_id: format!("{source_id}p"),
            kind: "comment".to_owned(),
            author_kind: None,
            author_source_id: None,
            author_name: None,
            body: Some("a part".to_owned()),
            redacted: false,
            internal: false,
            created_at: at,
            updated_at: at,
            sanitised: false,
            raw: "{}".to_owned(),
        }],
        total_count: Some(1),
    }
}

async fn status(fleet: &Fleet, tenant: TenantId) -> Result<f64, Failure> {
    let path = format!("/v1/connections/{}/sync", fleet.connection);
    let mut times = Vec::with_capacity(STATUS_READS);
    for _ in 0..STATUS_READS {
        times.push(read(fleet, tenant, &path).await?);
    }
    Ok(p99_ms(&times))
}

/// Ends the connection again and again, and makes it as it was in between.
async fn disconnects(
    fleet: &Fleet,
    admin: &mut PgConnection,
    tenant: TenantId,
) -> Result<f64, Failure> {
    let http = pathbound::api_client::http_client()?;
    let url = format!(
        "{}/v1/connections/{}?data=retain",
        fleet.public_url, fleet.connection
    );
    let mut times: Vec<Duration> = Vec::with_capacity(DISCONNECTS);
    for _ in 0..DISCONNECTS {
        let begun = Instant::now();
        let answer = http
            .delete(&url)
            .bearer_auth(SERVICE_KEY)
            .header("Pathbound-Tenant", tenant.to_string())
            .send()
            .await?;
        times.push(begun.elapsed());
        if answer.status() != StatusCode::ACCEPTED {
            let why = answer.text().await?;
            return Err(format!("a disconnect was refused: {why}").into());
        }
        sqlx::query(
            "UPDATE connections SET state = 'active', disconnected_at = NULL WHERE tenant_id = $1",
        )
        .bind(tenant.0)
        .execute(&mut *admin)
        .await?;
    }
    Ok(p99_ms(&times))
}
