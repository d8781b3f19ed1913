//! Servers that hang, drop packets or refuse writes. After each, work has to flow again.
//!
//! The fleet reaches both servers through a relay each. The harness itself does not.

use std::time::{Duration, Instant};

use rand::{Rng, rngs::StdRng};
use redis::aio::MultiplexedConnection;
use sqlx::Connection as _;

use super::{Kind, Stage};
use crate::Failure;

/// How long a server hangs or refuses, in seconds. Longer than every deadline of a call, shorter than the law's minute.
const AWAY: std::ops::Range<u64> = 8..25;
/// How long every statement is cancelled.
const CANCELS: Duration = Duration::from_secs(4);

/// Injects the fault. Returns whether it hit. A track that ends well leaves both servers as they were.
pub(super) async fn strike(
    stage: &Stage<'_>,
    kind: Kind,
    rng: &mut StdRng,
) -> Result<bool, Failure> {
    let away = Duration::from_secs(rng.random_range(AWAY));
    let relays = &stage.world.relays;
    match kind {
        Kind::RedisFrozen => frozen(&relays.redis, away).await,
        Kind::PostgresFrozen => frozen(&relays.postgres, away).await,
        Kind::RedisRefused => refused(&relays.redis, away).await,
        Kind::PostgresRefused => refused(&relays.postgres, away).await,
        Kind::RedisAbandoned => Ok(abandoned(&relays.redis)),
        Kind::PostgresAbandoned => Ok(abandoned(&relays.postgres)),
        Kind::RedisReadOnly => {
            let refuse = [
                &["REPLICAOF", "127.0.0.1", "1"][..],
                &["REPLICAOF", "NO", "ONE"],
            ];
            redis_refuses(stage, refuse, away).await
        }
        Kind::RedisDenied => {
            let rules = [
                &["ACL", "SETUSER", "default", "-@write"][..],
                &["ACL", "SETUSER", "default", "+@all"],
            ];
            redis_refuses(stage, rules, away).await
        }
        Kind::RedisFull => {
            let policy = [
                "CONFIG",
                "SET",
                "maxmemory-policy",
                "noeviction",
                "maxmemory",
            ];
            let full = [&policy[..], &["1"]].concat();
            let empty = [&policy[..], &["0"]].concat();
            redis_refuses(stage, [&full, &empty], away).await
        }
        Kind::PostgresCancels => cancels(stage).await,
        _ => postgres_refuses(stage, away).await,
    }
}

/// Hit: there were connections, and no byte went through them.
async fn frozen(relay: &servers::Relay, away: Duration) -> Result<bool, Failure> {
    let connections = relay.open_connections();
    relay.freeze();
    tokio::time::sleep(away).await;
    relay.forward();
    Ok(connections > 0)
}

/// Hit: there were connections, and new ones meet a closed port.
async fn refused(relay: &servers::Relay, away: Duration) -> Result<bool, Failure> {
    let connections = relay.open_connections();
    relay.refuse();
    tokio::time::sleep(away).await;
    relay.forward();
    Ok(connections > 0)
}

/// Hit: statements were cancelled. For a few seconds only, because a slice that fails ten times in a row is given up for
/// an hour.
async fn cancels(stage: &Stage<'_>) -> Result<bool, Failure> {
    let (begun, mut cancelled) = (Instant::now(), 0);
    while begun.elapsed() < CANCELS {
        cancelled += stage.world.history.cancel_statements().await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(cancelled > 0)
}

/// Hit: there were connections, and no byte will go through them any more.
fn abandoned(relay: &servers::Relay) -> bool {
    let connections = relay.open_connections();
    relay.abandon();
    connections > 0
}

/// Hit: the server took the command, after which it refuses writes.
async fn redis_refuses(
    stage: &Stage<'_>,
    [begin, end]: [&[&str]; 2],
    away: Duration,
) -> Result<bool, Failure> {
    let client = redis::Client::open(stage.world.servers.redis_url())?;
    let mut connection: MultiplexedConnection = client
        .get_multiplexed_async_connection_with_config(&crate::world::patient())
        .await?;
    for (command, pause) in [(begin, away), (end, Duration::ZERO)] {
        redis::cmd(command[0])
            .arg(&command[1..])
            .query_async::<()>(&mut connection)
            .await?;
        tokio::time::sleep(pause).await;
    }
    Ok(true)
}

/// Hit: new transactions cannot write, as on a server that has become a standby.
async fn postgres_refuses(stage: &Stage<'_>, away: Duration) -> Result<bool, Failure> {
    let mut session = sqlx::PgConnection::connect(&stage.world.servers.database_url()).await?;
    // The harness's own session has to write the setting back.
    sqlx::raw_sql("SET default_transaction_read_only = off")
        .execute(&mut session)
        .await?;
    for (setting, pause) in [("on", away), ("off", Duration::ZERO)] {
        for statement in [
            format!("ALTER SYSTEM SET default_transaction_read_only = {setting}"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                .execute(&mut session)
                .await?;
        }
        tokio::time::sleep(pause).await;
    }
    session.close().await?;
    Ok(true)
}
