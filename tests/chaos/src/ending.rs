//! After the last fault: wait until the copies are complete and exact, then bring the fleet to rest.

use std::time::{Duration, Instant};

use pathbound::exact::{self, Report as Compared};
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use shared::{
    completeness::{StreamStatus, SyncStatus},
    domain::Stream,
};

use crate::{
    Failure, faults, scrape,
    world::{Connected, World},
};

/// The law: idle and exact within this time of the last fault.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// Except companies: Intercom has one scroll per workspace and ends an abandoned one after a minute, so a
/// walk that was cut off by a kill begins again 61 s later, and nothing can be done about it.
pub(crate) const SCROLL: Duration = Duration::from_secs(65);
/// Watched for longer, so that the report can tell late from never.
const PATIENCE: Duration = Duration::from_secs(200);
/// Redis keys at rest: some that are always there, and a few per tenant.
const KEYS: u64 = 24;
const KEYS_PER_TENANT: u64 = 4;

/// How the copies ended.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Ending {
    /// From the last fault until every stream but companies had walked past the last change.
    pub(crate) seconds: Option<f64>,
    /// The same for all objects, companies included, and compared as exact. The comparison's own time is not
    /// counted. `None` if it never happened.
    pub(crate) exact_seconds: Option<f64>,
    pub(crate) records: u64,
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) different: u64,
    /// What was waited for last.
    pub(crate) waited_for: String,
    /// What was not complete, and examples of what is not exact.
    pub(crate) examples: Vec<String>,
}

/// How the fleet came to rest.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Rest {
    /// Live tickets that were left after the last new one was made.
    pub(crate) live: u64,
    pub(crate) redis_keys: u64,
    pub(crate) redis_keys_allowed: u64,
    pub(crate) key_names: Vec<String>,
    /// Processes that did not leave well when told to.
    pub(crate) late: Vec<String>,
    pub(crate) outside_read_list: u64,
}

/// Waits, compares, and waits again until everything is exact or patience ends.
pub(crate) async fn wait_and_compare(world: &World) -> Result<Ending, Failure> {
    let (begun, stopped) = (Instant::now(), crate::world::now());
    let (mut waited_for, mut seconds) = (String::new(), None);
    loop {
        let now = begun.elapsed();
        let (mut unfinished, mut only_companies) = (Vec::new(), true);
        for connected in &world.tenants {
            let status = world.status(connected).await?;
            for (stream, why) in unfinished_since(&status, stopped) {
                only_companies &= stream == Stream::Companies;
                unfinished.push(format!("{}: {why}", connected.workspace.spec().name));
            }
        }
        if only_companies && seconds.is_none() {
            seconds = Some(now.as_secs_f64());
        }
        if let Some(first) = unfinished.first() {
            waited_for = format!("until {:.1} s: {first}", now.as_secs_f64());
        }
        let late = now > PATIENCE;
        if unfinished.is_empty() || late {
            let mut ending = compare(world).await?;
            let exact =
                unfinished.is_empty() && ending.missing + ending.extra + ending.different == 0;
            if let Some(first) = ending.examples.first().filter(|_| !exact) {
                waited_for = format!("until {:.1} s: {first}", now.as_secs_f64());
            }
            if exact || late {
                ending.examples.splice(0..0, unfinished);
                return Ok(Ending {
                    seconds,
                    exact_seconds: exact.then_some(now.as_secs_f64()),
                    waited_for,
                    ..ending
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Why a copy cannot hold the last changes yet. Each stream has to have ended a walk that began after them.
fn unfinished_since(status: &SyncStatus, stopped: f64) -> Vec<(Stream, String)> {
    let fresh = |stream: &StreamStatus| {
        // Threads are walked when a stub says so, and are proven by their own counts. A walk takes a second.
        stream.stream == Stream::Threads
            || stream
                .last_ok_at
                .is_some_and(|at| at.timestamp_millis() as f64 / 1e3 > stopped + 2.0)
    };
    let stale = status
        .streams
        .iter()
        .filter(|stream| !fresh(stream) || stream.blocked.is_some());
    let mut unfinished: Vec<_> = stale
        .map(|stream| (stream.stream, format!("{stream:?}")))
        .collect();
    unfinished.extend(faults::waiting(status).map(|reason| {
        // What concerns the whole connection concerns more than its companies.
        let stream = reason.stream.unwrap_or(Stream::Contacts);
        (stream, format!("{reason:?}"))
    }));
    if status.threads.pending > 0 {
        unfinished.push((Stream::Threads, format!("{:?}", status.threads)));
    }
    // With an interval of a second something is nearly always due, so `complete` flickers: not asked.
    unfinished
}

async fn compare(world: &World) -> Result<Ending, Failure> {
    let mut ending = Ending::default();
    for connected in &world.tenants {
        let report = compare_one(world, connected).await?;
        ending.records += report.records;
        ending.missing += report.missing;
        ending.extra += report.extra;
        ending.different += report.different;
        ending
            .examples
            .extend(report.examples.iter().take(5).cloned());
    }
    Ok(ending)
}

async fn compare_one(world: &World, connected: &Connected) -> Result<Compared, Failure> {
    let truth = connected.workspace.truth();
    Ok(exact::compare(&world.store, connected.tenant, connected.connection, &truth).await?)
}

/// Ends the schedulers, lets the workers finish what is ticketed, looks at Redis, ends the others.
pub(crate) async fn rest(world: &World) -> Result<Rest, Failure> {
    let leaving = Duration::from_secs(20);
    let mut rest = Rest {
        late: world.fleet.retire("scheduler", leaving).await,
        ..Rest::default()
    };
    let begun = Instant::now();
    loop {
        rest.live = world.live().await?;
        if rest.live == 0 || begun.elapsed() > Duration::from_secs(20) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rest.late
        .extend(world.fleet.retire("worker", leaving).await);
    rest.late.extend(world.fleet.retire("api", leaving).await);
    let client = redis::Client::open(world.servers.redis_url())?;
    let mut connection: MultiplexedConnection = client
        .get_multiplexed_async_connection_with_config(&crate::world::patient())
        .await?;
    rest.redis_keys = redis::cmd("DBSIZE").query_async(&mut connection).await?;
    rest.redis_keys_allowed = KEYS + KEYS_PER_TENANT * world.tenants.len() as u64;
    rest.key_names = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await?;
    rest.key_names.sort();
    rest.key_names.truncate(40);
    rest.outside_read_list = world.simulator.ledger().outside_read_list;
    Ok(rest)
}

/// Counters of all processes that ever ran.
pub(crate) fn counter(world: &World, name: &str, label: &str) -> f64 {
    world
        .fleet
        .total(|counters| scrape::sum(counters, name, label))
}
