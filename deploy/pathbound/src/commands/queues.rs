//! `pathbound queues`: how deep and how old, asked of Redis directly.

use std::{io::IsTerminal, path::Path, time::Duration};

use serde_json::json;
use shared::{
    config::ProcessRole,
    queue::{PauseScope, Queue, QueueStats, TicketCounts},
    shutdown,
};

use crate::{
    cli::QueuesArgs,
    failure::Failure,
    output::{self, Format, Table},
};

const EVERY: Duration = Duration::from_secs(1);

/// Prints the queue once, or every second.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn run(file: Option<&Path>, format: Format, args: QueuesArgs) -> Result<(), Failure> {
    let queue = Queue::connect(&super::load(file, ProcessRole::Scheduler)?)?;
    let shutdown = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    loop {
        let (stats, paused) = (queue.stats().await?, queue.paused().await?);
        if args.watch && format == Format::Table && std::io::stdout().is_terminal() {
            // To the top left, and clear: the table stays in place.
            output::text("\x1b[H\x1b[2J")?;
        }
        print(format, &stats, &paused)?;
        if !args.watch {
            return Ok(());
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn print(format: Format, stats: &QueueStats, paused: &[PauseScope]) -> Result<(), Failure> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let shown =
        |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1?}"));
    let classes = [
        (
            "fresh",
            stats.fresh,
            stats.fresh_tenants,
            stats.oldest_fresh,
        ),
        (
            "backfill",
            stats.backfill,
            stats.backfill_tenants,
            stats.oldest_backfill,
        ),
    ];
    let mut table = Table::new(&[
        "class",
        "ready",
        "leased",
        "parked",
        "tenants",
        "oldest ready",
    ]);
    for (
        name,
        TicketCounts {
            ready,
            leased,
            parked,
        },
        tenants,
        oldest,
    ) in classes
    {
        let counts = [ready, leased, parked, tenants].map(|count| count.to_string());
        table.row(
            [name.to_owned()]
                .into_iter()
                .chain(counts)
                .chain([shown(oldest)]),
        );
    }
    let class = |(_, counts, tenants, oldest): (&str, TicketCounts, u64, Option<Duration>)| {
        json!({
            "ready": counts.ready, "leased": counts.leased, "parked": counts.parked, "tenants": tenants,
            "oldest_ready_age_seconds": seconds(oldest),
        })
    };
    let paused: Vec<String> = paused.iter().map(ToString::to_string).collect();
    let json = json!({
        "tickets": stats.live,
        "classes": { "fresh": class(classes[0]), "backfill": class(classes[1]) },
        "next_parked_in_seconds": seconds(stats.next_parked),
        "next_lease_ends_in_seconds": seconds(stats.next_expiry),
        "paused": paused,
    });
    output::show(format, &table, &json)?;
    if format == Format::Table {
        eprintln!(
            "the next parked ticket is ready in {}",
            shown(stats.next_parked)
        );
        if !paused.is_empty() {
            eprintln!("paused: {}", paused.join(", "));
        }
    }
    Ok(())
}
