//! `pathbound tenants`: list, show, pause and resume. Each verb is one call of the ops listener.

use std::path::Path;

use api::ops::{
    fleet_views::{TenantRowView, TenantView, TenantsView},
    views::PausedView,
};
use serde_json::json;

use super::why;
use crate::{
    cli::{TenantsCommand, TenantsListArgs},
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists tenants, shows one, or pauses and resumes the work for one.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(
    file: Option<&Path>,
    format: Format,
    command: TenantsCommand,
) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let answer: PausedView = match command {
        TenantsCommand::List(args) => return list(&ops, format, &args).await,
        TenantsCommand::Show { tenant } => {
            let tenant = names::tenant(&ops, &tenant).await?;
            let tenant: TenantView = ops.get(&format!("/ops/tenants/{tenant}")).await?;
            return show(format, &tenant);
        }
        TenantsCommand::Pause { tenant, reason } => {
            let tenant = names::tenant(&ops, &tenant).await?;
            ops.post(
                &format!("/ops/tenants/{tenant}/pause"),
                &json!({"reason": reason}),
            )
            .await?
        }
        TenantsCommand::Resume { tenant } => {
            let tenant = names::tenant(&ops, &tenant).await?;
            ops.post(&format!("/ops/tenants/{tenant}/resume"), &json!({}))
                .await?
        }
    };
    let mut table = Table::new(&["tenant", "paused"]);
    table.row([answer.scope.clone(), answer.paused.to_string()]);
    output::show(format, &table, &answer)
}

async fn list(ops: &OpsClient, format: Format, args: &TenantsListArgs) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in args.fields() {
        query.append_pair(name, &value);
    }
    let page: TenantsView = ops.get(&format!("/ops/tenants?{}", query.finish())).await?;
    output::show(format, &list_table(&page.items), &page)?;
    if let Some(cursor) = &page.next_cursor {
        eprintln!("more may follow, add --cursor {cursor}");
    }
    Ok(())
}

fn list_table(tenants: &[TenantRowView]) -> Table {
    let mut table = Table::new(&[
        "tenant", "name", "state", "lag s", "backlog", "dead", "reason",
    ]);
    for tenant in tenants {
        table.row([
            tenant.id.to_string(),
            output::one_line(&tenant.name),
            tenant.state.clone(),
            output::or_dash(tenant.lag_seconds.map(|lag| lag.to_string())),
            tenant.backlog.to_string(),
            tenant.dead_letters.to_string(),
            tenant.reason.clone(),
        ]);
    }
    table
}

fn show(format: Format, tenant: &TenantView) -> Result<(), Failure> {
    if format == Format::Json {
        return output::line(tenant);
    }
    let name = output::one_line(&tenant.name);
    output::text(&format!("{name}: {}\n", output::one_line(&tenant.sentence)))?;
    let stages = tenant.stages.as_deref().unwrap_or_default();
    if !stages.is_empty() {
        output::text(&why::stages(stages).render())?;
        output::text("\n")?;
    }
    output::text(&streams_table(tenant).render())
}

fn streams_table(tenant: &TenantView) -> Table {
    let header = [
        "connection",
        "stream",
        "status",
        "held",
        "expected",
        "due at",
        "attempts",
        "failing since",
        "last error",
    ];
    let mut table = Table::new(&header);
    for connection in &tenant.connections {
        for stream in &connection.streams {
            let (status, work) = (&stream.status, stream.work.as_ref());
            table.row([
                connection.id.to_string(),
                status.stream.to_string(),
                stream.state().to_owned(),
                status.held.to_string(),
                output::or_dash(status.expected.map(|expected| expected.to_string())),
                output::or_dash(work.and_then(|work| work.due_at).map(output::time)),
                output::or_dash(work.map(|work| work.attempts.to_string())),
                output::or_dash(work.and_then(|work| work.failing_since).map(output::time)),
                output::or_dash(
                    work.and_then(|work| work.last_error.as_deref())
                        .map(output::one_line),
                ),
            ]);
        }
    }
    table
}
