//! `pathbound tenants`: pause and resume the work for one tenant.

use std::path::Path;

use api::ops::views::PausedView;
use serde_json::json;

use crate::{
    cli::TenantsCommand,
    failure::Failure,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Pauses or resumes.
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
        TenantsCommand::Pause { tenant, reason } => {
            ops.post(
                &format!("/ops/tenants/{tenant}/pause"),
                &json!({"reason": reason}),
            )
            .await?
        }
        TenantsCommand::Resume { tenant } => {
            ops.post(&format!("/ops/tenants/{tenant}/resume"), &json!({}))
                .await?
        }
    };
    let mut table = Table::new(&["tenant", "paused"]);
    table.row([answer.scope.clone(), answer.paused.to_string()]);
    output::show(format, &table, &answer)
}
