//! `pathbound actions`: what operators have done. One call of the ops listener.

use std::path::Path;

use api::ops::fleet_views::{ActionView, ActionsView};

use crate::{
    cli::ActionsArgs,
    failure::Failure,
    names,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists actions, newest first.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, args: ActionsArgs) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let tenant = match &args.tenant {
        Some(tenant) => Some(names::tenant(&ops, tenant).await?),
        None => None,
    };
    let tenant = tenant.map(|tenant| format!("&tenant_id={tenant}"));
    let path = format!(
        "/ops/actions?limit={}{}",
        args.limit,
        tenant.unwrap_or_default()
    );
    let page: ActionsView = ops.get(&path).await?;
    let mut table = Table::new(&[
        "at", "action", "by", "tenant", "subject", "reason", "changed",
    ]);
    for action in &page.items {
        table.row([
            output::time(action.at),
            action.action.clone(),
            by(action),
            output::or_dash(
                action
                    .tenant_id
                    .map(|id| names::shown(id, action.tenant_name.as_deref())),
            ),
            output::one_line(&action.subject),
            output::or_dash(action.reason.as_deref().map(output::one_line)),
            action.changed.to_string(),
        ]);
    }
    output::show(format, &table, &page)
}

/// The operator's name, and how it came.
fn by(action: &ActionView) -> String {
    match &action.operator {
        Some(name) => format!("{}, {}", output::one_line(name), action.channel),
        None => action.channel.clone(),
    }
}
