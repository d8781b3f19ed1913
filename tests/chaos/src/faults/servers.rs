//! Faults of Redis, Postgres and the connections to them. After each, work has to flow again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, rngs::StdRng};
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use servers::Servers;

use super::{Kind, Stage, network};
use crate::{Failure, world::now};

/// Work that has not gone on by then counts as wedged.
const RESUMED: Duration = Duration::from_secs(60);

/// Injects the fault. Returns whether it hit. A track that ends well leaves both servers up.
pub(super) async fn strike(
    stage: &Stage<'_>,
    kind: Kind,
    rng: &mut StdRng,
) -> Result<bool, Failure> {
    let calm = stage.calm.lock().await;
    let begun = now();
    let away = Duration::from_millis(rng.random_range(50..900));
    let hit = match kind {
        Kind::RedisKilled => redis_killed(stage, away).await,
        Kind::RedisStopped1s => redis_stopped(stage, Duration::from_secs(1)).await,
        Kind::RedisStopped5s => redis_stopped(stage, Duration::from_secs(5)).await,
        Kind::RedisStopped60s => redis_stopped(stage, Duration::from_secs(60)).await,
        Kind::RedisConnectionsCut => redis_cut(stage).await,
        Kind::PostgresConnectionsCut => Ok(stage.world.history.cut_sessions().await? > 0),
        Kind::PostgresFast | Kind::PostgresImmediate | Kind::PostgresKilled => {
            postgres(stage, kind, away).await
        }
        _ => network::strike(stage, kind, rng).await,
    }?;
    resumed(stage, kind).await?;
    stage.note(|broken| broken.storms.push((begun, now())));
    drop(calm);
    Ok(hit)
}

async fn resumed(stage: &Stage<'_>, kind: Kind) -> Result<(), Failure> {
    let begun = Instant::now();
    let here = stage.world.history.here().await?;
    let flowed = stage.world.history.until_work(here, RESUMED).await?;
    stage.note(|broken| match flowed {
        Some(_) => broken.resumed_seconds.push(begun.elapsed().as_secs_f64()),
        None => broken
            .wrong
            .push(format!("no slice began within {RESUMED:?} after {kind}")),
    });
    Ok(())
}

/// Hit: tickets were lost with it.
async fn redis_killed(stage: &Stage<'_>, away: Duration) -> Result<bool, Failure> {
    let lost = stage.world.live().await?;
    on_servers(stage, move |servers| {
        servers.redis().kill9()?;
        std::thread::sleep(away);
        servers.redis().start()
    })
    .await?;
    Ok(lost > 0)
}

/// Hit: there were tickets that no worker could reach meanwhile.
async fn redis_stopped(stage: &Stage<'_>, away: Duration) -> Result<bool, Failure> {
    let live = stage.world.live().await?;
    on_servers(stage, move |servers| {
        servers.redis().suspend()?;
        std::thread::sleep(away);
        servers.redis().resume()
    })
    .await?;
    Ok(live > 0)
}

/// Hit: there were connections beside ours.
async fn redis_cut(stage: &Stage<'_>) -> Result<bool, Failure> {
    let client = redis::Client::open(stage.world.servers.redis_url())?;
    let mut connection: MultiplexedConnection = client
        .get_multiplexed_async_connection_with_config(&crate::world::patient())
        .await?;
    let killed: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut connection)
        .await?;
    Ok(killed > 0)
}

/// Hit: the fleet had sessions.
async fn postgres(stage: &Stage<'_>, kind: Kind, away: Duration) -> Result<bool, Failure> {
    let sessions = stage.world.history.sessions().await?;
    on_servers(stage, move |servers| {
        let postgres = servers.postgres();
        match kind {
            Kind::PostgresFast => postgres.stop()?,
            Kind::PostgresImmediate => {
                if let Some(pid) = postgres
                    .pid()
                    .and_then(|pid| i32::try_from(pid).ok())
                    .and_then(Pid::from_raw)
                {
                    // It ends at once and recovers when it starts. The kill after it only reaps the process.
                    let _ = kill_process(pid, Signal::QUIT);
                    std::thread::sleep(Duration::from_millis(300));
                }
                postgres.kill9()?;
            }
            _ => postgres.kill9()?,
        }
        std::thread::sleep(away);
        postgres.start()
    })
    .await?;
    Ok(sessions > 0)
}

/// The servers' own calls block.
async fn on_servers(
    stage: &Stage<'_>,
    act: impl FnOnce(&Servers) -> Result<(), servers::Error> + Send + 'static,
) -> Result<(), Failure> {
    let servers = Arc::clone(&stage.world.servers);
    tokio::task::spawn_blocking(move || act(&servers)).await??;
    Ok(())
}
