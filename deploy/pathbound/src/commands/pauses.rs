//! `pathbound pause` and `pathbound resume`: a class, or the whole fleet. Each is one call of the ops listener.

use std::path::Path;

use api::ops::views::PausedView;
use serde_json::json;

use crate::{
    cli::ScopeArg,
    failure::Failure,
    ops_client::OpsClient,
    output::{self, Format, Table},
};

/// Pauses a scope.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn pause(
    file: Option<&Path>,
    format: Format,
    scope: ScopeArg,
    reason: Option<String>,
) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let path = format!("/ops/queues/{}/pause", scope.as_str());
    print(format, &ops.post(&path, &json!({"reason": reason})).await?)
}

/// Ends the pause of a scope.
///
/// # Errors
/// If the ops listener cannot be reached or refuses.
pub async fn resume(file: Option<&Path>, format: Format, scope: ScopeArg) -> Result<(), Failure> {
    let ops = OpsClient::of(&super::client_config(file)?)?;
    let path = format!("/ops/queues/{}/resume", scope.as_str());
    print(format, &ops.post(&path, &json!({})).await?)
}

fn print(format: Format, answer: &PausedView) -> Result<(), Failure> {
    let mut table = Table::new(&["scope", "paused"]);
    table.row([answer.scope.clone(), answer.paused.to_string()]);
    output::show(format, &table, answer)
}
