//! The fleet that is watched: a scheduler, the API and eight workers, each a process.

use std::time::{Duration, Instant};

use pathbound::{api_client::ApiClient, demo::browser::Browser};
use servers::Servers;
use shared::{config::DatabaseConfig, domain::Secret};

use super::{
    Count, LATENCY, Seen, WORKERS, next_window, seen, spec,
    trouble::{Others, Trouble, lose_answers, set_limit, skew},
};
use crate::{
    report::Failure,
    roles::{self, Role, Scene},
    sync::{self, SERVICE_KEY, WORKSPACE},
};

const KILL_EVERY: Duration = Duration::from_secs(20);
/// How long Redis is away.
const AWAY: Duration = Duration::from_secs(60);

/// Eight workers, a scheduler and the API, from the connection on.
pub(super) async fn fleet(limit: u32, windows: u64, trouble: Trouble) -> Result<Seen, Failure> {
    // Threads of one connection are one ticket, which one worker has at a time: as many connections as workers, so
    // that all of them spend from the one workspace.
    let connections = if trouble == Trouble::OneConnection {
        1
    } else {
        WORKERS
    };
    let spec = spec(limit, windows, connections);
    let (_simulator, url) = roles::simulator(&Scene {
        spec,
        latency: LATENCY,
    })?;
    if let Trouble::Skewed(seconds) = trouble {
        skew(&url, seconds).await?;
    }
    let servers =
        tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??;
    let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
    shared::store::migrate(&database.url, &database).await?;
    let public_url = format!("http://127.0.0.1:{}", servers::free_port()?);
    let mut environment = sync::environment(&servers, &url, &public_url);
    environment.push(("PATHBOUND_DATABASE_CONNECTIONS".to_owned(), "6".to_owned()));
    if trouble == Trouble::Fresh {
        // Two polls of each connection, each so often: about a seventh of the calls.
        let interval = if limit > 1_000 { "1s" } else { "8s" };
        environment.push(("PATHBOUND_SYNC_INTERVAL".to_owned(), interval.to_owned()));
    }
    let _api = roles::pathbound(&["api"], &environment)?;
    let _scheduler = roles::pathbound(&["scheduler"], &environment)?;
    let rest = ApiClient::new(&public_url, &Secret::new(SERVICE_KEY))?;
    for _ in 0..connections {
        let tenant = sync::until_up(&rest).await?;
        let start_url = sync::start_link(&rest, tenant).await?;
        Browser::new()?.connect(&start_url, WORKSPACE).await?;
    }
    if trouble == Trouble::LostAnswers {
        lose_answers(&url, u64::from(limit) * (windows + 4)).await?;
    }
    let others = (trouble == Trouble::Foreign).then(|| Others::start(&url, limit));
    // Only now: `/me` takes no permit, and would be throttled beside a hungry fleet.
    let mut fleet = Fleet {
        workers: Vec::new(),
        environment,
        url,
        limit,
    };
    for _ in 0..WORKERS {
        fleet.add_worker()?;
    }

    // The stubs come first, and with them the backlog.
    next_window(&fleet.url).await?;
    next_window(&fleet.url).await?;
    let begun = next_window(&fleet.url).await?;
    match trouble {
        Trouble::Halved => fleet.halved(begun, windows).await,
        Trouble::RedisAway => fleet.without_redis(begun, &servers).await,
        Trouble::Kills => fleet.with_kills(begun, windows).await,
        _ => fleet.watched(begun, windows, others.as_ref()).await,
    }
}

struct Fleet {
    /// Each with where its metrics are.
    workers: Vec<(Role, String)>,
    environment: Vec<(String, String)>,
    /// The simulator.
    url: String,
    limit: u32,
}

impl Fleet {
    /// Dropping one is `kill -9`.
    fn worker(&self) -> Result<(Role, String), Failure> {
        let address = format!("127.0.0.1:{}", servers::free_port()?);
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != "PATHBOUND_OPS_LISTEN");
        environment.push(("PATHBOUND_OPS_LISTEN".to_owned(), address.clone()));
        Ok((roles::pathbound(&["worker"], &environment)?, address))
    }

    fn add_worker(&mut self) -> Result<(), Failure> {
        let worker = self.worker()?;
        self.workers.push(worker);
        Ok(())
    }

    async fn watched(
        &self,
        begun: Count,
        windows: u64,
        others: Option<&Others>,
    ) -> Result<Seen, Failure> {
        let before = self.metrics().await?;
        let others_begun = others.map_or((0, 0), Others::so_far);
        let mut ended = begun;
        for _ in 0..windows {
            ended = next_window(&self.url).await?;
        }
        let after = self.metrics().await?;
        let theirs = others.map_or((0, 0), Others::so_far);
        let mut seen = seen(begun, ended, self.limit, windows, f64::NAN);
        // The others' own refusals are not ours.
        seen.calls = (ended.0 - begun.0)
            .saturating_sub(theirs.0 - others_begun.0)
            .max(1) as f64;
        let throttled = (ended.1 - begun.1).saturating_sub(theirs.1 - others_begun.1) as f64;
        seen.throttled_per_million = throttled * 1e6 / seen.calls;
        seen.redis_per_call = (after.redis_calls - before.redis_calls) / seen.calls;
        let waits = after.fresh_waits.iter().zip(&before.fresh_waits);
        let waits: Vec<(f64, f64)> = waits
            .map(|((edge, after), (_, before))| (*edge, after - before))
            .collect();
        seen.fresh_calls = waits.last().map_or(0.0, |(_, calls)| *calls);
        if seen.fresh_calls >= 20.0 {
            seen.fresh_p99_ms = p99(&waits) * 1_000.0;
        }
        Ok(seen)
    }

    async fn with_kills(&mut self, begun: Count, windows: u64) -> Result<Seen, Failure> {
        let mut last_kill = Instant::now();
        let mut ended = begun;
        for window in 0..windows {
            if last_kill.elapsed() >= KILL_EVERY {
                // In the middle of the burst that a window begins with.
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.workers[window as usize % WORKERS] = self.worker()?;
                last_kill = Instant::now();
            }
            ended = next_window(&self.url).await?;
        }
        Ok(seen(begun, ended, self.limit, windows, f64::NAN))
    }

    /// The limit is halved while the burst that a window begins with is under way.
    async fn halved(&self, begun: Count, windows: u64) -> Result<Seen, Failure> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        set_limit(&self.url, self.limit / 2).await?;
        // Refusals count from the change on, the use from the next window on.
        let full = next_window(&self.url).await?;
        let mut ended = full;
        for _ in 0..windows {
            ended = next_window(&self.url).await?;
        }
        let mut seen = seen(full, ended, self.limit / 2, windows, f64::NAN);
        seen.calls = (ended.0 - begun.0) as f64;
        seen.throttled_per_million = (ended.1 - begun.1) as f64 * 1e6 / seen.calls;
        Ok(seen)
    }

    /// Redis stops for a minute. Measures the use of the first window that begins after its return.
    async fn without_redis(&self, begun: Count, servers: &Servers) -> Result<Seen, Failure> {
        let before = self.metrics().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        servers.redis().stop()?;
        tokio::time::sleep(AWAY).await;
        servers.redis().start()?;
        let (first, ended) = (next_window(&self.url).await?, next_window(&self.url).await?);
        let mut seen = seen(first, ended, self.limit, 1, f64::NAN);
        seen.calls = (ended.0 - begun.0) as f64;
        seen.throttled_per_million = (ended.1 - begun.1) as f64 * 1e6 / seen.calls;
        seen.failed_attempts = self.metrics().await?.failed_attempts - before.failed_attempts;
        Ok(seen)
    }

    /// Of all workers so far.
    async fn metrics(&self) -> Result<Metrics, Failure> {
        let http = pathbound::api_client::http_client()?;
        let mut of_all = Metrics::default();
        for (_, address) in &self.workers {
            let text = http
                .get(format!("http://{address}/metrics"))
                .send()
                .await?
                .text()
                .await?;
            of_all.take_in(&text);
        }
        Ok(of_all)
    }
}

/// What the workers say of themselves.
#[derive(Debug, Default)]
struct Metrics {
    /// Calls to the ledger.
    redis_calls: f64,
    /// Slices that failed and cost an attempt.
    failed_attempts: f64,
    /// Upper edge in seconds → fresh calls that waited no longer.
    fresh_waits: Vec<(f64, f64)>,
}

impl Metrics {
    fn take_in(&mut self, text: &str) {
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let edge = name
                .strip_prefix("pathbound_permit_wait_seconds_bucket{class=\"fresh\",le=\"")
                .and_then(|edge| {
                    edge.strip_suffix("\"}")?
                        .replace("+Inf", "inf")
                        .parse::<f64>()
                        .ok()
                });
            if let Some(edge) = edge {
                match self
                    .fresh_waits
                    .iter_mut()
                    .find(|(known, _)| *known == edge)
                {
                    Some((_, calls)) => *calls += value,
                    None => self.fresh_waits.push((edge, value)),
                }
            } else if name == "pathbound_redis_op_duration_seconds_count{op=\"rate\"}" {
                self.redis_calls += value;
            } else if name.starts_with("pathbound_slices_finished_total{")
                && ["retry", "dead"]
                    .iter()
                    .any(|outcome| name.contains(&format!("outcome=\"{outcome}\"")))
            {
                self.failed_attempts += value;
            }
        }
    }
}

/// The edge of the first bucket that holds 99 of 100: never less than the truth.
fn p99(cumulative: &[(f64, f64)]) -> f64 {
    let all = cumulative.last().map_or(0.0, |(_, calls)| *calls);
    cumulative
        .iter()
        .find(|(_, calls)| *calls >= all * 0.99)
        .map_or(f64::INFINITY, |(edge, _)| *edge)
}
