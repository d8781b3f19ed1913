//! `pathbound overview`: the fleet at a glance. One call of the ops listener.

use std::path::Path;

use api::ops::fleet_views::{MinuteView, OverviewView, PartView};

use crate::{
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Prints the state of the fleet, its classes, workers and counts.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let overview: OverviewView = ops.get("/ops/overview").await?;
    if format == Format::Json {
        return output::line(&overview);
    }
    output::text(&format!("{}: {}\n", overview.state, overview.sentence))?;
    output::text(&table(&overview).render())?;
    for (server, sentence) in [
        ("redis", old(&overview.queue)),
        ("postgres", old(&overview.fleet)),
    ] {
        if let Some(sentence) = sentence {
            eprintln!("{server}: {sentence}");
        }
    }
    Ok(())
}

fn table(overview: &OverviewView) -> Table {
    let mut table = Table::new(&["what", "value"]);
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
    if let Some(queue) = &overview.queue.data {
        for (name, class) in [
            ("fresh", queue.classes.fresh),
            ("backfill", queue.classes.backfill),
        ] {
            let oldest = class.oldest_ready_age_seconds;
            let oldest = oldest.map_or_else(String::new, |age| format!(", oldest {age:.1} s"));
            let counts = format!(
                "{} ready, {} leased, {} parked{oldest}",
                class.ready, class.leased, class.parked
            );
            row(name, counts);
        }
        let sum = |of: fn(&MinuteView) -> u64| queue.minutes.iter().map(of).sum::<u64>();
        row(
            "last hour",
            format!(
                "{} slices, {} failed, {} calls to Intercom",
                sum(|minute| minute.slices),
                sum(|minute| minute.failures),
                sum(|minute| minute.calls)
            ),
        );
        for worker in &queue.workers {
            let draining = if worker.draining { ", draining" } else { "" };
            let pool = match worker.pool.as_str() {
                pool @ ("fresh" | "backfill") => format!(", takes {pool}"),
                _ => String::new(),
            };
            row(
                &worker.name,
                format!("{} of {} slots{pool}{draining}", worker.busy, worker.slots),
            );
        }
    }
    let pools = overview.queue.data.iter().flat_map(|queue| &queue.pools);
    for pool in pools {
        let value = format!("{}, {}", pool.desired_workers, pool.sentence);
        row(
            &format!("workers that pool {} should have", pool.pool),
            value,
        );
    }
    if let Some(rate) = &overview.rate.data {
        if let Some(last) = rate.windows.first() {
            let (calls, allowed, budgets) = (last.calls, last.allowed, last.budgets);
            row(
                "rate budgets",
                format!(
                    "{calls} of the {allowed} calls that {} allowed in the last ten seconds",
                    output::counted(budgets as i64, "budget")
                ),
            );
        }
        row("budgets at their limit", rate.at_limit_count.to_string());
    }
    if let Some(fleet) = &overview.fleet.data {
        row("tenants", fleet.tenants.to_string());
        row("active connections", fleet.connections.active.to_string());
        row(
            "to be reconnected",
            fleet.connections.reauth_required.to_string(),
        );
        row(
            "connections with an error",
            fleet.connections.error.to_string(),
        );
        row("dead letters", fleet.dead_letters.to_string());
        row("due without a ticket", fleet.unticketed.to_string());
        if let Some(furthest) = &fleet.furthest_behind {
            let read = furthest.last_read_at;
            let read = read.map_or_else(|| "never".to_owned(), output::time);
            let tenant = names::shown(furthest.tenant_id, furthest.tenant_name.as_deref());
            let value = format!("{tenant}, last read to its end: {read}");
            row("furthest behind", value);
        }
        for pause in &fleet.paused {
            let reason = pause.reason.as_deref().map(output::one_line);
            let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
            let since = output::time(pause.paused_at);
            let by = pause.operator.as_deref().map(output::one_line);
            let by = by.unwrap_or_else(|| "an operator".to_owned());
            let scope = match pause.scope.parse() {
                Ok(tenant) => names::shown(tenant, pause.tenant_name.as_deref()),
                Err(_) => pause.scope.clone(),
            };
            row("paused", format!("{scope} by {by} since {since}: {reason}"));
        }
        if fleet.paused_more {
            row("paused", "and more tenants".to_owned());
        }
    }
    table
}

/// How old the numbers of a server are, if it does not answer.
fn old<T>(part: &PartView<T>) -> Option<String> {
    let fault = part.fault.as_ref()?;
    Some(match part.age_seconds {
        Some(age) => format!("{fault}, so its numbers are {age:.0} s old"),
        None => format!("{fault}, and its numbers were never read"),
    })
}
