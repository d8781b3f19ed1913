//! `pathbound queues`: queue depth and age, read from Redis directly.

use std::{io::IsTerminal, path::Path, time::Duration};

use api::ops::views::ClassesView;
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    config::ProcessRole,
    queue::{PauseScope, Queue, QueueStats},
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
/// If Redis cannot be reached.
pub async fn run(file: Option<&Path>, format: Format, args: QueuesArgs) -> Result<(), Failure> {
    let queue = Queue::connect(&super::load(file, ProcessRole::Scheduler)?)?;
    let shutdown = shutdown::on_signals()
        .map_err(|error| Failure::failed("could not listen to signals", error))?;
    loop {
        let (stats, paused) = (queue.stats().await?, queue.paused().await?);
        if args.watch && format == Format::Table && std::io::stdout().is_terminal() {
            // Moves to the top left and clears the screen, so that the table stays in place.
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

/// Queue depth and age, as `-o json` prints them.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct QueuesOutput {
    tickets: u64,
    classes: ClassesView,
    /// `None` if no ticket is parked.
    next_parked_in_seconds: Option<f64>,
    /// `None` if no ticket is leased.
    next_lease_ends_in_seconds: Option<f64>,
    /// `fleet`, classes and tenants' ids.
    paused: Vec<String>,
}

fn print(format: Format, stats: &QueueStats, paused: &[PauseScope]) -> Result<(), Failure> {
    let classes = ClassesView::from(stats);
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let queues = QueuesOutput {
        tickets: stats.live,
        classes,
        next_parked_in_seconds: seconds(stats.next_parked),
        next_lease_ends_in_seconds: seconds(stats.next_expiry),
        paused: paused.iter().map(ToString::to_string).collect(),
    };
    output::show(format, &table(&classes), &queues)?;
    if format == Format::Table {
        for remark in remarks(stats.next_parked, paused) {
            eprintln!("{remark}");
        }
    }
    Ok(())
}

fn table(classes: &ClassesView) -> Table {
    let mut table = Table::new(&[
        "class",
        "ready",
        "leased",
        "parked",
        "tenants",
        "oldest ready",
    ]);
    for (name, class) in [("fresh", classes.fresh), ("backfill", classes.backfill)] {
        let oldest = class.oldest_ready_age_seconds.map(Duration::from_secs_f64);
        table.row([
            name.to_owned(),
            class.ready.to_string(),
            class.leased.to_string(),
            class.parked.to_string(),
            class.tenants.to_string(),
            output::or_dash(oldest.map(|age| format!("{age:.1?}"))),
        ]);
    }
    table
}

/// What stands below the table, on stderr.
fn remarks(next_parked: Option<Duration>, paused: &[PauseScope]) -> Vec<String> {
    let mut remarks = vec![match next_parked {
        Some(wait) => format!("the next parked ticket becomes ready in {wait:.1?}"),
        None => "no ticket is parked".to_owned(),
    }];
    if !paused.is_empty() {
        let scopes: Vec<String> = paused.iter().map(ToString::to_string).collect();
        remarks.push(format!("paused by an operator: {}", scopes.join(", ")));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use api::ops::views::ClassView;
    use shared::domain::Class;

    use super::*;

    #[test]
    fn the_table_and_its_remarks_read_well() {
        let class = |ready, oldest_ready_age_seconds| ClassView {
            ready,
            leased: 1,
            parked: 2,
            tenants: 3,
            oldest_ready_age_seconds,
        };
        let classes = ClassesView {
            fresh: class(4, Some(1.26)),
            backfill: class(0, None),
        };
        let paused = [PauseScope::Fleet, PauseScope::Class(Class::Backfill)];
        let mut text = table(&classes).render();
        for remark in [
            remarks(None, &[]),
            remarks(Some(Duration::from_millis(3_210)), &paused),
        ]
        .concat()
        {
            text.push_str(&remark);
            text.push('\n');
        }
        insta::assert_snapshot!(text, @r"
        class     ready  leased  parked  tenants  oldest ready
        fresh         4       1       2        3  1.3s
        backfill      0       1       2        3  -
        no ticket is parked
        the next parked ticket becomes ready in 3.2s
        paused by an operator: fleet, backfill
        ");
    }
}
