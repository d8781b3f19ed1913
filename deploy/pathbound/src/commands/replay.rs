//! `pathbound replay TENANT`: parses quarantined records again, from their stored bytes.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{config::ProcessRole, domain::ConnectionId, store::WorkerStore, sync::replay};

use crate::{
    cli::ReplayArgs,
    failure::Failure,
    names,
    output::{self, Format, Table},
};

/// What became of the records of one connection.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct ReplayedConnection {
    #[schemars(with = "uuid::Uuid")]
    connection: ConnectionId,
    healed: i64,
    /// Those that are still unreadable.
    left: i64,
    dry_run: bool,
}

/// Replays every connection of a tenant. It makes no call to Intercom and needs no running process.
///
/// # Errors
/// If Postgres cannot be reached, or the tenant has no connection.
pub async fn run(file: Option<&Path>, format: Format, args: ReplayArgs) -> Result<(), Failure> {
    let config = super::load(file, ProcessRole::Migrate)?;
    let store = WorkerStore::connect(&config.database, 1).await?;
    let tenant = names::tenant_anywhere(&config, &args.tenant).await?;
    let connections = store.begin(tenant).await?.connections().await?;
    if connections.is_empty() {
        return Err(Failure::because(
            "the tenant has no connection, so connect a workspace first",
        ));
    }
    let mut table = Table::new(&[
        "workspace",
        "connection",
        if args.dry_run {
            "would become readable"
        } else {
            "now readable"
        },
        "still unreadable",
    ]);
    let mut all = Vec::new();
    for connection in connections {
        // A connection that does not sync is fenced, so nothing may be written for it.
        let Some(replayed) = replay(&store, tenant, connection.id, args.dry_run).await? else {
            continue;
        };
        table.row([
            connection.workspace_name,
            connection.id.to_string(),
            replayed.healed.to_string(),
            replayed.left.to_string(),
        ]);
        all.push(ReplayedConnection {
            connection: connection.id,
            healed: replayed.healed,
            left: replayed.left,
            dry_run: args.dry_run,
        });
    }
    output::show(format, &table, &all)?;
    Ok(())
}
