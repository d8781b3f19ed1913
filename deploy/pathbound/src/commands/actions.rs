//! `pathbound actions`: what operators have done. One call of the ops listener.

use std::path::Path;

use api::ops::fleet_views::ActionsView;

use crate::{
    cli::ActionsArgs,
    failure::Failure,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Lists actions, newest first.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn run(file: Option<&Path>, format: Format, args: ActionsArgs) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let tenant = args.tenant.map(|tenant| format!("&tenant_id={tenant}"));
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
            action.channel.clone(),
            output::or_dash(action.tenant_id.map(|tenant| tenant.to_string())),
            output::one_line(&action.subject),
            output::or_dash(action.reason.as_deref().map(output::one_line)),
            action.changed.to_string(),
        ]);
    }
    output::show(format, &table, &page)
}
