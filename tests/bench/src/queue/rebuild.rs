//! 100,000 tenants: how long an emptied Redis takes to be filled again by the real scheduler, and what the
//! fleet costs when none of them is due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use servers::Servers;
use shared::{
    config::DatabaseConfig,
    domain::{Secret, Verdict},
    queue::{Fleet, Lease, Queue, SliceEnd},
};
use sqlx::{Connection, Executor, PgConnection};

use super::{fleets::Worker, redis_server::Server};
use crate::{
    report::{Failure, Report},
    roles,
};

const TENANTS: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(20);

/// Tenants with a connection each, and one stream that is due.
const POPULATE: &str = "
    CREATE TEMP TABLE made AS SELECT gen_random_uuid() AS tenant, gen_random_uuid() AS connection FROM generate_series(1, 100000);
    INSERT INTO tenants (id, name) SELECT tenant, 'bench' FROM made;
    INSERT INTO connections (tenant_id, id, source, state, region, workspace_id, workspace_name, timezone, api_version, connected_at)
        SELECT tenant, connection, 'intercom', 'active', 'us', connection::text, 'bench', 'UTC', '2.16', now() FROM made;
    INSERT INTO streams (tenant_id, connection_id, stream, due_at)
        SELECT tenant, connection, s.stream, CASE WHEN s.stream = 'contacts' THEN now() ELSE now() + interval '1 day' END
        FROM made, (VALUES ('contacts'), ('companies'), ('conversations'), ('threads'), ('reference')) AS s (stream);
    ANALYZE tenants, connections, streams;";

struct Finish;

impl Fleet for Finish {
    async fn work(&self, _: Lease) -> SliceEnd {
        Verdict::Done.into()
    }
}

pub(super) async fn measure(
    report: &mut Report,
    redis: &Server,
    servers: &Servers,
) -> Result<(), Failure> {
    let queue = redis.fresh().await?;
    let empty = redis.info("used_memory").await?;
    let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
    shared::store::migrate(&database.url, &database).await?;
    let mut postgres = PgConnection::connect(&servers.database_url()).await?;
    postgres.execute(POPULATE).await?;
    let environment: Vec<(String, String)> = [
        ("PROFILE", "development"),
        ("DATABASE_URL", &*servers.database_url()),
        ("REDIS_URL", &redis.url),
        ("REDIS_PREFIX", "bench"),
        ("OPS_LISTEN", "127.0.0.1:0"),
        ("LOG", "error"),
    ]
    .into_iter()
    .map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()))
    .collect();
    let scheduler = roles::pathbound(&["scheduler"], &environment)?;

    until_live(&queue, TENANTS).await?;
    report.add(
        "queue.live_ticket_redis_bytes",
        (redis.info("used_memory").await? - empty) / TENANTS as f64,
        "B",
        None,
    );
    redis.ask::<()>(&["FLUSHALL"]).await?;
    let flushed = Instant::now();
    until_live(&queue, TENANTS).await?;
    report.add(
        "queue.rebuild_100k_tenants_seconds",
        flushed.elapsed().as_secs_f64(),
        "s",
        None,
    );

    // Every tenant was served, and none is due until tomorrow.
    postgres
        .execute("UPDATE streams SET due_at = now() + interval '1 day', ticketed_at = NULL")
        .await?;
    let worker = Worker::start(&queue, 64, &Arc::new(Finish));
    until_live(&queue, 0).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    report.add(
        "queue.idle_100k_tenants_redis_bytes",
        redis.info("used_memory").await? - empty,
        "B",
        None,
    );
    let keys: f64 = redis.ask::<i64>(&["DBSIZE"]).await? as f64;
    report.add("queue.idle_100k_tenants_redis_keys", keys, "keys", None);
    let calls = redis.count_calls().await?;
    tokio::time::sleep(IDLE).await;
    report.add(
        "queue.idle_100k_tenants_ops_per_second",
        calls.so_far() as f64 / IDLE.as_secs_f64(),
        "1/s",
        None,
    );
    worker.stop().await;
    drop(scheduler);
    Ok(())
}

async fn until_live(queue: &Queue, wanted: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let live = queue.stats().await?.live;
        if live == wanted {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{live} tickets are live after {PATIENCE:?}, not {wanted}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
