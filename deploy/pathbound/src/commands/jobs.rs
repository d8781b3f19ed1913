//! `pathbound jobs`: live tickets. Each verb is one call of the ops listener.

use std::path::Path;

use api::ops::fleet_views::{JobView, JobsView};

use crate::{
    cli::JobsCommand,
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists tickets, or shows one.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, command: JobsCommand) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    match command {
        JobsCommand::List {
            state,
            tenant,
            limit,
            cursor,
        } => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string());
            match tenant {
                Some(tenant) => {
                    let tenant = names::tenant(&ops, &tenant).await?;
                    query.append_pair("tenant_id", &tenant.to_string())
                }
                None => query.append_pair("state", state.as_str()),
            };
            if let Some(cursor) = cursor {
                query.append_pair("cursor", &cursor.to_string());
            }
            let page: JobsView = ops.get(&format!("/ops/jobs?{}", query.finish())).await?;
            output::show(format, &list_table(&page), &page)?;
            if let Some(cursor) = page.next_cursor {
                eprintln!("more may follow, add --cursor {cursor}");
            }
            Ok(())
        }
        JobsCommand::Show { ticket } => {
            match ops.get::<JobView>(&format!("/ops/jobs/{ticket}")).await {
                Ok(job) => output::show(format, &job_table(&job), &job),
                Err(failure) => Err(names::with_a_ticket(&ops, &ticket, failure).await),
            }
        }
    }
}

fn list_table(page: &JobsView) -> Table {
    let mut table = Table::new(&[
        "ticket",
        "tenant",
        "state",
        "ready since",
        "until",
        "behind",
    ]);
    for job in &page.items {
        table.row([
            job.id.clone(),
            output::or_dash(job.tenant_name.as_deref().map(output::one_line)),
            job.state.clone(),
            output::or_dash(job.ready_since.map(output::time)),
            output::or_dash(job.until.map(output::time)),
            output::or_dash(job.behind.map(|behind| behind.to_string())),
        ]);
    }
    table
}

fn job_table(job: &JobView) -> Table {
    let mut table = Table::new(&["field", "value"]);
    let mut fields = vec![
        ("ticket", job.id.clone()),
        ("state", job.state.clone()),
        (
            "tenant",
            names::shown(job.tenant_id, job.tenant_name.as_deref()),
        ),
        ("connection_id", job.connection_id.to_string()),
        ("stream", job.stream.clone()),
        ("class", job.class.clone()),
        (
            "ready_since",
            output::or_dash(job.ready_since.map(output::time)),
        ),
        ("until", output::or_dash(job.until.map(output::time))),
        (
            "crashes",
            output::or_dash(job.crashes.map(|crashes| crashes.to_string())),
        ),
    ];
    if let Some(work) = &job.work {
        fields.extend([
            ("due_at", output::or_dash(work.due_at.map(output::time))),
            ("attempts", work.attempts.to_string()),
            ("next_mode", work.next_mode.clone()),
            (
                "progress_at",
                output::or_dash(work.progress_at.map(output::time)),
            ),
            (
                "failing_since",
                output::or_dash(work.failing_since.map(output::time)),
            ),
            (
                "last_error",
                output::or_dash(work.last_error.as_deref().map(output::one_line)),
            ),
        ]);
    }
    for (field, value) in fields {
        table.row([field, value.as_str()]);
    }
    table
}
