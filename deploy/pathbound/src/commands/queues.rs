//! `pathbound queues`: how much waits in Redis, asked directly.

use std::{io::IsTerminal, path::Path, time::Duration};

use redis::aio::MultiplexedConnection;
use serde_json::json;
use shared::{
    config::{Config, Needs},
    queue::{Depth, Queue, QueueError},
    shutdown,
};

use crate::{
    cli::QueuesArgs,
    failure::Failure,
    output::{self, Format, Table},
};

const EVERY: Duration = Duration::from_secs(1);

/// What is in the queue at one moment.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    depth: Depth,
    /// Seconds until the next parked ticket is ready; negative: it is overdue, so no worker looks.
    next_parked: Option<f64>,
    /// Seconds until the oldest lease runs out; negative: its worker died and no other has swept.
    oldest_lease: Option<f64>,
}

/// Prints the queue once, or every second.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn run(file: Option<&Path>, format: Format, args: QueuesArgs) -> Result<(), Failure> {
    let config = super::load(file, Needs::Scheduler)?;
    let queue = Queue::connect(&config)?;
    let mut redis = connect(&config).await?;
    let shutdown = shutdown::on_signals().map_err(|error| Failure::failed("could not listen to signals", error))?;
    loop {
        let snapshot = look(&queue, &mut redis, &config.redis_prefix).await?;
        if args.watch && format == Format::Table && std::io::stdout().is_terminal() {
            // To the top left, and clear: the table stays in place.
            output::text("\x1b[H\x1b[2J")?;
        }
        print(format, &snapshot)?;
        if !args.watch {
            return Ok(());
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn connect(config: &Config) -> Result<MultiplexedConnection, Failure> {
    let client = redis::Client::open(config.redis_url.expose()).map_err(QueueError::from)?;
    Ok(client.get_multiplexed_async_connection().await.map_err(QueueError::from)?)
}

async fn look(queue: &Queue, redis: &mut MultiplexedConnection, prefix: &str) -> Result<Snapshot, Failure> {
    let depth = queue.depth().await?;
    // Both sets are sorted by time, in milliseconds of Redis's own clock.
    let first = |name: &str| {
        redis::cmd("ZRANGE").arg(format!("{{{prefix}}}:{name}")).arg(0).arg(0).arg("WITHSCORES").to_owned()
    };
    type Entries = Vec<(String, f64)>;
    let ((seconds, micros), parked, leases): ((i64, i64), Entries, Entries) = redis::pipe()
        .cmd("TIME")
        .add_command(first("parked"))
        .add_command(first("leases"))
        .query_async(redis)
        .await
        .map_err(QueueError::from)?;
    let now = seconds as f64 * 1e3 + micros as f64 / 1e3;
    let from_now = |entries: &Entries| entries.first().map(|(_, at)| (at - now) / 1e3);
    Ok(Snapshot { depth, next_parked: from_now(&parked), oldest_lease: from_now(&leases) })
}

fn print(format: Format, snapshot: &Snapshot) -> Result<(), Failure> {
    let Snapshot { depth, next_parked, oldest_lease } = snapshot;
    let seconds = |time: &Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} s"));
    let mut table = Table::new(&["tickets", "count", "what"]);
    table.row(["live", &depth.live.to_string(), "all of them"]);
    table.row(["fresh", &depth.fresh_tenants.to_string(), "tenants with a ready ticket"]);
    table.row(["backfill", &depth.backfill_tenants.to_string(), "tenants with a ready ticket"]);
    table.row(["parked", &depth.parked.to_string(), &format!("the next is ready in {}", seconds(next_parked))]);
    table.row([
        "leased",
        &depth.leased.to_string(),
        &format!("the oldest lease runs out in {}", seconds(oldest_lease)),
    ]);
    let json = json!({
        "live": depth.live,
        "fresh_tenants": depth.fresh_tenants,
        "backfill_tenants": depth.backfill_tenants,
        "parked": depth.parked,
        "leased": depth.leased,
        "next_parked_in_seconds": next_parked,
        "oldest_lease_ends_in_seconds": oldest_lease,
    });
    output::show(format, &table, &json)
}
