//! `pathbound dead bulk`, and the end of a retry or drop by filter, which a scheduler works through.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use api::ops::views::{BulkView, BulksView, ChangedView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    cli::DeadBulkCommand,
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table, counted},
};

/// The time between two looks at the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What a retry or a drop prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum DeadChange {
    /// By a filter, at its end, with the members that one without a scheduler had.
    Ended {
        #[serde(flatten)]
        changed: ChangedView,
        #[serde(flatten)]
        action: Box<BulkView>,
    },
    /// By a filter, with `--no-wait`.
    Started { id: Uuid },
    /// Of one letter, or with `--dry-run`.
    Changed(ChangedView),
}

/// Lists, shows or cancels bulk actions.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub(super) async fn run(
    ops: &OpsClient,
    format: Format,
    command: DeadBulkCommand,
) -> Result<(), Failure> {
    match command {
        DeadBulkCommand::List { limit } => {
            let page: BulksView = ops.get(&format!("/ops/dead/bulk?limit={limit}")).await?;
            output::show(format, &list_table(&page.items), &page)
        }
        DeadBulkCommand::Show { id } => {
            let action: BulkView = ops.get(&format!("/ops/dead/bulk/{id}")).await?;
            output::show(format, &list_table(std::slice::from_ref(&action)), &action)
        }
        DeadBulkCommand::Cancel { id } => {
            let path = format!("/ops/dead/bulk/{id}/cancel");
            let action: BulkView = ops.post(&path, &json!({})).await?;
            output::show(format, &list_table(std::slice::from_ref(&action)), &action)
        }
    }
}

/// Shows the progress of a bulk action until it has ended, or only its id.
///
/// # Errors
/// If the ops listener cannot be reached, or not every letter was changed.
pub(super) async fn follow(
    ops: &OpsClient,
    format: Format,
    mut action: BulkView,
    no_wait: bool,
) -> Result<(), Failure> {
    if no_wait {
        return match format {
            Format::Table => output::text(&format!("{}\n", action.id)),
            Format::Json => output::line(&DeadChange::Started { id: action.id }),
        };
    }
    let path = format!("/ops/dead/bulk/{}", action.id);
    eprintln!(
        "{} of {}: it goes on by itself if this command ends, and `pathbound dead bulk cancel {}` ends it",
        action.action,
        counted(action.total, "dead letter"),
        action.id
    );
    let is_terminal = io::stderr().is_terminal();
    while action.finished_at.is_none() {
        if is_terminal {
            eprint!("\r\u{1b}[K{}", progress(&action));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        action = ops.get(&path).await?;
    }
    let end_of_line = if is_terminal { "\r\u{1b}[K" } else { "" };
    eprintln!("{end_of_line}{}", progress(&action));
    let changed = ChangedView {
        count: Some(action.total),
        dry_run: Some(false),
        retried: (action.action == "retry").then_some(action.done),
        dropped: (action.action == "drop").then_some(action.done),
    };
    let table = ended_table(&action);
    let judged = judge(&action);
    let ended = DeadChange::Ended {
        changed,
        action: Box::new(action),
    };
    output::show(format, &table, &ended)?;
    judged
}

/// One line about how far it is.
fn progress(action: &BulkView) -> String {
    let reached = action.done + action.skipped;
    let skipped = match action.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let waits = match action.waiting {
        0 => String::new(),
        1 => ", 1 stream of the last batch waits for a worker".to_owned(),
        waiting => format!(", {waiting} streams of the last batch wait for a worker"),
    };
    let percent = (reached * 100).checked_div(action.total).unwrap_or(100);
    format!(
        "{}: {reached} of {} ({percent} %){skipped}{waits}",
        action.status, action.total
    )
}

/// Turns how it ended into the command's exit code.
fn judge(action: &BulkView) -> Result<(), Failure> {
    let all = counted(action.total, "dead letter");
    if action.status == "cancelled" {
        let done = action.done;
        return Err(Failure::Partly(format!("cancelled after {done} of {all}")));
    }
    match action.skipped {
        0 => Ok(()),
        skipped => Err(Failure::Partly(format!("{skipped} of {all} skipped"))),
    }
}

fn ended_table(action: &BulkView) -> Table {
    let verb = if action.action == "retry" {
        "retried"
    } else {
        "dropped"
    };
    let mut table = Table::new(&["dead letters", "count"]);
    for (name, count) in [
        ("matched", action.total),
        (verb, action.done),
        ("skipped", action.skipped),
    ] {
        table.row([name.to_owned(), count.to_string()]);
    }
    table
}

fn list_table(actions: &[BulkView]) -> Table {
    let mut table = Table::new(&[
        "id",
        "action",
        "status",
        "total",
        "done",
        "skipped",
        "waiting",
        "asked for at",
        "filter",
    ]);
    for action in actions {
        table.row([
            action.id.to_string(),
            action.action.clone(),
            action.status.clone(),
            action.total.to_string(),
            action.done.to_string(),
            action.skipped.to_string(),
            action.waiting.to_string(),
            output::time(action.requested_at),
            filter(action),
        ]);
    }
    table
}

fn filter(action: &BulkView) -> String {
    let filter = &action.filter;
    let tenant = filter.tenant_id.map(|tenant| {
        let tenant = names::shown(tenant, action.tenant_name.as_deref());
        format!("tenant {tenant}")
    });
    let stream = filter
        .stream
        .as_ref()
        .map(|stream| format!("stream {stream}"));
    let cause = filter.cause.as_deref();
    let cause = cause.map(|cause| format!("cause {}", output::one_line(cause)));
    let parts: Vec<String> = [tenant, stream, cause].into_iter().flatten().collect();
    if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use api::ops::views::BulkFilterView;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn action(status: &str, total: i64, done: i64, skipped: i64, waiting: i64) -> BulkView {
        BulkView {
            id: Uuid::from_u128(1),
            action: "retry".to_owned(),
            filter: BulkFilterView {
                cause: Some("status 503".to_owned()),
                ..BulkFilterView::default()
            },
            status: status.to_owned(),
            total,
            done,
            skipped,
            waiting,
            requested_by: "key".to_owned(),
            tenant_name: None,
            session_id: None,
            operator: None,
            requested_at: DateTime::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn progress_and_end_read_well() {
        let actions = [
            action("queued", 2_000, 0, 0, 0),
            action("running", 2_000, 500, 1, 412),
            action("finished", 2_000, 1_999, 1, 0),
            action("finished", 0, 0, 0, 0),
            action("finished", 1, 1, 0, 0),
            action("cancelled", 2_000, 500, 0, 0),
        ];
        let lines = actions.iter().map(|action| {
            let (code, end) = judge(action).map_or_else(
                |failure| (failure.code(), failure.line()),
                |()| (0, "all".to_owned()),
            );
            format!("{} -> {code} {end}\n", progress(action))
        });
        let tables = [list_table(&actions[1..2]), ended_table(&actions[2])];
        let tables = tables.iter().map(Table::render);
        insta::assert_snapshot!(lines.chain(tables).collect::<Vec<_>>().concat());
    }
}
