//! What the fleet is held against: the same limit, latency and server, without our ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use servers::Servers;
use tokio::sync::Semaphore;

use super::{LATENCY, Seen, UNDER_WAY, WINDOW, WORKERS, next_window, seen, spec};
use crate::{
    report::Failure,
    roles::{self, Scene},
    sync,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// `governor`'s rule in each of eight, with an eighth of the limit.
    EachAlone,
    /// One GCRA in Redis for all, asked for each call.
    InRedis,
}

/// Returns the microseconds to wait. The key holds the time of the next call, the argument the microseconds
/// between two calls.
const GCRA: &str = "local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local next = tonumber(redis.call('GET', KEYS[1]) or 0)
if now < next then return next - now end
redis.call('SET', KEYS[1], string.format('%d', math.max(next, now - 1000) + ARGV[1]))
return 0";

/// Calls as fast as a pace lets them go, from this process.
pub(super) async fn baseline(limit: u32, windows: u64, pace: Pace) -> Result<Seen, Failure> {
    let spec = spec(limit, 0, WORKERS);
    let token = sync::token_of(&spec).await?;
    let (_simulator, url) = roles::simulator(&Scene {
        spec,
        latency: LATENCY,
    })?;
    let servers =
        tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??;
    let redis = redis::Client::open(servers.redis_url())?
        .get_multiplexed_async_connection()
        .await?;
    let redis_calls = Arc::new(AtomicU64::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let (http, url, token) = (
            pathbound::api_client::http_client()?,
            format!("{url}/me"),
            token.clone(),
        );
        let (mut redis, redis_calls) = (redis.clone(), Arc::clone(&redis_calls));
        let (script, under_way) = (
            redis::Script::new(GCRA),
            Arc::new(Semaphore::new(UNDER_WAY)),
        );
        senders.spawn(async move {
            let share = if pace == Pace::EachAlone {
                f64::from(limit) / WORKERS as f64
            } else {
                f64::from(limit)
            };
            let every = WINDOW.div_f64(share);
            let mut next = tokio::time::Instant::now();
            loop {
                let wait = if pace == Pace::EachAlone {
                    next = (next + every).max(tokio::time::Instant::now());
                    tokio::time::sleep_until(next).await;
                    0
                } else {
                    redis_calls.fetch_add(1, Ordering::Relaxed);
                    let mut call = script.key("pace");
                    call.arg(every.as_micros() as u64)
                        .invoke_async::<u64>(&mut redis)
                        .await
                        .unwrap_or(1_000)
                };
                if wait > 0 {
                    tokio::time::sleep(Duration::from_micros(wait)).await;
                    continue;
                }
                let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else {
                    return;
                };
                let call = http
                    .get(&url)
                    .bearer_auth(&token)
                    .header("Accept", "application/json");
                tokio::spawn(async move {
                    let _ = call.header("Intercom-Version", "2.16").send().await;
                    drop(permit);
                });
            }
        });
    }
    next_window(&url).await?;
    let (begun, asked) = (
        next_window(&url).await?,
        redis_calls.load(Ordering::Relaxed),
    );
    let mut ended = begun;
    for _ in 0..windows {
        ended = next_window(&url).await?;
    }
    let asked = redis_calls.load(Ordering::Relaxed) - asked;
    senders.shutdown().await;
    Ok(seen(begun, ended, limit, windows, asked as f64))
}
